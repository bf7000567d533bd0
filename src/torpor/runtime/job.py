"""One invocation on its way through the node, from admission to its outcome."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Protocol

from torpor.core.invocation import Depth, Invocation, Outcome, Result
from torpor.runtime.control import Control
from torpor.runtime.faults import Failure
from torpor.runtime.journal import Tail
from torpor.wire.frames import Frame

Done = Callable[[Outcome | Exception], None]


class Queue(Protocol):
    """Where it waits."""

    def drop(self, job: Job) -> None: ...


class Stream(Protocol):
    """Where an answer goes that may come in pieces."""

    def attach(self, control: Control, request: int, end: Callable[[Failure], None]) -> int: ...

    def heed(self, frame: Frame) -> str: ...

    def judge(self, payload: bytes, result: Result) -> tuple[bytes, Result]: ...


class Job:
    """Mutable, and owned by one event loop. `done` is called once, with the outcome or with why there is none, unless
    the caller leaves first: then a job that still waits is dropped, and one that runs goes on.
    """

    __slots__ = (
        "_done",
        "_queue",
        "admitted",
        "began",
        "deadline",
        "depth",
        "excused",
        "failed_starts",
        "init_ms",
        "invocation",
        "running",
        "settled",
        "since",
        "start_ms",
        "stream",
        "tail",
    )

    def __init__(
        self, invocation: Invocation, done: Done, queue: Queue, now: float, stream: Stream | None = None
    ) -> None:
        self.invocation = invocation
        self.admitted = time.time()
        self.since = now  # on the loop's clock
        self.began = math.nan  # monotonic seconds
        self.deadline = math.inf  # how long it may wait for an instance, on the loop's clock
        self.depth = Depth.WARM
        self.init_ms = 0.0
        self.start_ms = 0  # when it began, in Unix time, while its START line is still to be written
        self.running = False
        self.settled = False  # its caller was told, or has left
        self.failed_starts = 0
        self.excused = 0  # of starts up to this number it hears no more: it was told of one like them
        self.tail = Tail() if invocation.want_log else None
        self.stream = stream
        self._done = done
        self._queue = queue

    @property
    def request_id(self) -> str:
        return self.invocation.request_id

    def leave(self) -> None:
        """The caller does not want to know any more."""
        self.settled = True
        self._queue.drop(self)

    def resolve(self, outcome: Outcome) -> bool:
        """Hand the outcome over; False when nobody waits for it any more."""
        if self.settled:
            return False
        self.settled = True
        self._done(outcome)
        return True

    def reject(self, error: Exception) -> None:
        if not self.settled:
            self.settled = True
            self._done(error)
