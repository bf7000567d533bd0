"""Whether a short call waits a moment for an instance that runs, rather than wake one that has gone cold.

A processor that turns from one process to the next finds its caches empty: short calls cost half as much when a few
instances do all of them. So no more than a few are under way at a time, as long as that goes well: where what is under
way does not come to its end (it waits for others, or has turned slow), twice as many may be, and again twice as many.
"""

from __future__ import annotations

from dataclasses import dataclass

TICK_S = 0.005  # how often those held are looked at
BOUND_S = 0.025  # nobody is held longer, however well it goes
SHORT_MS = 5.0  # longer calls gain nothing
_FALL, _RISE = 0.3, 0.01
_EACH = 2  # per processor: one that runs, and one whose answer is on its way


@dataclass(frozen=True, slots=True)
class Pace:
    """What a call of one revision takes where nothing is in its way, in ms: of the clock, and of a processor."""

    duration_ms: float | None = None
    cpu_ms: float = 0.0

    def seen(self, duration_ms: float, cpu_ms: float, *, crowded: bool) -> Pace:
        """After one more warm call. `crowded`: others wanted its processor, so that it says at most how long it takes.

        `cpu_ms` may be that of several calls, told with the last of them: it is averaged.
        """
        before = self.duration_ms
        if before is None:
            return Pace(duration_ms, cpu_ms)
        after = before
        if duration_ms < before:
            after += _FALL * (duration_ms - before)
        elif not crowded:
            after += _RISE * (duration_ms - before)
        return Pace(after, self.cpu_ms + _RISE * (cpu_ms - self.cpu_ms))

    @property
    def is_short(self) -> bool:
        """Whether it is short, and needs the processor for a good part of its time: else holding leaves that idle."""
        return self.duration_ms is not None and self.duration_ms <= min(SHORT_MS, 0.5 + 3 * self.cpu_ms)


def at_first(processors: int) -> int:
    """How many may be under way at once, while all goes well."""
    return _EACH * processors


def spare(pace: Pace, under_way: int, allowed: int, waiting: int) -> int:
    """How many of those `waiting` may go on now: as many as an instance is found for, or fewer."""
    return max(0, allowed - under_way) if pace.is_short else waiting


def allowed_next(allowed: int, *, finished: int, waited_s: float) -> int:
    """How many may be under way from this tick on, after `finished` calls since the last one. `waited_s`: the first
    of those who still wait.
    """
    return allowed if finished and waited_s < BOUND_S else 2 * allowed
