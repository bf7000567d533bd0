"""The server's end of the sentinel: starts it, gives it orders, hears its news, and starts another when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torpor
from torpor.core.errors import NotSupported, StartFailed
from torpor.runtime import sentinel
from torpor.sandbox.ids import IdPlan

_BACK_OFF_S = (0.0, 0.1, 0.5, 2.0, 5.0)
_MAX_NEWS = 8192
_SPAWN_S = 20
_PROGRAM = "import sys; sys.path.insert(0, {path!r}); from torpor.runtime.{module} import main; main()"


class Order(Protocol):
    """Somebody who gave an order and hears what becomes of it."""

    def started(self, handle: int) -> None:
        """The init lives; `handle` is its pidfd, now the listener's own."""

    def refused(self, reason: str) -> None:
        """It was not started."""

    def ended(self, status: int) -> None:
        """Init and everything below it are gone; the wait status is init's own."""


def bare_python(module: str, *words: str) -> list[str]:
    """A command line for one of our own processes: no site packages, no variables, no working folder on the path."""
    path = str(Path(torpor.__file__).parents[1])
    return [sys.executable, "-I", "-S", "-c", _PROGRAM.format(path=path, module=module), *words]


class SentinelLink:
    """One sentinel at a time. Everything happens on the event loop's thread but the start of the process."""

    def __init__(self, plan: IdPlan) -> None:
        self._plan = plan
        self._orders: dict[int, Order] = {}
        self._last = 0
        self._server: socket.socket | None = None
        self._handle = -1
        self._outbox: list[tuple[bytes, list[int]]] = []
        self._failures = 0
        self._opening: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    async def open(self) -> None:
        """Start a sentinel. Raises NotSupported, saying what this machine refused."""
        self._opening = asyncio.create_task(self._open())
        await asyncio.shield(self._opening)  # what a thread has begun must be known to close()

    async def _open(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            handle = await asyncio.to_thread(self._spawn, ours, theirs)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._server, self._handle = ours, handle
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        loop.add_reader(ours.fileno(), self._hear)
        loop.add_reader(handle, self._gone)

    def _spawn(self, ours: socket.socket, theirs: socket.socket) -> int:
        plan = self._plan
        setup: dict[str, Any] = {"users": plan.users, "groups": plan.groups}
        if plan.tools:
            setup["tools"] = plan.tools
        words = bare_python("sentinel", str(theirs.fileno()), json.dumps(setup))
        child = subprocess.Popen(
            words,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
        )
        ours.settimeout(_SPAWN_S)
        theirs.close()
        with child:
            try:
                return _await_sentinel(ours)
            except OSError as error:
                child.kill()
                raise NotSupported(
                    f"the sentinel did not start: {error}. `torpor doctor` says what is missing"
                ) from error

    def give(self, order: Order, descriptors: Sequence[int]) -> int:
        """Order a start; `descriptors` are copied and stay the caller's. Returns the order's number.

        Raises StartFailed while there is no sentinel.
        """
        if self._server is None:
            raise StartFailed("the sentinel is being restarted; try again")
        copies = _copies(descriptors)
        self._last += 1
        self._orders[self._last] = order
        self._outbox.append((sentinel.ORDER.pack(self._last), copies))
        self._flush()
        return self._last

    def _flush(self) -> None:
        server = self._server
        while self._outbox and server is not None:
            message, descriptors = self._outbox[0]
            try:
                socket.send_fds(server, [message], descriptors)
            except BlockingIOError:
                asyncio.get_running_loop().add_writer(server.fileno(), self._flush)
                return
            except OSError as error:
                self._orders.pop(sentinel.ORDER.unpack(message)[0]).refused(f"the sentinel was not reached: {error}")
            self._outbox.pop(0)
            _close_all(descriptors)
        if server is not None:
            asyncio.get_running_loop().remove_writer(server.fileno())

    def _hear(self) -> None:
        """Take in what the sentinel says, a bounded number of messages at a time."""
        for _ in range(64):
            if self._server is None:
                return
            try:
                message, handles, _, _ = socket.recv_fds(self._server, _MAX_NEWS, 1)
            except BlockingIOError:
                return
            except ConnectionResetError:
                message, handles = b"", []
            if not message:
                # Its end comes before those of its children; _gone is called once all of them are gone.
                asyncio.get_running_loop().remove_reader(self._server.fileno())
                return
            self._heed(message, handles)

    def _heed(self, message: bytes, handles: list[int]) -> None:
        what, number, detail = sentinel.NEWS.unpack_from(message)
        if what == sentinel.STARTED and number in self._orders:
            self._failures = 0
            if handles:
                self._orders[number].started(handles[0])
            else:  # init leaves when it finds that nobody hears its report
                self._orders.pop(number).refused("the server has too many open files to hold another instance")
            return
        _close_all(handles)
        if what == sentinel.BROKEN:
            return  # it says why it leaves; what follows from that, follows from its end
        order = self._orders.pop(number, None)
        if order is not None and what == sentinel.REFUSED:
            order.refused(f"the sentinel could not fork: {os.strerror(detail)}")
        elif order is not None:
            order.ended(detail)

    def _gone(self) -> None:
        """The sentinel is dead, and with it everything that ran below it."""
        self._hear()
        self._drop()
        orders, self._orders = self._orders, {}
        for order in orders.values():
            order.ended(signal.SIGKILL)
        if not self._closing.is_set():
            self._opening = asyncio.get_running_loop().create_task(self._revive())

    def _drop(self) -> None:
        loop = asyncio.get_running_loop()
        if self._server is not None:
            loop.remove_reader(self._server.fileno())
            loop.remove_writer(self._server.fileno())
            self._server.close()
            self._server = None
        for _, descriptors in self._outbox:
            _close_all(descriptors)
        self._outbox.clear()
        if self._handle >= 0:
            loop.remove_reader(self._handle)
            _bury(self._handle)
            self._handle = -1

    async def _revive(self) -> None:
        """Start another one, waiting longer each time until one has obeyed an order."""
        while not self._closing.is_set():
            pause_s = _BACK_OFF_S[min(self._failures, len(_BACK_OFF_S) - 1)]
            self._failures += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), pause_s)
                return
            with contextlib.suppress(NotSupported, OSError):  # once it did start; the next try is later
                await self._open()
                return

    async def close(self) -> None:
        """End the sentinel, and wait until it and all below are gone."""
        self._closing.set()
        if self._opening is not None:
            await asyncio.gather(self._opening, return_exceptions=True)
        if self._handle < 0:
            return
        gone = asyncio.Event()
        loop = asyncio.get_running_loop()
        signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        loop.remove_reader(self._handle)
        loop.add_reader(self._handle, gone.set)
        await gone.wait()
        self._gone()


