"""A function's way to other machines: TCP connections dialled by the server on behalf of its instances.

Bytes pass untouched, TLS too. What each connection was, and every refusal, is told in the function's log and ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog

from torpor.gateway import proxy_head
from torpor.policy.reach import Target, Way, why_closed

_log = structlog.get_logger(__name__)
_CHUNK = 64 * 1024
_FAMILIES = (socket.AF_INET, socket.AF_INET6)

Tell = Callable[[bytes], None]  # writes a line to the function's log
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReachBounds:
    """`connections`: open at one time for one instance."""

    connections: int = 64
    resolve_s: float = 5.0
    connect_s: float = 10.0
    head_s: float = 10.0


class Refused(Exception):
    """A connection that is not made: the reason for the log, and a status for clients of the proxy."""

    def __init__(self, reason: str, status: int = 502) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class Log(Protocol):
    def write(self, function: str, stream: str, request_id: str, at_ms: int, line: bytes) -> None: ...


@dataclass(slots=True)
class _Traffic:
    """Bytes of one connection, and the address it went to."""

    began: float
    address: str = ""
    sent: int = 0
    received: int = 0


async def resolve(host: str, port: int) -> Sequence[str]:
    """The host's addresses, in the system's order. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for family, _, _, _, address in found if family in _FAMILIES))


