"""Holds the short calls of one pool back, as `policy.hold` decides."""

from __future__ import annotations

import os

from torpor.core.invocation import Depth, Usage
from torpor.policy import hold
from torpor.policy.hold import Pace

PROCESSORS = len(os.sched_getaffinity(0))


class Brake:
    """What is known of the pool's calls, and how many of them may be under way at once."""

    def __init__(self, slots_each: int) -> None:
        self._off = slots_each > 1  # several at a time in one process: there is nothing to be kept hot
        self._pace = Pace()
        self._finished = 0  # since the last tick
        self.release()

    def release(self) -> None:
        """Nobody waits any more."""
        self._allowed = hold.at_first(PROCESSORS)

    def spare(self, under_way: int, waiting: int) -> int:
        """How many of those waiting need not wait for one that is under way."""
        return waiting if self._off else hold.spare(self._pace, under_way, self._allowed, waiting)

    def finished(self) -> None:
        """A call has come to its end."""
        self._finished += 1

    def seen(self, usage: Usage, running: int) -> None:
        """What a call took while `running` others ran."""
        if usage.depth is Depth.WARM:
            self._pace = self._pace.seen(usage.duration_ms, usage.cpu_ms, crowded=running > PROCESSORS)

    def tick(self, waited_s: float) -> None:
        """Some time has passed, and the first of those who still wait has waited so long."""
        self._allowed = hold.allowed_next(self._allowed, finished=self._finished, waited_s=waited_s)
        self._finished = 0
