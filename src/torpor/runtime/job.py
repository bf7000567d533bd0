"""One invocation on its way through the node, from admission to its outcome."""

from __future__ import annotations

import asyncio
import math
import time

from torpor.core.invocation import Depth, Invocation, Outcome
from torpor.runtime.journal import Tail


class Job:
    """Mutable, and owned by one event loop; there is one future for waiting and running together.

    `future` is cancelled when the caller leaves: a job that still waits is then dropped, one that runs goes on.
    """

    __slots__ = (
        "admitted",
        "began",
        "depth",
        "failed_starts",
        "future",
        "init_ms",
        "invocation",
        "patience",
        "running",
        "since",
        "tail",
        "timer",
    )

    def __init__(self, invocation: Invocation, loop: asyncio.AbstractEventLoop) -> None:
        self.invocation = invocation
        self.future: asyncio.Future[Outcome] = loop.create_future()
        self.admitted = time.time()
        self.since = loop.time()
        self.began = math.nan  # monotonic seconds
        self.depth = Depth.WARM
        self.init_ms = 0.0
        self.patience: asyncio.TimerHandle | None = None  # how long it may wait for an instance
        self.timer: asyncio.TimerHandle | None = None  # how long its handler may run
        self.running = False
        self.failed_starts = 0
        self.tail = Tail() if invocation.want_log else None

    @property
    def request_id(self) -> str:
        return self.invocation.request_id

    @property
    def answered(self) -> bool:
        """Whether there is an outcome, taken or not."""
        return self.future.done() and not self.future.cancelled() and self.future.exception() is None

    def stop_waiting(self) -> None:
        """It found an instance, or never will."""
        if self.patience is not None:
            self.patience.cancel()
            self.patience = None

    def resolve(self, outcome: Outcome) -> bool:
        """Hand the outcome over; False when nobody waits for it any more."""
        if self.future.done():
            return False
        self.future.set_result(outcome)
        return True

    def reject(self, error: Exception) -> None:
        self.stop_waiting()
        if not self.future.done():
            self.future.set_exception(error)
