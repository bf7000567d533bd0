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
from typing import Any

import torpor
from torpor.core.errors import NotSupported, StartFailed
from torpor.runtime import forker, sentinel
from torpor.runtime.dispatch import Dispatch, Order
from torpor.sandbox.ids import IdPlan

_BACK_OFF_S = (0.0, 0.1, 0.5, 2.0, 5.0)
_MAX_NEWS = 8192
_SPAWN_S = 20
_PROGRAM = "import sys; sys.path.insert(0, {path!r}); from torpor.runtime.{module} import main; main()"


def bare_python(module: str, *words: str) -> list[str]:
    """A command line for one of our own processes: no site packages, no variables, no working folder on the path."""
    path = str(Path(torpor.__file__).parents[1])
    return [sys.executable, "-I", "-S", "-c", _PROGRAM.format(path=path, module=module), *words]


class SentinelLink:
    """One sentinel at a time. Everything happens on the event loop's thread but the start of the process."""

    def __init__(self, plan: IdPlan) -> None:
        self._plan = plan
        # What is said beside news of orders is why it leaves; what follows from that, follows from its end.
        self._dispatch = Dispatch("sentinel", started=self._started, other=lambda *_: None)
        self._handle = -1
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
        self._handle = handle
        self._dispatch.connect(ours)
        asyncio.get_running_loop().add_reader(handle, self._gone)

    @property
    def _server(self) -> socket.socket | None:
        return self._dispatch.server

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
        """Order a start; see Dispatch.give. Raises StartFailed while there is no sentinel."""
        return self._dispatch.give(order, descriptors)

    def hand(self, sources: Sequence[str], receiver: int) -> None:
        """Have read-only copies of these host folders sent to `receiver`; whoever waits there is told of failure, too.

        Raises StartFailed while there is no sentinel.
        """
        text = sentinel.HAND + json.dumps(list(sources)).encode()
        if len(text) > forker.MAX_MESSAGE:
            raise StartFailed("the paths of the function's folders are too long")
        self._dispatch.post(text, [receiver])

    def _started(self) -> None:
        self._failures = 0

    def _gone(self) -> None:
        """The sentinel is dead, and with it everything that ran below it."""
        self._dispatch.hear()
        self._drop()
        self._dispatch.end_all()
        if not self._closing.is_set():
            self._opening = asyncio.get_running_loop().create_task(self._revive())

    def _drop(self) -> None:
        self._dispatch.disconnect()
        if self._handle >= 0:
            asyncio.get_running_loop().remove_reader(self._handle)
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
        raise OSError(news[forker.NEWS.size :].decode(errors="replace") or "it ended without a word")
    return news.startswith(sentinel.SERVING)


def _bury(handle: int) -> None:
    with contextlib.suppress(ChildProcessError):
        os.waitid(os.P_PIDFD, handle, os.WEXITED)
    os.close(handle)
