"""uvicorn's HTTP protocol with bounds: connections, the size of a request's head, and the time it may take.

httptools alone accepts a head of any size, and uvicorn waits for ever for the first byte of one, for the rest of a body
that nobody wants any more, and for a client that does not read its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one listener puts up with. `keep_alive_s` is how long an idle connection stays.

    A client that was answered early may still send `unwanted_bytes` of its body: closing at once would reset the
    connection, and the answer might never be read.
    """

    connections: int = 10_000
    head_bytes: int = 64 * 1024
    head_s: float = 30.0
    keep_alive_s: int = 75
    unwanted_bytes: int = 128 * 1024 * 1024
    linger_s: float = 30.0


class Output:
    """A transport as a request's answer is written to it: while held, the head waits for the body, to leave with it."""

    __slots__ = ("_held", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held: bytes | None = None

    def hold(self) -> None:
        """Keep the next piece until another one comes, or until `release`."""
        self._held = b""

    def release(self) -> None:
        """Write what is kept. Idempotent."""
        held, self._held = self._held, None
        if held:
            self._transport.write(held)

    def write(self, data: bytes) -> None:
        if self._held is None:
            self._transport.write(data)
        elif self._held:
            whole, self._held = self._held + data, None
            self._transport.write(whole)
        else:
            self._held = data

    def close(self) -> None:
        self.release()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()


class Connection(HttpToolsProtocol):
    """One client's connection. An application finds it in its scope as `torpor.connection`.

    `on_lost` is called when the client leaves while it is set.
    """

    bounds = Bounds()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.access_log = False  # the application logs, when asked; uvicorn would whenever the root logger has handlers
        self.on_lost: Callable[[], object] | None = None
        self._head_bytes = 0
        self._unwanted_bytes = 0
        self._in_head = False
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        super().connection_made(transport)
        if len(self.connections) > self.bounds.connections:
            transport.abort()
            return
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)
        if self.on_lost is not None:
            self.on_lost()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            self._bound_head(len(data))
        elif self._head_timer is not None:
            self._disarm()
        if self.cycle is not None and self.cycle.response_complete:
            self._stay()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        cast("MutableMapping[str, Any]", self.scope)["torpor.connection"] = self
        self._in_head, self._head_bytes = True, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # a chunked body's trailers are not headers: they come after the checks
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()
        # uvicorn writes head and body apart: two system calls, two packets, and a client that wakes up twice
        output = Output(self.transport)
        self.cycle.transport = cast("asyncio.Transport", output)
        cast("MutableMapping[str, Any]", self.scope)["torpor.output"] = output

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        if self.cycle.response_complete:
            self._unwanted_bytes += len(body)
            if self._unwanted_bytes > self.bounds.unwanted_bytes:
                self.transport.abort()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._end_for_certain()

    def _bound_head(self, received: int) -> None:
        self._head_bytes += received
        if self._head_bytes > self.bounds.head_bytes:
            self._refuse(431, b"Request Header Fields Too Large")
        elif self._head_timer is None:
            self._arm()

    def _stay(self) -> None:
        """What came was not a request: the time that an idle connection may stay begins again."""
        if self.timeout_keep_alive_task is None and not self.transport.is_closing():
            handler = self.timeout_keep_alive_handler
            self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, handler)

    def _arm(self) -> None:
        self._head_timer = self.loop.call_later(self.bounds.head_s, self._refuse, 408, b"Request Timeout")

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: int, reason: bytes) -> None:
        """Answer outside of any application, unless it is answering, and hang up."""
        self._disarm()
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(b"HTTP/1.1 %d %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % (status, reason))
        self.transport.close()
        self._end_for_certain()

    def _end_for_certain(self) -> None:
        """Closing waits until the client has read what was written; a client that never does is cut off."""
        self.loop.call_later(self.bounds.linger_s, self.transport.abort)


def bounded(bounds: Bounds) -> type[Connection]:
    """A class of connections with these bounds."""
    return type("BoundedConnection", (Connection,), {"bounds": bounds})