def is_own(address: str) -> bool:
    """Whether it is an address of this machine: the kernel would speak to it from that same address. Sends nothing."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, 9))
        except OSError:
            return False
        return str(probe.getsockname()[0]) == address


class Reach:
    """Opens the declared ways of instances."""

    def __init__(self, log: Log, bounds: ReachBounds | None = None, *, resolve: Resolve = resolve) -> None:
        self._log = log
        self._bounds = bounds or ReachBounds()
        self._resolve = resolve

    async def open(
        self, function: str, stream: str, ways: Sequence[Way], listeners: Sequence[socket.socket]
    ) -> OpenWays:
        """Accept on `listeners`, which are taken over, one for each of `ways`."""

        def tell(line: bytes) -> None:
            self._log.write(function, stream, "", int(time.time() * 1000), line)

        opened = OpenWays(function, tuple(way.target for way in ways if way.target), tell, self._bounds, self._resolve)
        try:
            for way, listener in zip(ways, listeners, strict=True):
                await opened.serve(way, listener)
        except BaseException:
            await opened.close()
            for listener in listeners:
                listener.close()
            raise
        return opened


class OpenWays:
    """The ways of one instance, until closed."""

    def __init__(
        self, function: str, named: Sequence[Target], tell: Tell, bounds: ReachBounds, resolve: Resolve
    ) -> None:
        self._function = function
        self._named = named
        self._tell = tell
        self._bounds = bounds
        self._resolve = resolve
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def serve(self, way: Way, listener: socket.socket) -> None:
        serve = self._proxy if way.target is None else partial(self._connect, way.target)
        listener.setblocking(False)
        self._servers.append(await asyncio.start_server(partial(self._accept, serve), sock=listener, limit=_CHUNK))

    async def close(self) -> None:
        """Close listeners and connections. Idempotent."""
        self._closed = True
        for server in self._servers:
            server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _accept(
        self,
        serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        task = asyncio.current_task()
        if task is None or self._closed:
            writer.transport.abort()
            return
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await serve(reader, writer)
        except asyncio.CancelledError:
            if not self._closed:
                raise
        except OSError:  # the instance's own end of it is gone
            pass
        except Exception:
            _log.exception("a connection failed", action="reach.failed", function=self._function)
        finally:
            writer.transport.abort()  # what was to be delivered has been flushed before

    async def _connect(self, target: Target, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(Refused):
            async with self._dialled(target) as (there, traffic):
                await self._relay(reader, writer, there, traffic)

    async def _proxy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(self._bounds.head_s):
                request = proxy_head.parse(await reader.readuntil(b"\r\n\r\n"))
        except TimeoutError:
            return
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            await _answer(writer, 400, f"This is a proxy for http and https addresses: {error}")
            return
        try:
            async with self._dialled(request.target) as (there, traffic):
                if request.tunnel:
                    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                else:
                    there[1].write(request.forward)
                    traffic.sent += len(request.forward)
                await self._relay(reader, writer, there, traffic)
        except Refused as refused:
            await _answer(writer, refused.status, f"{request.target}: {refused.reason}")

    @asynccontextmanager
    async def _dialled(
        self, target: Target
    ) -> AsyncIterator[tuple[tuple[asyncio.StreamReader, asyncio.StreamWriter], _Traffic]]:
        """A connection to `target`, told of in the log when it is over or is not made. Raises Refused."""
        traffic = _Traffic(time.monotonic())
        try:
            there = await self._dial(target, traffic)
        except Refused as refused:
            self._tell(f"REACH {target} refused: {refused.reason}".encode())
            _log.warning(
                "connection refused", action="reach.refused", function=self._function, target=str(target),
                reason=refused.reason,
            )  # fmt: skip
            raise
        try:
            yield there, traffic
        finally:
            there[1].transport.abort()
            took = (time.monotonic() - traffic.began) * 1000
            self._tell(
                f"REACH {target} at {traffic.address}: {traffic.sent} bytes sent, {traffic.received} received, "
                f"{took:.0f} ms".encode()
            )
            _log.info(
                "connection closed", action="reach.closed", function=self._function, target=str(target),
                address=traffic.address, sent=traffic.sent, received=traffic.received, ms=round(took, 1),
            )  # fmt: skip

    async def _dial(self, target: Target, traffic: _Traffic) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if len(self._tasks) > self._bounds.connections:
            raise Refused(f"this instance has {self._bounds.connections} connections open, the most it may have", 503)
        allowed, refusal = [], ""
        for address in await self._addresses(target):
            closed = why_closed(address, target.port, self._named, own=is_own(address))
            if closed:
                refusal = closed
            else:
                allowed.append(address)
        if not allowed:
            raise Refused(refusal or "its name has no address", 403 if refusal else 502)
        failure = ""
        try:
            async with asyncio.timeout(self._bounds.connect_s):
                for address in allowed:
                    try:
                        opened = await asyncio.open_connection(address, target.port, limit=_CHUNK)
                    except OSError as error:
                        failure = f"{address} does not answer: {error.strerror or error}"
                        continue
                    traffic.address = address
                    return opened
        except TimeoutError:
            raise Refused(f"{address} does not answer within {self._bounds.connect_s:g} s", 504) from None
        raise Refused(failure)

    async def _addresses(self, target: Target) -> Sequence[str]:
        try:
            async with asyncio.timeout(self._bounds.resolve_s):
                return await self._resolve(target.host, target.port)
        except TimeoutError:
            raise Refused(f"its name was not resolved within {self._bounds.resolve_s:g} s", 504) from None
        except (OSError, UnicodeError) as error:
            raise Refused(f"its name is not resolved: {getattr(error, 'strerror', None) or error}") from None

    async def _relay(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        traffic: _Traffic,
    ) -> None:
        """Pass bytes on both ways until both ends have closed, or one is lost. Half-closed connections stay so."""

        def sent(count: int) -> None:
            traffic.sent += count

        def received(count: int) -> None:
            traffic.received += count

        out = asyncio.ensure_future(_pump(reader, there[1], sent))
        back = asyncio.ensure_future(_pump(there[0], writer, received))
        try:
            await asyncio.wait({out, back}, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for pump in (out, back):
                pump.cancel()
            await asyncio.gather(out, back, return_exceptions=True)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, count: Callable[[int], None]) -> None:
    while data := await source.read(_CHUNK):
        sink.write(data)
        count(len(data))
        await sink.drain()
    sink.write_eof()
    await _flushed(sink)


async def _flushed(writer: asyncio.StreamWriter) -> None:
    """Wait until everything is with the kernel: `drain` stops at the high-water mark."""
    writer.transport.set_write_buffer_limits(high=0)
    await writer.drain()


async def _answer(writer: asyncio.StreamWriter, status: int, text: str) -> None:
    body = f"{text}\n".encode()
    writer.write(
        f"HTTP/1.1 {status} {proxy_head.phrase(status)}\r\ncontent-type: text/plain; charset=utf-8\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode()
        + body
    )
    await _flushed(writer)
    writer.write_eof()
