"""What lies between the server's frames and the Runtime API: invocations that wait, and those in work."""

# ruff: noqa: TID252  # relative, since inside a sandbox this package is `_torpor_guest`

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Callable, NamedTuple  # Callable not from collections.abc: that alias fails on 3.9.0 and 3.9.1

from ..wire.frames import INVOKES, Frame, Kind
from ..wire.messages import Call, unpack_call
from .channel import Channel
from .flows import Flows, ThreadFlow


class Work(NamedTuple):
    """An invocation to hand out. `deadline_ms` is Unix time; a `streamed` answer may come in pieces."""

    frame_id: int
    streamed: bool
    call: Call
    payload: bytes
    deadline_ms: int


class Desk:
    """Safe to call from several threads: one for each connection of the bootstrap's, one for the channel."""

    def __init__(self, channel: Channel, ready: Callable[[], None], max_response: int) -> None:
        self.max_response = max_response
        self._channel = channel
        self._ready = ready
        self._initialised = False
        self._connected = 0  # connections, but for those that wait for an invocation
        self._changed = threading.Condition()
        self._waiting: deque[Work] = deque()
        self._open: dict[str, Work] = {}
        self._flows = Flows(ThreadFlow, channel)

    def connected(self, change: int) -> None:
        """One connection of the bootstrap's more, or fewer."""
        with self._changed:
            self._connected += change
            self._changed.notify_all()

    def settle(self, within_s: float) -> None:
        """Wait until nobody is connected but those who wait for an invocation."""
        with self._changed:
            self._changed.wait_for(lambda: not self._connected, within_s)

    def take_in(self, frame: Frame) -> None:
        """A frame from the server."""
        if frame.kind not in INVOKES:
            self._flows.heed(frame)
            return
        call, payload = unpack_call(frame.payload)
        deadline_ms = int(time.time() * 1000) + call.timeout_ms
        with self._changed:
            streamed = frame.kind == Kind.INVOKE_STREAM
            self._waiting.append(Work(frame.id, streamed, call, payload, deadline_ms))
            self._changed.notify_all()

    def next(self) -> Work:
        """Wait for an invocation. The first one who asks has initialised."""
        with self._changed:
            if not self._initialised:
                self._initialised = True
                self._ready()
            self._connected -= 1
            self._changed.notify_all()
            while not self._waiting:
                self._changed.wait()
            self._connected += 1
            work = self._waiting.popleft()
            self._open[work.call.request_id] = work
            return work

    def give_back(self, work: Work) -> None:
        """Who asked for it is gone: the next one gets it."""
        with self._changed:
            if self._open.pop(work.call.request_id, None) is not None:
                self._waiting.appendleft(work)
                self._changed.notify_all()

    def begin_answer(self, request_id: str) -> Work | None:
        """The invocation of this id, to be answered by the caller alone; None where it is not open."""
        with self._changed:
            return self._open.pop(request_id, None)

    def answer(self, work: Work, kind: int, payload: bytes) -> None:
        """Send what came of it. Raises ChannelLost."""
        self._channel.send(kind, work.frame_id, payload)

    @contextlib.contextmanager
    def flow(self, work: Work) -> Iterator[ThreadFlow]:
        """The way of a streamed answer; `begin` it before its pieces."""
        try:
            yield self._flows.open(work.frame_id)
        finally:
            self._flows.close(work.frame_id)

    def fail_init(self, payload: bytes) -> bool:
        """Tell the server that initialisation failed; False when it had succeeded."""
        with self._changed:
            if self._initialised:
                return False
            self._initialised = True
        self._channel.send(Kind.INIT_ERROR, 0, payload)
        return True
