"""Those who wait for an instance, in order of arrival: one timer for the patience of all, one for those held back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from torpor.policy.hold import TICK_S
from torpor.runtime.job import Job


class Line:
    """Who has waited `wait_s`, and each time that again, goes to `refuse`, unless it is `worth` waiting on there.
    `tick` gets how long the first has waited, every few ms after `hold`; `count` by how many there are more, or less.

    Nobody in it is settled: who leaves is removed.
    """

    def __init__(
        self,
        wait_s: float,
        *,
        count: Callable[[int], None],
        worth: Callable[[int], bool],
        refuse: Callable[[Job], None],
        tick: Callable[[float], None],
    ) -> None:
        self._wait_s = wait_s
        self._count = count
        self._worth = worth
        self._refuse = refuse
        self._tick = tick
        self._loop = asyncio.get_running_loop()
        self._jobs: deque[Job] = deque()
        self._patience: asyncio.TimerHandle | None = None
        self._ticking: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def first(self) -> Job:
        return self._jobs[0]

    def append(self, job: Job) -> None:
        job.deadline = job.since + self._wait_s
        self._jobs.append(job)
        self._count(1)
        if self._patience is None:
            self._patience = self._loop.call_at(job.deadline, self._look)

    def who_hears_of(self, start: int) -> Job | None:
        """Who is first to be told that the start of this number failed; None when all were told of one like it."""
        return next((job for job in self._jobs if job.excused < start), None)

    def take(self) -> Job:
        """Whose turn it is."""
        self._count(-1)
        return self._jobs.popleft()

    def remove(self, job: Job) -> bool:
        """Whether it was here."""
        if job not in self._jobs:
            return False
        self._jobs.remove(job)
        self._count(-1)
        return True

    def hold(self) -> None:
        """Tick from now on, until nobody is left."""
        if self._ticking is None:
            self._ticking = self._loop.call_later(TICK_S, self._on_tick)

    def close(self) -> None:
        for timer in (self._patience, self._ticking):
            if timer is not None:
                timer.cancel()
        self._patience = self._ticking = None

    def _on_tick(self) -> None:
        self._ticking = None
        if self._jobs:
            self._tick(self._loop.time() - self._jobs[0].since)

    def _look(self) -> None:
        """Refuse those who have waited in vain, and look again when the next may have."""
        self._patience = None
        now = self._loop.time()
        for position, job in reversed(list(enumerate(self._jobs))):
            if job.deadline > now:
                continue
            if self._worth(position):
                job.deadline = now + self._wait_s
            else:
                self.remove(job)
                self._refuse(job)
        if self._jobs:
            self._patience = self._loop.call_at(min(job.deadline for job in self._jobs), self._look)
