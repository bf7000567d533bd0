"""How often something happens lately, and what it takes: sums in which the past counts less and less."""

from __future__ import annotations

import math
from dataclasses import dataclass

MEMORY_S = 120.0  # after this long, a call counts for 1/e
_WEIGHT = 0.3


@dataclass(frozen=True, slots=True)
class Rate:
    """Calls per second, decayed: `value` as of `at`, in monotonic seconds."""

    value: float = 0.0
    at: float = 0.0

    def hit(self, now: float) -> Rate:
        """With one more call."""
        return Rate(self.read(now) + 1 / MEMORY_S, now)

    def read(self, now: float) -> float:
        """Calls per second, as seen now."""
        return self.value * math.exp((self.at - now) / MEMORY_S) if now > self.at else self.value


def smooth(before: float | None, seen: float) -> float:
    """An estimate after one more sighting; the first one is taken as it is."""
    return seen if before is None else before + _WEIGHT * (seen - before)
