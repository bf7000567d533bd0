"""uvicorn's HTTP protocol with bounds: connections, the size of a request's head, and the time it may take.

httptools alone accepts a head of any size, and uvicorn waits for ever for the first byte of one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one listener puts up with. `keep_alive_s` is how long an idle connection stays."""

    connections: int = 10_000
    head_bytes: int = 64 * 1024
    head_s: float = 30.0
    keep_alive_s: int = 75


class Connection(HttpToolsProtocol):
    """One client's connection. An application finds it in its scope as `torpor.connection`."""

    bounds = Bounds()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.on_lost: Callable[[], object] | None = None
        self._head_bytes = 0
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
        if not self._in_head:
            if self._head_timer is not None:
                self._disarm()
            return
        self._head_bytes += len(data)
        if self._head_bytes > self.bounds.head_bytes:
            self._refuse(431, b"Request Header Fields Too Large")
        elif self._head_timer is None:
            self._arm()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["torpor.connection"] = self  # type: ignore[typeddict-unknown-key]
        self._in_head, self._head_bytes = True, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # a chunked body's trailers are not headers: they come after the checks
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

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


def bounded(bounds: Bounds) -> type[Connection]:
    """A class of connections with these bounds."""
    return type("BoundedConnection", (Connection,), {"bounds": bounds})
