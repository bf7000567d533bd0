"""Which idle instances make room when memory is short: those whose loss costs least for the memory that they free.

An instance is worth (rate × cost of starting) ÷ memory: what it saves, in milliseconds of starts each second, for each
megabyte it holds (the Greedy-Dual idea that FaasCache brought to functions). A revision's calls go to the instance used
last, so of several idle ones each counts for less than the one used after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """An idle instance that could be ended. `memory_mb` is what it was seen to use, `since` in monotonic seconds.

    `rate` is its revision's recent calls per second, `start_ms` what starting one took, and `spare` how many more idle
    instances of its revision were used after it.
    """

    memory_mb: int
    since: float
    rate: float = 0.0
    start_ms: float = 0.0
    spare: int = 0

    @property
    def worth(self) -> float:
        """Milliseconds of starts that it saves each second, for each megabyte."""
        return self.rate / (1 + self.spare) * self.start_ms / max(1, self.memory_mb)


def make_room(idle: Sequence[Idle], need_mb: int) -> list[int]:
    """Indices of the instances to end so that `need_mb` become free; empty when even all of them would not do.

    The least worthy go first, the longest idle among equals, and none goes without need: no instance is ended while one
    that is worth less, and would have freed as much, is kept.
    """
    order = sorted(range(len(idle)), key=lambda index: (idle[index].worth, idle[index].since))
    chosen: list[int] = []
    freed = 0
    for index in order:
        if freed >= need_mb:
            break
        chosen.append(index)
        freed += idle[index].memory_mb
    if freed < need_mb:
        return []
    return _without_need(chosen, idle, freed - need_mb)


def _without_need(chosen: list[int], idle: Sequence[Idle], excess_mb: int) -> list[int]:
    """Spare those whose memory is not needed after all, the worthiest first."""
    kept = []
    for index in reversed(chosen):
        if idle[index].memory_mb <= excess_mb:
            excess_mb -= idle[index].memory_mb
        else:
            kept.append(index)
    return kept[::-1]
