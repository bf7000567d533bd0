"""One process tree from order to end, as the server hears of it: from the sentinel and from the tree's own init."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket

from torpor.core.errors import StartFailed
from torpor.runtime import forked, init

MAX_DOORS = 64


class Birth:
    """An order under way and, later, a life: what the sentinel and init tell about one process tree."""

    def __init__(self, report: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[tuple[socket.socket, ...]] = loop.create_future()
        self.begun: asyncio.Future[None] = loop.create_future()  # from here on there is a handle
        self.waiting: asyncio.Future[None] = loop.create_future()  # a blank's: it has its output and doors, and no code
        self.over: asyncio.Future[int] = loop.create_future()  # the wait status of the worker
        self.handle = -1
        self._report = report
        self._doomed = False
        self._held: list[int] = []
        self._worker_status: int | None = None
        report.setblocking(False)
        loop.add_reader(report.fileno(), self._hear)

    def started(self, handle: int) -> None:
        self.handle = handle
        self.begun.set_result(None)
        if self._doomed:
            self.kill()

    def refused(self, reason: str) -> None:
        self._fail(reason)
        self.ended(signal.SIGKILL)

    def ended(self, status: int) -> None:
        self._hear()
        self.close_report()
        self._fail("the instance ended while it was being started")
        if not self.over.done():
            self.over.set_result(status if self._worker_status is None else self._worker_status)

    def take(self) -> list[int]:
        """The descriptors that a blank waits with, from now on the taker's: its output, its worker, its listeners."""
        held, self._held = self._held, []
        return held

    def kill(self) -> None:
        """End init, and by that everything in its PID namespace."""
        self._doomed = True
        if self.handle >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.handle, signal.SIGKILL)

    def close_report(self) -> None:
        if self._report.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._report.fileno())
            self._report.close()

    async def abandon(self) -> None:
        """Kill it, wait until all of it is gone, and let go of the descriptors."""
        self.kill()
        await asyncio.shield(self.over)
        self.close_report()
        if not self.ready.exception():
            for listener in self.ready.result():
                listener.close()
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1

    def _hear(self) -> None:
        while self._report.fileno() >= 0:
            try:
                message, fds, _, _ = socket.recv_fds(self._report, init.MAX_REASON + 1, MAX_DOORS + 2)
            except BlockingIOError:
                return
            except ConnectionResetError:
                message, fds = b"", []
            if not message:
                self.close_report()
                return
            self._heed(message, fds)

    def _heed(self, message: bytes, fds: list[int]) -> None:
        if message[:1] == forked.WAITING and not self.waiting.done():
            self._held = fds
            self.waiting.set_result(None)
            return
        listeners = tuple(socket.socket(fileno=fd) for fd in fds)
        kind, rest = message[:1], message[1:]
        if kind == init.READY and not self.ready.done():
            self.ready.set_result(listeners)
            return
        for listener in listeners:
            listener.close()
        if kind == init.FAILED:
            self._fail(rest.decode(errors="replace"))
        elif kind == init.ENDED:
            (self._worker_status,) = init.STATUS.unpack(rest)

    def _fail(self, reason: str) -> None:
        for future in (self.waiting, self.ready):
            if not future.done():
                future.set_exception(StartFailed(reason))
                future.exception()  # seen: whoever waits still gets it
