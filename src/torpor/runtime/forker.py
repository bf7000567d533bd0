"""The loop of a trusted process that forks an init for each order, tells of each end, and reaps.

Used by the sentinel and, inside a zygote's namespaces, by its nest. It blocks on its socket to the server, and leaves
when that is gone.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import struct
from collections.abc import Callable
from typing import NoReturn

from torpor.sandbox import namespaces

ORDER = struct.Struct("<Q")  # a start: the order's number; what to do is in the first of the descriptors with it
NEWS = struct.Struct("<cQi")  # what happened, to which order, a wait status or an errno
STARTED, REFUSED, ENDED = b"S", b"R", b"E"
MAX_DESCRIPTORS = 16
MAX_MESSAGE = 4096


class Forker:
    """Orders in, forks out, news back. `child` is what a fork does, with its order's number and descriptors."""

    def __init__(self, server: socket.socket, child: Callable[[int, list[int]], NoReturn]) -> None:
        self._server = server
        self._child = child
        self._orders: dict[int, int] = {}  # process id → order
        self._wakeup, self._alarm = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self.listen(server, self._obey)
        self.listen(self._wakeup, self._bury)

    def listen(self, source: socket.socket, act: Callable[[], None]) -> None:
        self._selector.register(source, selectors.EVENT_READ, act)

    def ignore(self, source: socket.socket) -> None:
        self._selector.unregister(source)

    def run(self) -> NoReturn:
        self._alarm.setblocking(False)
        self._wakeup.setblocking(False)
        signal.set_wakeup_fd(self._alarm.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        while True:
            for key, _ in self._selector.select():
                key.data()

    def obey(self, message: bytes, descriptors: list[int]) -> None:
        """Carry out one message from the server; the descriptors are closed after it."""
        (order,) = ORDER.unpack(message)
        try:
            self._start(order, descriptors)
        except OSError as error:
            self.tell(REFUSED, order, error.errno or 0)

    def buried(self, pid: int, status: int) -> None:
        """A child has ended and was waited for."""
        order = self._orders.pop(pid, None)
        if order is not None:
            self.tell(ENDED, order, status)

    def started(self, pid: int, order: int, descriptors: list[int]) -> None:
        """A child lives. Nothing but a subclass needs to know."""

    def tell(
        self, what: bytes, order: int, detail: int, descriptors: list[int] | None = None, text: bytes = b""
    ) -> None:
        try:
            socket.send_fds(self._server, [NEWS.pack(what, order, detail) + text], descriptors or [])
        except (BrokenPipeError, ConnectionResetError):
            os._exit(0)

    def _obey(self) -> None:
        message, descriptors, _, _ = socket.recv_fds(self._server, MAX_MESSAGE, MAX_DESCRIPTORS)
        if not message:
            os._exit(0)
        try:
            self.obey(message, descriptors)
        finally:
            for fd in descriptors:
                os.close(fd)

    def _start(self, order: int, descriptors: list[int]) -> None:
        pid = namespaces.fork_as_init()
        if pid == 0:
            self._child(order, descriptors)
        self._orders[pid] = order
        self.started(pid, order, descriptors)
        handle = os.pidfd_open(pid)
        try:
            self.tell(STARTED, order, pid, [handle])
        finally:
            os.close(handle)

    def _bury(self) -> None:
        self._wakeup.recv(MAX_MESSAGE)
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                self.buried(pid, status)
