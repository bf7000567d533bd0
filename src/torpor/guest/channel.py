"""The guest's end of the control channel, kept out of the way of user code."""

# ruff: noqa: TID252  # relative, since inside a sandbox this package is `_torpor_guest`

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import socket
import threading
from collections import deque

from ..wire.frames import FROM_SERVER, Decoder, Frame, encode_header

CONTROL_FD = 3
_CHUNK = 256 * 1024
_JOIN_BELOW = 64 * 1024  # copying a small payload is cheaper than a second system call


class ChannelLost(Exception):
    """The server is gone, or user code closed or replaced the descriptor: this process has no further use."""


class Channel:
    """Blocking frames over one stream socket. Sending is safe from several threads."""

    def __init__(self, connection: socket.socket, max_payload: int = 2**32 - 1) -> None:
        self._connection = connection
        self._decoder = Decoder(max_payload, FROM_SERVER)
        self._received: deque[Frame] = deque()
        self._lock = threading.Lock()

    def receive(self) -> Frame | None:
        """The next frame; None when the server has closed its end. Raises ChannelLost."""
        while not self._received:
            try:
                data = self._connection.recv(_CHUNK)
            except OSError as error:
                raise ChannelLost(str(error)) from error
            if not data:
                return None
            self._received.extend(self._decoder.feed(data))
        return self._received.popleft()

    def fileno(self) -> int:
        """The descriptor that becomes readable when frames arrive."""
        return self._connection.fileno()

    def receive_nowait(self) -> list[Frame] | None:
        """Every whole frame that is there; None when the server has closed its end. Never waits. Raises ChannelLost."""
        try:
            data = self._connection.recv(_CHUNK, socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            return []
        except OSError as error:
            raise ChannelLost(str(error)) from error
        return self._decoder.feed(data) if data else None

    def send(self, kind: int, request: int, payload: bytes) -> None:
        """Write one frame. Raises ChannelLost."""
        header = encode_header(kind, request, len(payload))
        try:
            with self._lock:
                if len(payload) < _JOIN_BELOW:
                    self._connection.sendall(header + payload)
                else:
                    self._connection.sendall(header)
                    self._connection.sendall(payload)
        except OSError as error:
            raise ChannelLost(str(error)) from error


def open_channel(fd: int = CONTROL_FD) -> Channel:
    """Take over the inherited descriptor: moved to a high number, so that code which writes to, closes or reuses low
    ones does not meet it by accident, and closed in every program that user code executes.
    """
    hidden = _move_up(fd)
    connection = socket.socket(fileno=hidden)
    connection.setblocking(True)
    return Channel(connection)


def _move_up(fd: int) -> int:
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    ceiling = 1024 if soft == resource.RLIM_INFINITY else min(soft, 1024)
    with contextlib.suppress(OSError, ValueError):  # a very low limit leaves no high numbers: stay where we are
        hidden = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, max(ceiling - 16, 4))
        os.close(fd)
        return hidden
    os.set_inheritable(fd, False)
    return fd
