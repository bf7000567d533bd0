"""Which idle instances make room when memory is short: those whose loss costs least for the memory that they free.

An instance is worth (rate × cost of starting) ÷ memory: what it saves, in milliseconds of starts each second, for each
megabyte it holds (the Greedy-Dual idea that FaasCache brought to functions). A revision's calls go to the instance used
last, so of several idle ones each counts for less than the one used after it.

A large start beside small instances that are never idle together would wait for ever. So one that has waited for a
while *presses*: it takes idle instances as they come, and what it gathers is kept from others. That is bounded in time,
since the others wait meanwhile, and only one may press at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PRESS_AFTER_S = 1.0
PRESS_UNTIL_S = 10.0


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


@dataclass(frozen=True, slots=True)
class Savings:
    """Memory kept from the others until a moment, in monotonic seconds, for one start that presses."""

    memory_mb: int = 0
    until: float = 0.0

    def kept_mb(self, now: float) -> int:
        return self.memory_mb if now < self.until else 0


def press(need_mb: int, waited_s: float, now: float, *, has_any: bool = False) -> Savings:
    """What may be kept for a start of `need_mb` that has waited this long: nothing at first, and nothing for ever.

    And nothing for who has instances already: its queue moves on, and it would take from those who have none.
    """
    if not has_any and PRESS_AFTER_S <= waited_s < PRESS_UNTIL_S:
        return Savings(need_mb, now + PRESS_UNTIL_S - waited_s)
    return Savings()


def make_room(idle: Sequence[Idle], need_mb: int, *, press: bool = False) -> list[int]:
    """Indices of the instances to end so that `need_mb` become free.

    When even all of them would not do: none, or, where somebody presses, all.

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
        return chosen if press else []
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
