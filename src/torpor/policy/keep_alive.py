"""What becomes of idle instances: frozen after a moment, ended when they have been kept long enough."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """For how long an instance is idle before it is frozen (infinite: never), and before it is ended."""

    freeze_after_s: float
    keep_alive_s: float

    @property
    def soonest_s(self) -> float:
        """When there is something to do about an instance that has just become idle."""
        return min(self.freeze_after_s, self.keep_alive_s)


@dataclass(frozen=True, slots=True)
class Rest:
    """Of the idle ones, the longest idle first: end the first `end`, and let those from there up to `frozen` be frozen.

    `next_s` is in how many seconds to look again; None when there is nothing more to come.
    """

    end: int
    frozen: int
    next_s: float | None


def rest(idle_since: Sequence[float], now: float, patience: Patience) -> Rest:
    """What to do now with idle instances. `idle_since` ascends."""
    end = expired(idle_since, now, patience.keep_alive_s)
    frozen = max(end, expired(idle_since, now, patience.freeze_after_s))
    waits = [
        wait
        for first, after_s in ((end, patience.keep_alive_s), (frozen, patience.freeze_after_s))
        if (wait := next_check_s(idle_since[first:], now, after_s)) is not None and not math.isinf(wait)
    ]
    return Rest(end, frozen, min(waits, default=None))


def expired(idle_since: Sequence[float], now: float, after_s: float) -> int:
    """How many instances, from the longest idle on, have been idle for that long. `idle_since` ascends."""
    for index, since in enumerate(idle_since):
        if now - since < after_s:
            return index
    return len(idle_since)


def next_check_s(idle_since: Sequence[float], now: float, after_s: float) -> float | None:
    """In how many seconds the longest idle one has been so for that long; None when nothing is idle."""
    if not idle_since:
        return None
    return max(0.0, idle_since[0] + after_s - now)
