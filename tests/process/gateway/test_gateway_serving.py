"""Stopping a server: what runs may end, what hangs is cut off, nothing is left."""

import asyncio
from pathlib import Path

import pytest

from torpor.gateway.serve import Server, listen

HEALTH = b"GET /_torpor/health HTTP/1.1\r\nHost: localhost\r\n\r\n"
INVOKE = b"POST /fn/hello/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_stop_waits_for_what_is_running(server, until):
    """Within the grace period a running invocation ends and is answered; idle connections end at once."""
    server.backend.hold = asyncio.Event()
    async with server.connect() as idle, server.connect() as busy:
        await idle.send(HEALTH)
        await idle.response()
        await busy.send(INVOKE)
        await until(lambda: server.backend.calls)
        stopping = asyncio.create_task(server.serving.close(grace_s=30))
        assert await idle.ended() == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", server.port)
        assert not stopping.done()
        server.backend.hold.set()
        status, headers, _ = await busy.response()
        assert (status, headers["connection"]) == (200, "close")
        await stopping
    assert server.serving.connections == 0
    assert server.backend.cancelled == 0


async def test_a_stop_cuts_off_what_hangs(server, until):
    """After the grace period invocations are cancelled and connections end."""
    server.backend.hold = asyncio.Event()
    async with server.connect() as raw:
        await raw.send(INVOKE)
        await until(lambda: server.backend.calls)
        await server.serving.close(grace_s=0.01)
        await raw.ended()
    assert server.backend.cancelled == 1
    await server.serving.close()


async def test_nothing_is_left_open(start, until):
    """After clients and a stop there are as many descriptors as before; the first round opens the loop's own."""
    for first in (True, False):
        before = 10_000 if first else descriptors()
        server = await start()
        async with server.connect() as one, server.connect() as two:
            for raw in (one, two):
                await raw.send(HEALTH)
                await raw.response()
        await server.serving.close()
        await until(lambda most=before: descriptors() <= most)


async def test_one_application_serves_on_many_listeners(backend):
    """Requests carry the state of the listener they came by."""
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["state"]["who"])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    server = Server(app)
    servings = {}
    for who in ("a", "b"):
        listener = listen("127.0.0.1", 0)
        servings[who] = listener.getsockname()[1], await server.serve([listener], {"who": who})
    for who in ("b", "a"):
        reader, writer = await asyncio.open_connection("127.0.0.1", servings[who][0])
        writer.write(HEALTH)
        assert (await reader.readline()).startswith(b"HTTP/1.1 204")
        writer.close()
        await writer.wait_closed()
    assert seen == ["b", "a"]
    for _, serving in servings.values():
        await serving.close()
