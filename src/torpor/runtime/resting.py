"""What a pool's idle instances come to: they are frozen, and later ended, by one timer for all of them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from torpor.policy import keep_alive
from torpor.policy.keep_alive import Patience
from torpor.runtime.instance import Instance


class Resting:
    """`idle` gives the pool's idle instances, the longest idle first.

    An invocation costs it one comparison: two calls back to back move no timer and write to no control group.
    """

    def __init__(self, idle: Callable[[], Sequence[Instance]], patience: Patience, clock: Callable[[], float]) -> None:
        self._idle = idle
        self._patience = patience
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf  # when the timer goes off, on `clock`

    def noticed(self, instance: Instance) -> None:
        """It has become idle."""
        if instance.idle_since + self._patience.soonest_s < self._due:
            self._arm(self._patience.soonest_s)

    def keep_nothing(self) -> None:
        """End those that are idle, and whatever becomes idle later."""
        self._patience = replace(self._patience, keep_alive_s=0.0)
        self.look()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._due = None, math.inf

    def _arm(self, delay_s: float) -> None:
        self.close()
        self._due = self._clock() + delay_s
        self._timer = self._loop.call_later(delay_s, self.look)

    def look(self) -> None:
        """See to all of them now."""
        self.close()
        instances, now = self._idle(), self._clock()
        waits = (
            self._see_to([one for one in instances if not one.kept], self._patience, now),
            self._see_to([one for one in instances if one.kept], replace(self._patience, keep_alive_s=math.inf), now),
        )
        next_s = min((wait for wait in waits if wait is not None), default=None)
        if next_s is not None:
            self._arm(next_s)

    def _see_to(self, idle: Sequence[Instance], patience: Patience, now: float) -> float | None:
        rest = keep_alive.rest([one.idle_since for one in idle], now, patience)
        for instance in idle[: rest.end]:
            instance.end()
        for instance in idle[rest.end : rest.frozen]:
            instance.freeze()
        return rest.next_s
