"""What lies between the server's frames and the Runtime API: invocations that wait, and those in work."""

# ruff: noqa: TID252  # relative, since inside a sandbox this package is `_torpor_guest`

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Callable, NamedTuple  # Callable not from collections.abc: that alias fails on 3.9.0 and 3.9.1

from ..wire.frames import Frame, Kind
from ..wire.messages import Call, unpack_call
from .channel import Channel


class Work(NamedTuple):
    """An invocation to hand out. `deadline_ms` is Unix time."""

    frame_id: int
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
        self._changed = threading.Condition()
        self._waiting: deque[Work] = deque()
        self._open: dict[str, Work] = {}

    def take_in(self, frame: Frame) -> None:
        """An INVOKE frame from the server."""
        call, payload = unpack_call(frame.payload)
        deadline_ms = int(time.time() * 1000) + call.timeout_ms
        with self._changed:
            self._waiting.append(Work(frame.id, call, payload, deadline_ms))
            self._changed.notify()

    def next(self) -> Work:
        """Wait for an invocation. The first one who asks has initialised."""
        with self._changed:
            if not self._initialised:
                self._initialised = True
                self._ready()
            while not self._waiting:
                self._changed.wait()
            work = self._waiting.popleft()
            self._open[work.call.request_id] = work
            return work

    def give_back(self, work: Work) -> None:
        """Who asked for it is gone: the next one gets it."""
        with self._changed:
            if self._open.pop(work.call.request_id, None) is not None:
                self._waiting.appendleft(work)
                self._changed.notify()

    def begin_answer(self, request_id: str) -> Work | None:
        """The invocation of this id, to be answered by the caller alone; None where it is not open."""
        with self._changed:
            return self._open.pop(request_id, None)

    def answer(self, work: Work, kind: int, payload: bytes) -> None:
        """Send what came of it. Raises ChannelLost."""
        self._channel.send(kind, work.frame_id, payload)

    def fail_init(self, payload: bytes) -> bool:
        """Tell the server that initialisation failed; False when it had succeeded."""
        with self._changed:
            if self._initialised:
                return False
            self._initialised = True
        self._channel.send(Kind.INIT_ERROR, 0, payload)
        return True
