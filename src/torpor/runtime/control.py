"""The server's end of the control channel: frames to the guest, and its untrusted frames handed on."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

from torpor.wire.frames import FROM_GUEST, Decoder, Frame, ProtocolViolation, encode_header

_SLACK = 256 * 1024  # error objects and the report of initialisation may be larger than a small response limit
_JOIN_BELOW = 64 * 1024  # copying a small payload is cheaper than a second system call


class Control(asyncio.Protocol):
    """`on_frame` gets every frame; `on_violation` a breach of the protocol; `on_lost` the end, once."""

    def __init__(
        self,
        max_payload: int,
        on_frame: Callable[[Frame], None],
        on_violation: Callable[[str], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._decoder = Decoder(max_payload + _SLACK, FROM_GUEST)
        self._on_frame = on_frame
        self._on_violation = on_violation
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._closing = False
        self._gone = asyncio.get_running_loop().create_future()

    async def attach(self, control: socket.socket) -> None:
        """Begin to listen; the transport closes the socket."""
        try:
            await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=control)
        except BaseException:  # a cancelled connection is closed by the loop, and uvloop's never says that it is lost
            self._left()
            raise

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not derive from asyncio's class
        if self._closing:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            frames = self._decoder.feed(data)
        except ProtocolViolation as violation:
            self._on_violation(str(violation))
            return
        for frame in frames:
            self._on_frame(frame)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio's signature
        self._left()
        self._on_lost()

    def _left(self) -> None:
        self._transport = None
        if not self._gone.done():
            self._gone.set_result(None)

    def send(self, kind: int, request: int, head: bytes, body: bytes) -> None:
        """Write one frame whose payload is `head` and `body`; does nothing once the channel is gone."""
        if self._transport is None:
            return
        header = encode_header(kind, request, len(head) + len(body)) + head
        if len(body) < _JOIN_BELOW:
            self._transport.write(header + body)
        else:
            self._transport.write(header)
            self._transport.write(body)

    async def close(self) -> None:
        """Drop what was not written, and wait until the socket is closed. A connection still being made ends, too."""
        self._closing = True
        if self._transport is not None:
            self._transport.abort()
            await self._gone
