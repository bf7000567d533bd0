"""A token bucket for an instance's output: a flood is not cut, it is read more slowly, on the writer's own time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bucket:
    """`level` tokens (bytes) at time `at` (seconds), refilled at `rate` per second up to `burst`. May be in debt."""

    rate: float
    burst: float
    level: float
    at: float

    @classmethod
    def full(cls, rate: float, burst: float, now: float) -> Bucket:
        return cls(rate, burst, burst, now)

    def spend(self, amount: float, now: float) -> Bucket:
        """The bucket after `amount` was taken, into debt if need be."""
        refilled = min(self.burst, self.level + max(0.0, now - self.at) * self.rate)
        return Bucket(self.rate, self.burst, refilled - amount, now)

    @property
    def pause_s(self) -> float:
        """How long to take nothing, so that no debt is left."""
        return max(0.0, -self.level / self.rate)
