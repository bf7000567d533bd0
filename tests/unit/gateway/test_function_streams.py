"""The head of a streamed answer, from whatever pieces it comes in."""

import json

import pytest

from torpor.core.http import BrokenBody
from torpor.gateway.function_streams import MAX_HEAD, respond
from torpor.gateway.payload_v2 import MalformedResponse
from torpor.wire.streams import INTEGRATION_TYPE

from .conftest import make_outcome


class FakeStreamed:
    executed_version = "$LATEST"

    def __init__(self, *pieces, content_type=INTEGRATION_TYPE, error=None):
        self.content_type = content_type
        self.pieces = list(pieces)
        self.closed = False
        self.outcome = make_outcome(b"", error=error)

    async def read(self):
        return self.pieces.pop(0) if self.pieces else None

    def close(self):
        self.closed = True


async def body_of(response):
    pieces = []
    while (piece := await response.stream.read()) is not None:
        pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
async def test_a_head_may_be_cut_anywhere(size):
    """Status, headers and cookies are read, and the body begins behind eight zero bytes."""
    head = {"statusCode": 201, "headers": {"X-A": "b", "content-length": "5"}, "cookies": ["a=b"]}
    data = json.dumps(head).encode() + bytes(8) + b"the body" + bytes(9)
    streamed = FakeStreamed(*(data[at : at + size] for at in range(0, len(data), size)))
    response = await respond(streamed)
    assert response.status == 201
    assert response.headers == (("content-type", "application/octet-stream"), ("x-a", "b"), ("set-cookie", "a=b"))
    assert await body_of(response) == b"the body" + bytes(9)
    assert not streamed.closed
    response.stream.close()
    assert streamed.closed


async def test_without_a_head_the_content_type_is_the_answers_own():
    """One that cannot stand in a header is left out."""
    for kind, expected in (("text/event-stream", "text/event-stream"), ("a\r\nb: c", "application/octet-stream")):
        response = await respond(FakeStreamed(b"x", content_type=kind))
        assert (response.status, response.headers) == (200, (("content-type", expected),))
        assert await body_of(response) == b"x"


@pytest.mark.parametrize(
    "pieces",
    [
        [b"no json" + bytes(8)],
        [b"[1]" + bytes(8)],
        [b'{"statusCode": 999}' + bytes(8)],
        [b'{"statusCode": 200}'],
        [b"x" * 1000] * (MAX_HEAD // 1000 + 2),
    ],
)
async def test_a_head_that_is_none_is_malformed_and_the_rest_unwanted(pieces):
    """No JSON, no object, no status, no end, too long."""
    streamed = FakeStreamed(*pieces)
    with pytest.raises(MalformedResponse):
        await respond(streamed)
    assert streamed.closed


async def test_what_fails_within_the_head_has_no_response():
    """And behind it, the body cannot be brought to its end."""
    with pytest.raises(BrokenBody):
        await respond(FakeStreamed(b"{", error="Unhandled"))
    response = await respond(FakeStreamed(b"{}" + bytes(8) + b"x", error="Unhandled"))
    assert await response.stream.read() == b"x"
    with pytest.raises(BrokenBody):
        await response.stream.read()
