"""The server's end of a socket to a forker, the sentinel or a nest: orders out, news of them in."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Protocol

from torpor.core.errors import StartFailed
from torpor.runtime import forker

_MAX_NEWS = 1 << 17
_AT_ONCE = 64  # messages taken in before others on the loop have their turn


class Order(Protocol):
    """Somebody who gave an order and hears what becomes of it."""

    def started(self, handle: int) -> None:
        """The init lives; `handle` is its pidfd, now the listener's own."""

    def refused(self, reason: str) -> None:
        """It was not started."""

    def ended(self, status: int) -> None:
        """Init and everything below it are gone; the wait status is init's own."""


class Dispatch:
    """One socket at a time. `name` says in errors who is at the other end; `other` gets news about no order."""

    def __init__(self, name: str, *, started: Callable[[], None], other: Callable[[bytes, int, bytes], None]) -> None:
        self._name = name
        self._started = started
        self._other = other
        self._orders: dict[int, Order] = {}
        self._last = 0
        self._outbox: list[tuple[bytes, list[int]]] = []
        self.server: socket.socket | None = None

    def connect(self, server: socket.socket) -> None:
        server.setblocking(False)
        self.server = server
        asyncio.get_running_loop().add_reader(server.fileno(), self.hear)

    def disconnect(self) -> None:
        """Close the socket, and forget what was not yet sent."""
        if self.server is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self.server.fileno())
            loop.remove_writer(self.server.fileno())
            self.server.close()
            self.server = None
        for _, descriptors in self._outbox:
            close_all(descriptors)
        self._outbox.clear()

    def end_all(self) -> None:
        """Tell everyone that theirs has ended: the other end is gone, and all below it."""
        orders, self._orders = self._orders, {}
        for order in orders.values():
            order.ended(signal.SIGKILL)

    def give(self, order: Order, descriptors: Sequence[int]) -> int:
        """Order a start; `descriptors` are copied and stay the caller's. Returns the order's number.

        Raises StartFailed while nobody is connected.
        """
        self._must_be_connected()
        copies = _copies(descriptors)
        self._last += 1
        self._orders[self._last] = order
        self._outbox.append((forker.ORDER.pack(self._last), copies))
        self._flush()
        return self._last

    def post(self, message: bytes, descriptors: Sequence[int]) -> None:
        """Send what is no order. Raises StartFailed while nobody is connected."""
        self._must_be_connected()
        self._outbox.append((message, _copies(descriptors)))
        self._flush()

    def _must_be_connected(self) -> None:
        if self.server is None:
            raise StartFailed(f"the {self._name} is being restarted; try again")

    def _flush(self) -> None:
        server = self.server
        while self._outbox and server is not None:
            message, descriptors = self._outbox[0]
            try:
                socket.send_fds(server, [message], descriptors)
            except BlockingIOError:
                asyncio.get_running_loop().add_writer(server.fileno(), self._flush)
                return
            except OSError as error:
                self._undelivered(message, error)
            self._outbox.pop(0)
            close_all(descriptors)
        if server is not None:
            asyncio.get_running_loop().remove_writer(server.fileno())

    def _undelivered(self, message: bytes, error: OSError) -> None:
        """Fail the order. What is no order fails by the end of the one that it belongs to."""
        if len(message) == forker.ORDER.size:
            order = self._orders.pop(forker.ORDER.unpack(message)[0])
            order.refused(f"the {self._name} was not reached: {error}")

    def hear(self) -> None:
        """Take in what was said, a bounded number of messages at a time."""
        for _ in range(_AT_ONCE):
            if self.server is None:
                return
            try:
                message, handles, _, _ = socket.recv_fds(self.server, _MAX_NEWS, 1)
            except BlockingIOError:
                return
            except ConnectionResetError:
                message, handles = b"", []
            if not message:
                # Its end comes before those of its children: when all of them are gone is told elsewhere.
                asyncio.get_running_loop().remove_reader(self.server.fileno())
                return
            self._heed(message, handles)

    def _heed(self, message: bytes, handles: list[int]) -> None:
        what, number, detail = forker.NEWS.unpack_from(message)
        if what == forker.STARTED and number in self._orders:
            self._started()
            if handles:
                self._orders[number].started(handles[0])
            else:  # init leaves when it finds that nobody hears its report
                self._orders.pop(number).refused("the server has too many open files to hold another instance")
            return
        close_all(handles)
        if what not in (forker.REFUSED, forker.ENDED):
            self._other(what, detail, message[forker.NEWS.size :])
            return
        order = self._orders.pop(number, None)
        if order is not None and what == forker.REFUSED:
            order.refused(f"the {self._name} could not fork: {os.strerror(detail)}")
        elif order is not None:
            order.ended(detail)


def _copies(descriptors: Sequence[int]) -> list[int]:
    copies: list[int] = []
    try:
        for fd in descriptors:
            copies.append(os.dup(fd))  # noqa: PERF401 -- those made are to be closed when the next one fails
    except OSError as error:
        close_all(copies)
        raise StartFailed(f"the server has too many open files: {error}") from error
    return copies


def close_all(descriptors: Sequence[int]) -> None:
    for fd in descriptors:
        os.close(fd)
