"""An answer's head and body leave together."""

import uuid

import pytest

from torpor.core.http import HttpResponse
from torpor.gateway.asgi import new_request_id, send_response
from torpor.gateway.protocol import Output


class Transport:
    """Remembers what was written to it, piece by piece."""

    def __init__(self):
        self.pieces = []
        self.closed = False

    def write(self, data):
        assert not self.closed
        self.pieces.append(data)

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed


@pytest.fixture
def transport():
    return Transport()


@pytest.fixture
def output(transport):
    return Output(transport)


def sender(output, *, fails=False):
    """As uvicorn's: writes the head when the answer starts, and the body when it comes."""

    async def send(message):
        if message["type"] == "http.response.start":
            output.write(b"head ")
        elif fails:
            raise RuntimeError("the body is not what was announced")
        else:
            output.write(message["body"])

    return send


async def test_head_and_body_leave_in_one_piece(output, transport):
    """One write for a whole answer, and the next answer is held anew."""
    for _ in range(2):
        await send_response(sender(output), HttpResponse(body=b"body"), output=output)
    assert transport.pieces == [b"head body", b"head body"]


async def test_a_large_body_is_not_copied(output, transport):
    """It is written as it is, behind its head."""
    body = bytes(1 << 20)
    await send_response(sender(output), HttpResponse(body=body), output=output)
    assert transport.pieces[0] == b"head "
    assert transport.pieces[1] is body


async def test_what_is_held_leaves_though_no_body_comes(output, transport):
    """An answer that fails half-way has still told what it could."""
    with pytest.raises(RuntimeError):
        await send_response(sender(output, fails=True), HttpResponse(body=b"body"), output=output)
    output.write(b"more")
    assert transport.pieces == [b"head ", b"more"]


def test_closing_writes_what_is_held(output, transport):
    """Nothing is lost to a connection that is not kept alive."""
    output.hold()
    output.write(b"head")
    output.close()
    assert (transport.pieces, output.is_closing()) == ([b"head"], True)


def test_request_ids_are_random_uuids():
    """Of version 4 and its variant, spelt as the standard library spells them, and never the same twice."""
    made = {new_request_id() for _ in range(200)}
    assert len(made) == 200
    for text in made:
        parsed = uuid.UUID(text)
        assert (str(parsed), parsed.version, parsed.variant) == (text, 4, uuid.RFC_4122)