def _copies(descriptors: Sequence[int]) -> list[int]:
    copies: list[int] = []
    try:
        for fd in descriptors:
            copies.append(os.dup(fd))  # noqa: PERF401 -- those made are to be closed when the next one fails
    except OSError as error:
        _close_all(copies)
        raise StartFailed(f"the server has too many open files: {error}") from error
    return copies


def _close_all(descriptors: Sequence[int]) -> None:
    for fd in descriptors:
        os.close(fd)


def _await_sentinel(ours: socket.socket) -> int:
    """Wait until it serves; returns its pidfd. The process that made it and it itself speak in either order."""
    handle, serving = -1, False
    try:
        while handle < 0 or not serving:
            news, handles, _, _ = socket.recv_fds(ours, _MAX_NEWS, 1)
            handle = handles[0] if handles else handle
            serving = _is_serving(news) or serving
    except OSError:
        if handle >= 0:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
            _bury(handle)
        raise
    return handle


def _is_serving(news: bytes) -> bool:
    if not news or news.startswith(sentinel.BROKEN):
        raise OSError(news[sentinel.NEWS.size :].decode(errors="replace") or "it ended without a word")
    return news.startswith(sentinel.SERVING)


def _bury(handle: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_PIDFD, handle, os.WEXITED)
    os.close(handle)
