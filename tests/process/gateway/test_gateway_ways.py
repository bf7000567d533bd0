"""The short way past ASGI answers as the ordinary one does, and leaves to it what it cannot do."""

import asyncio
import json

import pytest

from torpor.core.http import HttpResponse
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
