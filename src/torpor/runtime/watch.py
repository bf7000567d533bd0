"""The clock beside an instance's invocations: one timer for all, which a short invocation never touches."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping

from torpor.runtime.job import Job

_TELL_AFTER_S = 0.2
_EARLY_S = 0.002  # by which the loop's timers may go off too soon


class Watch:
    """`late` gets the first request whose time is over, after which nothing is watched any more; `long` each job that
    takes a while, once or more often.
    """

    def __init__(
        self,
        jobs: Mapping[int, Job],
        timeout_s: float,
        clock: Callable[[], float],
        *,
        late: Callable[[int], None],
        long: Callable[[Job], None],
    ) -> None:
        self._jobs = jobs
        self._timeout_s = timeout_s
        self._soonest_s = min(_TELL_AFTER_S, timeout_s)
        self._clock = clock
        self._late = late
        self._long = long
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def began(self) -> None:
        """There is one more job."""
        if self._timer is None:
            self._timer = self._loop.call_later(self._soonest_s, self._look)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        now, again_s = self._clock(), math.inf
        for request, job in list(self._jobs.items()):
            age_s = now - job.began
            if age_s >= self._timeout_s - _EARLY_S:
                self._late(request)
                return
            if age_s >= self._soonest_s - _EARLY_S:
                self._long(job)
                again_s = min(again_s, self._timeout_s - age_s)
            else:
                again_s = min(again_s, self._soonest_s - age_s)
        if self._jobs:
            self._timer = self._loop.call_later(again_s, self._look)
