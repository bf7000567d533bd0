"""Handlers written with `async def`: one event loop, which lives as long as the instance.

What a handler opens in it, connection pools above all, is there for the invocations that follow. Between two of them
the loop waits for the next one, and tasks that a handler left behind go on, until the server freezes the instance.
"""

# ruff: noqa: TID252  # relative, since inside a sandbox this package is `_torpor_guest`

from __future__ import annotations

import asyncio
import contextlib
import threading
import warnings
from collections.abc import Coroutine, Iterator
from typing import Any, Callable, Protocol  # Callable not from collections.abc: that alias fails on 3.9.0 and 3.9.1

from ..wire.frames import INVOKES, Frame, Kind
from .channel import Channel, ChannelLost
from .flows import Abandoned, Flow, Flows

_Work = Coroutine[Any, Any, Any]
Settle = Callable[[_Work], Any]  # runs a coroutine to its end, and returns what came of it


class Answers(Protocol):
    """Whoever runs the handler for one frame."""

    flows: Flows

    async def answer_async(self, frame: Frame) -> None: ...


def serve_in_loop(channel: Channel, answers: Answers) -> None:
    """Make a task of every invocation, until the server closes its end or says so. Raises ChannelLost.

    The server never sends more than the instance's slots. An exit, or a lost channel, in a task passes to the caller.
    """
    _Server(channel, answers).run()


class _Server:
    def __init__(self, channel: Channel, answers: Answers) -> None:
        self._channel = channel
        self._answers = answers
        self._loop = _main_loop()
        self._tasks: set[asyncio.Task[None]] = set()  # the loop itself holds tasks weakly
        self._done = False
        self._lost: BaseException | None = None

    def run(self) -> None:
        self._loop.add_reader(self._channel.fileno(), self._readable)
        while not self._done:
            self._loop.run_forever()  # again where a handler stopped it: that is not the instance's end
        if self._lost is not None:
            raise self._lost

    def _readable(self) -> None:
        try:
            frames = self._channel.receive_nowait()
        except ChannelLost as error:
            self._leave(error)
            return
        if frames is None:
            self._leave()
            return
        for frame in frames:
            if frame.kind == Kind.SHUTDOWN:
                self._leave()
                return
            if frame.kind not in INVOKES:
                self._answers.flows.heed(frame)
                continue
            task = self._loop.create_task(self._answer(frame))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, frame: Frame) -> None:
        try:
            await self._answers.answer_async(frame)
        except BaseException as error:  # an exit above all: the loop would complain of a task that failed
            self._leave(error)

    def _leave(self, error: BaseException | None = None) -> None:
        self._done, self._lost = True, self._lost or error
        self._loop.remove_reader(self._channel.fileno())
        self._loop.stop()


class TaskFlow(Flow):
    """For tasks: the loop reads the channel. One that is cancelled ends what its generator waits for."""

    def __init__(self, channel: Channel, request: int) -> None:
        super().__init__(channel, request)
        self._changed = asyncio.Event()
        self._task: asyncio.Task[Any] | None = None

    def heed(self, frame: Frame) -> None:
        super().heed(frame)
        self._changed.set()
        if self._cancelled and self._task is not None:
            self._task.cancel()

    @contextlib.contextmanager
    def driving(self) -> Iterator[None]:
        """While a generator is driven. Raises Abandoned in the place of the cancellation that we asked for."""
        if self._cancelled:
            raise Abandoned
        self._task = asyncio.current_task()
        try:
            yield
        except asyncio.CancelledError:
            if not self.cancelled:
                raise
            if self._task is not None and hasattr(self._task, "uncancel"):  # from Python 3.11 on
                self._task.uncancel()
            raise Abandoned from None
        finally:
            self._task = None

    async def send_async(self, data: bytes) -> None:
        """Wait until it may leave, and send it. Raises Abandoned and ChannelLost."""
        left = memoryview(data)
        while left:
            while not self._credit:
                self._changed.clear()
                await self._changed.wait()
            left = self._send_some(left)


def _main_loop() -> asyncio.AbstractEventLoop:
    """The one that the handler's module made or set while it was imported, where there is one; else a new one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            loop = asyncio.get_event_loop()
        except RuntimeError:  # from Python 3.14 on there is none unless somebody set it
            loop = asyncio.new_event_loop()
    if loop.is_closed():  # by asyncio.run in the module
        loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop


def loop_in_thread() -> Settle:
    """A function that runs coroutines in a loop of their own, in a thread that lives as long as the instance."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="event-loop", daemon=True).start()

    async def outcome(coroutine: _Work) -> tuple[Any, BaseException | None]:
        try:
            return await coroutine, None
        except BaseException as error:  # an exit would end the loop's thread, and nobody else
            return None, error

    def settle(coroutine: _Work) -> Any:
        result, error = asyncio.run_coroutine_threadsafe(outcome(coroutine), loop).result()
        if error is not None:
            raise error
        return result

    return settle
