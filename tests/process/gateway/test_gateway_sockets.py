"""Raw bytes against a real server: malformed, oversized, slow, pipelined, abandoned."""

import asyncio
import json

import pytest

from torpor.core.limits import Limits
from torpor.gateway.app import GatewayOptions
from torpor.gateway.protocol import Bounds

HEALTH = b"GET /_torpor/health HTTP/1.1\r\nHost: localhost\r\n\r\n"


def post(path, body=b"", *headers, length=None):
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


async def test_answers_on_a_kept_connection(server):
    """One connection serves many requests, each with a date and a length."""
    async with server.connect() as raw:
        for _ in range(3):
            await raw.send(HEALTH)
            status, headers, body = await raw.response()
            assert (status, json.loads(body)["status"]) == (200, "ok")
            assert headers["date"].endswith("GMT")


async def test_answers_pipelined_requests_in_order(server):
    """Requests sent at once are answered one after the other."""
    async with server.connect() as raw:
        await raw.send(post("/fn/hello/1", b"a") + post("/fn/hello/2", b"b") + HEALTH)
        paths = [json.loads((await raw.response())[2])["rawPath"] for _ in range(2)]
        assert paths == ["/1", "/2"]
        assert (await raw.response())[0] == 200


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"get me something\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"GET / HTTP/1.1\r\nHost: local\x00host\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused(server, data):
    """400, or a closed connection, and the next client is served."""
    async with server.connect() as raw:
        await raw.send(data)
        answer = await raw.ended()
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
    async with server.connect() as raw:
        await raw.send(HEALTH)
        assert (await raw.response())[0] == 200


async def test_an_endless_head_is_cut_off(start):
    """Neither one endless header nor endlessly many are kept: 431, and the connection ends."""
    server = await start(bounds=Bounds(head_bytes=10_000))
    for piece in (b"a" * 1000, b"X-%d: y\r\n" * 50):
        async with server.connect() as raw:
            await raw.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: ")
            try:
                for _ in range(10_000):
                    await raw.send(piece)
            except ConnectionError:
                pass  # the server hung up, as it should
            answer = await raw.ended()
            assert answer == b"" or answer.startswith(b"HTTP/1.1 431")


async def test_a_slow_head_is_given_up(start):
    """A client that never finishes its head, or never begins, is let go."""
    server = await start(bounds=Bounds(head_s=0.05))
    for data in (b"", b"GET / HTTP/1.1\r\nHo"):
        async with server.connect() as raw:
            await raw.send(data)
            assert (await raw.ended()).startswith(b"HTTP/1.1 408")


async def test_a_slow_body_is_given_up(start, until):
    """408 for a body that stops coming, and the connection is not kept for ever."""
    server = await start(options=GatewayOptions(patience_s=0.05), bounds=Bounds(keep_alive_s=0))
    async with server.connect() as raw:
        await raw.send(post("/fn/hello/", b"half", length=100))
        assert (await raw.response())[0] == 408
        await raw.ended()
    await until(lambda: server.serving.connections == 0)


async def test_an_oversized_body_gets_its_answer(start):
    """The client that goes on sending can still read its 413, and its connection serves on."""
    server = await start(options=GatewayOptions(limits=Limits(sync_payload=1000)))
    async with server.connect() as raw:
        body = b"x" * 3_000_000
        await raw.send(post("/fn/hello/", length=len(body)))
        status, _, answer = await raw.response()
        assert status == 413
        assert b"1000" in answer
        await raw.send(body)
        await raw.send(HEALTH)
        assert (await raw.response())[0] == 200
    assert not server.backend.calls


