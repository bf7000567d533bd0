"""Ways to other hosts, over real sockets: what passes, what is refused, what is told, and what is left."""

import asyncio
import contextlib
import socket

import pytest

from torpor.gateway.reach import Reach, ReachBounds, is_own
from torpor.policy.reach import ways


class Log:
    def __init__(self):
        self.lines = []

    def write(self, function, stream, request_id, at_ms, line):
        assert (function, stream) == ("resize", "stream")
        self.lines.append(line.decode())


@contextlib.asynccontextmanager
async def opened(entries, *, resolve=None, bounds=None):
    """The ways of `entries`, each behind a listener; yields their ports and the log."""
    log = Log()
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in ways(entries)]
    ports = [listener.getsockname()[1] for listener in listeners]

    async def to_itself(host, port):
        return [host]

    reach = Reach(log, bounds, resolve=resolve or to_itself)
    live = await reach.open("resize", "stream", ways(entries), listeners)
    try:
        yield ports, log
    finally:
        await live.close()
        await live.close()
        for port in ports:
            with pytest.raises(OSError):
                await asyncio.open_connection("127.0.0.1", port)


@contextlib.asynccontextmanager
async def service(serve):
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def reversed_bytes(reader, writer):
    """Answers only once its client has finished speaking: half-closed connections must stay open."""
    writer.write((await reader.read(-1))[::-1])
    await writer.drain()
    writer.close()


async def exchange(port, data):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(-1), 10)
    writer.close()
    return answer


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - another task writes
            await asyncio.sleep(0.001)


async def test_bytes_pass_untouched_both_ways():
    """A megabyte there, the same back after the client has closed its half, and the log tells how much."""
    data = bytes(range(256)) * 4096
    async with service(reversed_bytes) as port, opened([f"127.0.0.1:{port}"]) as ((way,), log):
        assert await exchange(way, data) == data[::-1]
        await until(lambda: log.lines)
    assert log.lines[0].startswith(f"REACH 127.0.0.1:{port} at 127.0.0.1: {len(data)} bytes sent, {len(data)} received")


async def test_a_name_that_leads_home_is_refused():
    """Whoever owns the name cannot move it to this machine's loopback; the log names the line that would allow it."""

    async def home(host, port):
        return ["127.0.0.1"]

    async with opened(["db.example:5432"], resolve=home) as ((way,), log):
        with contextlib.suppress(ConnectionError):
            assert await exchange(way, b"hello") == b""
        await until(lambda: log.lines)
    assert log.lines == [
        (
            "REACH db.example:5432 refused: 127.0.0.1 is this machine's loopback: if the function is meant to reach it, "
            'name it exactly: reach = ["127.0.0.1:5432"]'
        )
    ]


async def test_a_name_that_leads_home_passes_where_home_is_named():
    """Both lines together say that it is meant."""
    async with service(reversed_bytes) as port:

        async def home(host, port):
            return ["127.0.0.1"]

        async with opened([f"db.example:{port}", f"127.0.0.1:{port}"], resolve=home) as (ports, _):
            assert await exchange(ports[1], b"abc") == b"cba"


