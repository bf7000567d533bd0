"""The short way past ASGI answers as the ordinary one does, and leaves to it what it cannot do."""

import asyncio
import json

import pytest

from torpor.core.http import HttpResponse
from torpor.gateway.protocol import Bounds
from torpor.gateway.quick import MalformedHead, serialized


def post(path, body=b"", *headers):
    lines = [f"POST {path} HTTP/1.1", "Host: localhost:7070", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def answers(server, *requests):
    async with server.connect() as raw:
        for request in requests:
            await raw.send(request)
        return [await raw.response() for _ in requests]


@pytest.mark.parametrize(
    "payload", [None, b'{"statusCode": 404, "headers": {"x-a": "b"}, "body": "none"}', b"[1]", b"{"]
)
async def test_a_function_answers_the_same(server, way, payload):
    """Status, headers and body do not depend on the way; the event has everything that came."""
    server.backend.payload = payload
    ((status, headers, body),) = await answers(server, post("/fn/hello/a%20b?x=1&x=2", b'{"a": 1}', "X-Own: yes"))
    assert server.backend.begun == (way == "short way")
    assert headers["x-torpor-start"] == "warm"
    assert "date" in headers
    if payload is None:
        event = json.loads(body)
        assert (event["rawPath"], event["queryStringParameters"]) == ("/a%20b", {"x": "1,2"})
        assert (event["headers"]["x-own"], event["body"]) == ("yes", '{"a": 1}')
        assert headers["x-amzn-requestid"] == event["requestContext"]["requestId"]
    else:
        found = {b"[1]": (200, b"[1]"), b"{": (502, b'{"message":"Internal Server Error"}')}.get(
            payload, (404, b"none")
        )
        assert (status, body) == found


async def test_a_result_nobody_can_read_is_answered(server, way):
    """However a function's result is made, its request has an answer, and the connection goes on."""
    for payload in (
        b'{"statusCode": 200, "headers": ' + b'{"a":' * 100_000,
        b'{"statusCode": 200, "headers": {"a": "\\ud800"}}',
    ):
        server.backend.payload = payload
        status, _, _ = (await answers(server, post("/fn/hello/")))[0]
        assert status in (500, 502)


async def test_a_body_in_pieces_goes_the_ordinary_way(server):
    """What has not come whole is read there, from its first byte."""
    request = post("/fn/hello/", b"0123456789", "Content-Type: text/plain")
    async with server.connect() as raw:
        await raw.send(request[:-6])
        await asyncio.sleep(0.01)
        await raw.send(request[-6:])
        event = json.loads((await raw.response())[2])
        assert (event["body"], server.backend.begun) == ("0123456789", 0)
        await raw.send(request)
        assert (await raw.response())[0] == 200


async def test_pipelined_requests_of_both_ways_are_answered_in_order(server):
    """The one behind waits until the one before has its answer."""
    health = b"GET /_torpor/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    one, two, three = await answers(server, post("/fn/hello/1") + health + post("/fn/hello/3"), b"", b"")
    assert json.loads(one[2])["rawPath"] == "/1"
    assert json.loads(two[2])["status"] == "ok"
    assert json.loads(three[2])["rawPath"] == "/3"


_SAME = [
    post("/fn/hello/a?x=1", b"0123456789", "Content-Type: text/plain", "Cookie: a=1"),
    post("/fn/hello/a?x=1", b"abcdefghij", "Content-Type: text/plain", "Cookie: a=1"),
    post("/fn/hello/a?x=1", b"abcdefghij", "Content-Type: text/plain", "Cookie: a=2"),
    post("/fn/hello/a?x=1", b"", "Content-Type: text/plain", "Cookie: a=1"),
    post("/fn/hello/a?x=1", b"\r\n\r\n", "Content-Type: text/plain", "Cookie: a=1"),
    b"POST /fn/hello/c HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
]


@pytest.mark.parametrize("size", [1 << 20, 700, 200, 139, 64])
async def test_what_a_connection_has_seen_before_is_read_as_what_is_new(server, size):
    """However requests with heads seen before come, whole, in pieces or several at once, each is read as if alone."""
    requests = [*_SAME, *_SAME[:2], *_SAME[:1] * 3, _SAME[-1], *_SAME[4:], *_SAME]
    async with server.connect() as raw:
        stream = b"".join(requests)
        for start in range(0, len(stream), size):
            await raw.send(stream[start : start + size])
            await asyncio.sleep(0.002)
        pieces = [json.loads((await raw.response())[2]) for _ in requests]
    alone = [json.loads((await answers(server, request))[0][2]) for request in requests]
    assert [told_apart(event) for event in pieces] == [told_apart(event) for event in alone]
    assert len({event["requestContext"]["requestId"] for event in pieces}) == len(requests)


async def test_one_request_after_the_other_is_read_right(server):
    """A head that comes again, alone and whole, has its own body and its own id."""
    async with server.connect() as raw:
        events = []
        for request in _SAME * 2:
            await raw.send(request)
            events.append(json.loads((await raw.response())[2]))
    alone = [json.loads((await answers(server, request))[0][2]) for request in _SAME * 2]
    assert [told_apart(event) for event in events] == [told_apart(event) for event in alone]
    assert len({event["requestContext"]["requestId"] for event in events}) == len(events)


async def test_two_requests_that_come_together_again_are_two(server):
    """What was one piece, and comes again, is not one request for that."""
    async with server.connect() as raw:
        for _ in range(3):
            await raw.send(_SAME[0] + _SAME[1])
            for body in ("0123456789", "abcdefghij"):
                assert json.loads((await raw.response())[2])["body"] == body


async def test_a_body_that_looks_like_a_request_is_a_body(server):
    """A request that the connection knows, as the body of another one, is not carried out."""
    inner = _SAME[0]
    outer = post("/fn/hello/outer", inner, "Content-Type: text/plain")
    async with server.connect() as raw:
        await raw.send(inner)
        await raw.response()
        await raw.send(outer.removesuffix(inner))
        await asyncio.sleep(0.01)
        await raw.send(inner)
        event = json.loads((await raw.response())[2])
        assert (event["rawPath"], event["body"]) == ("/outer", inner.decode())


async def test_an_unwanted_body_that_looks_like_a_request_is_none(server):
    """A request that was refused before its body came still has a body."""
    inner = _SAME[0]
    async with server.connect() as raw:
        await raw.send(inner)
        await raw.response()
        await raw.send(post("/fn/nobody/", inner).removesuffix(inner))
        assert (await raw.response())[0] == 404
        begun = len(server.backend.calls)
        await raw.send(inner)
        await asyncio.sleep(0.01)
        await raw.send(_SAME[1])
        assert json.loads((await raw.response())[2])["body"] == "abcdefghij"
        assert len(server.backend.calls) == begun + 1


async def test_the_second_half_of_a_head_is_no_request(server):
    """It was the end of one when it came for the first time."""
    async with server.connect() as raw:
        await raw.send(_SAME[0][:40])
        await asyncio.sleep(0.01)
        await raw.send(_SAME[0][40:])
        assert (await raw.response())[0] == 200
        await raw.send(_SAME[0][40:])
        assert (await raw.response())[0] == 400


async def test_a_known_request_waits_for_the_one_before(server):
    """It came before that had its answer: answers keep their order."""
    async with server.connect() as raw:
        await raw.send(_SAME[0])
        await raw.response()
        hold = server.backend.hold = asyncio.Event()
        await raw.send(_SAME[1])
        await asyncio.sleep(0.01)
        server.backend.hold = None
        await raw.send(_SAME[0])
        await asyncio.sleep(0.01)
        hold.set()
        for body in ("abcdefghij", "0123456789"):
            assert json.loads((await raw.response())[2])["body"] == body


def told_apart(event):
    """An event without what differs between two calls."""
    context = {name: value for name, value in event["requestContext"].items() if name not in ("requestId", "time")}
    return event | {"requestContext": context | {"timeEpoch": 0}}


async def test_a_right_that_is_taken_away_is_gone_with_the_next_request(server, monkeypatch):
    """What a connection remembers of a head is nothing that can change."""
    request = post("/fn/hello/", b"1")
    async with server.connect() as raw:
        await raw.send(request)
        assert (await raw.response())[0] == 200
        monkeypatch.setattr(server.backend, "url", lambda _name, _qualifier=None: None)
        await raw.send(request)
        assert (await raw.response())[0] == 403
        monkeypatch.setattr(server.backend, "find", lambda _name: None)
        await raw.send(request)
        assert (await raw.response())[0] == 404


async def test_an_idle_connection_is_closed_however_many_requests_it_had(start):
    """One timer sees to it, which requests neither set nor cancel."""
    server = await start(bounds=Bounds(keep_alive_s=0.2))
    async with server.connect() as raw:
        for _ in range(3):
            await raw.send(post("/fn/hello/", b"1"))
            assert (await raw.response())[0] == 200
        assert await raw.ended() == b""


async def test_the_last_request_of_a_connection_closes_it(server):
    """Where the client says so, it is told, and the connection ends."""
    async with server.connect() as raw:
        await raw.send(post("/fn/hello/", b"", "Connection: close"))
        assert (await raw.response())[1]["connection"] == "close"
        assert await raw.ended() == b""


@pytest.mark.parametrize("header", ["Expect: 100-continue", "Host: evil.example", "Origin: http://evil.example"])
async def test_what_is_not_plain_is_left_to_the_ordinary_way(server, header):
    """Refusals, and what HTTP has besides requests and answers, are worded in one place only."""
    await answers(server, post("/2015-03-31/functions/hello/invocations", b"", header))
    assert server.backend.begun == 0


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\rb", "a\0b"])
def test_no_header_can_make_another(value):
    """An answer whose head would be read otherwise than it was meant is not sent."""
    with pytest.raises(MalformedHead):
        serialized(HttpResponse(headers=(("x-a", value),)), b"now", head_only=False, close=False)


def test_an_answer_is_written_in_one_piece():
    """Status line, date, headers, length, and no body where there must be none."""
    plain = HttpResponse(status=201, headers=(("x-a", "b"),), body=b"body")
    expected = b"HTTP/1.1 201 Created\r\ndate: now\r\nx-a: b\r\ncontent-length: 4\r\n%s\r\n%s"
    assert serialized(plain, b"now", head_only=False, close=False) == expected % (b"", b"body")
    assert serialized(plain, b"now", head_only=True, close=True) == expected % (b"connection: close\r\n", b"")
    empty = serialized(HttpResponse(status=204), b"now", head_only=False, close=False)
    assert empty == b"HTTP/1.1 204 No Content\r\ndate: now\r\n\r\n"