async def test_an_endless_unwanted_body_is_cut_off(start):
    """Refused once, a client cannot make the server read for ever."""
    server = await start(
        options=GatewayOptions(limits=Limits(sync_payload=10)), bounds=Bounds(unwanted_bytes=1_000_000)
    )
    async with server.connect() as raw:
        await raw.send(b"POST /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        with pytest.raises(ConnectionError):
            for _ in range(100_000):
                await raw.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")


async def test_expect_100_continue_spares_a_useless_upload(start):
    """A client that asks first is told 413 before it sends, and 100 where it may."""
    server = await start(options=GatewayOptions(limits=Limits(sync_payload=1000)))
    async with server.connect() as raw:
        await raw.send(post("/fn/hello/", b"", "Expect: 100-continue", length=5000))
        assert (await raw.response())[0] == 413
    async with server.connect() as raw:
        await raw.send(post("/fn/hello/", b"", "Expect: 100-continue", length=3))
        assert (await raw.response())[0] == 100
        await raw.send(b"abc")
        assert (await raw.response())[0] == 200


async def test_chunked_bodies_are_read(server):
    """A body without a length arrives whole, and its trailers are not headers."""
    async with server.connect() as raw:
        head = b"POST /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Type: text/plain\r\n\r\n"
        await raw.send(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: late\r\n\r\n")
        event = json.loads((await raw.response())[2])
    assert event["body"] == "abcde"
    assert "x-trailer" not in event["headers"]


async def test_a_client_that_leaves_frees_its_place(server, until):
    """The invocation of a client that has gone is cancelled."""
    server.backend.hold = asyncio.Event()
    async with server.connect() as raw:
        await raw.send(post("/fn/hello/", b"x"))
        await until(lambda: server.backend.calls)
    await until(lambda: server.backend.cancelled == 1)
    assert server.serving.connections == 0


async def test_too_many_connections_are_turned_away(start, until):
    """The newest go; those that are there go on."""
    server = await start(bounds=Bounds(connections=2))
    async with server.connect() as one, server.connect() as two:
        await until(lambda: server.serving.connections == 2)
        async with server.connect() as three:
            assert await three.ended() == b""
        for raw in (one, two):
            await raw.send(HEALTH)
            assert (await raw.response())[0] == 200


async def test_head_and_options_are_sane(server):
    """HEAD has a length and no body; OPTIONS reaches the function as any other request."""
    async with server.connect() as raw:
        await raw.send(b"HEAD /_torpor/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head = await raw.reader.readuntil(b"\r\n\r\n")
        assert b"content-length: 3" in head.lower()
        await raw.send(b"OPTIONS /fn/hello/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert json.loads((await raw.response())[2])["requestContext"]["http"]["method"] == "OPTIONS"


@pytest.mark.parametrize(
    "target", [b"*", b"http://evil.example/_torpor/health", b"//evil/x", b"/%zz", b"/a%00b", b"?x"]
)
async def test_odd_targets_do_no_harm(server, target):
    """Whatever stands in the request line, there is an answer or an orderly refusal."""
    async with server.connect() as raw:
        await raw.send(b"OPTIONS " + target + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert (await raw.ended()).startswith((b"HTTP/1.1 200", b"HTTP/1.1 400", b"HTTP/1.1 403", b"HTTP/1.1 404"))
    assert not server.backend.requests


async def test_a_request_without_host_is_refused(server):
    """HTTP/1.0 included."""
    for version in (b"1.0", b"1.1"):
        async with server.connect() as raw:
            await raw.send(b"GET /_torpor/health HTTP/" + version + b"\r\nConnection: close\r\n\r\n")
            assert (await raw.ended()).startswith(b"HTTP/1.1 400")


async def test_an_upgrade_is_served_as_what_it_was(server):
    """There is nothing to upgrade to: the request is answered over HTTP/1.1."""
    async with server.connect() as raw:
        await raw.send(
            HEALTH[:-2] + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n"
        )
        assert (await raw.response())[0] == 200


async def test_functions_can_answer_bytes_and_empties(server):
    """204 without a body, bytes as they are, and a status of the function's own."""
    async with server.connect() as raw:
        for payload, status, body in (
            (b'{"statusCode": 204, "body": "dropped"}', 204, b""),
            (b'{"statusCode": 200, "body": "AP8=", "isBase64Encoded": true}', 200, b"\x00\xff"),
            (b'{"statusCode": 418, "headers": {"x-\\u00e9": "1"}}', 502, b'{"message":"Internal Server Error"}'),
            ('{"statusCode": 418, "headers": {"x-text": "h\\u00e9 \\u20ac"}, "body": "é"}'.encode(), 418, "é".encode()),
        ):
            server.backend.payload = payload
            await raw.send(post("/fn/hello/"))
            answer = await raw.response()
            assert (answer[0], answer[2]) == (status, body)