async def test_what_does_not_answer_is_told():
    """A closed port, and a name that nobody knows."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    async def unknown(host, port):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with opened([f"127.0.0.1:{port}"]) as ((way,), log):
        with contextlib.suppress(ConnectionError):
            await exchange(way, b"")
        await until(lambda: log.lines)
        assert "127.0.0.1 does not answer" in log.lines[0]
    async with opened(["nowhere.example:1"], resolve=unknown) as ((way,), log):
        with contextlib.suppress(ConnectionError):
            await exchange(way, b"")
        await until(lambda: log.lines)
        assert log.lines == ["REACH nowhere.example:1 refused: its name is not resolved: Name or service not known"]


async def test_a_resolver_that_hangs_is_not_waited_for():
    """The client is let go after the bound."""

    async def hang(host, port):
        await asyncio.Event().wait()

    async with opened(["slow.example:1"], resolve=hang, bounds=ReachBounds(resolve_s=0.01)) as ((way,), log):
        with contextlib.suppress(ConnectionError):
            await exchange(way, b"")
        await until(lambda: log.lines)
    assert "was not resolved within 0.01 s" in log.lines[0]


async def test_an_instance_has_so_many_connections_and_no_more():
    """One above the bound is refused while the others go on; a closed one makes room."""
    held = []

    async def hold(reader, writer):
        held.append(writer)
        await reader.read(-1)
        writer.close()

    async with (
        service(hold) as port,
        opened([f"127.0.0.1:{port}"], bounds=ReachBounds(connections=2)) as ((way,), log),
    ):
        clients = [await asyncio.open_connection("127.0.0.1", way) for _ in range(2)]
        await until(lambda: len(held) == 2)
        with contextlib.suppress(ConnectionError):
            assert await exchange(way, b"x") == b""
        assert log.lines == [
            f"REACH 127.0.0.1:{port} refused: this instance has 2 connections open, the most it may have"
        ]
        for _, writer in clients:
            writer.close()
        await until(lambda: len(log.lines) == 3)


async def test_the_proxy_opens_tunnels():
    """CONNECT is answered, and what follows passes untouched."""
    async with service(reversed_bytes) as port, opened([f"127.0.0.1:{port}", "*"]) as ((_, proxy), log):
        answer = await exchange(proxy, f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: x\r\n\r\nabc".encode())
        assert answer == b"HTTP/1.1 200 Connection established\r\n\r\ncba"
        await until(lambda: log.lines)


async def test_the_proxy_passes_plain_requests_on():
    """The other side sees an ordinary request in origin form."""

    async def http(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"GET /x?y=1 HTTP/1.1\r\nHost: 127.0.0.1:")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        writer.close()

    async with service(http) as port, opened([f"127.0.0.1:{port}", "*"]) as ((_, proxy), _log):
        answer = await exchange(proxy, f"GET http://127.0.0.1:{port}/x?y=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert answer.endswith(b"ok")


@pytest.mark.parametrize(
    ("request_line", "status", "words"),
    [
        ("CONNECT 127.0.0.1:22 HTTP/1.1", 403, 'reach = ["127.0.0.1:22"]'),
        ("GET http://169.254.169.254/latest HTTP/1.1", 403, 'reach = ["169.254.169.254:80"]'),
        ("GET / HTTP/1.1", 400, "whole http:// address"),
        ("nonsense", 400, "proxy for http"),
    ],
)
async def test_the_proxy_says_why_it_refuses(request_line, status, words):
    """A client sees the status, and who reads the answer the line to add."""
    async with opened(["*"]) as ((proxy,), _):
        answer = (await exchange(proxy, f"{request_line}\r\nHost: x\r\n\r\n".encode())).decode()
    assert answer.startswith(f"HTTP/1.1 {status} ")
    assert words in answer


async def test_a_head_that_never_ends_is_not_waited_for():
    """Nor one that is too long."""
    async with opened(["*"], bounds=ReachBounds(head_s=0.05)) as ((proxy,), _):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
        writer.write(b"GET http://x/ HT")
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(-1), 10) == b""
        writer.close()
        with contextlib.suppress(ConnectionError):
            assert (await exchange(proxy, b"GET http://x/ HTTP/1.1\r\nA: " + b"b" * 200_000)).startswith(
                b"HTTP/1.1 400"
            )


async def test_a_reader_that_is_slow_holds_the_sender_back():
    """What waits in memory for a client that reads nothing is bounded, and all of it arrives in the end."""
    sent = 0

    async def pour(reader, writer):
        nonlocal sent
        for _ in range(512):
            writer.write(bytes(65536))
            sent += 65536
            await writer.drain()
        writer.close()

    async with service(pour) as port, opened([f"127.0.0.1:{port}"]) as ((way,), _):
        reader, writer = await asyncio.open_connection("127.0.0.1", way)
        before = -1
        while sent != before:  # until the kernel's buffers and ours are full
            before = sent
            await asyncio.sleep(0.1)
        assert sent < 512 * 65536
        assert len(await asyncio.wait_for(reader.read(-1), 20)) == 512 * 65536
        writer.close()


def test_an_address_of_this_machine_is_known():
    """Loopback is its own; a documentation address is not."""
    assert is_own("127.0.0.1")
    assert not is_own("203.0.113.7")
