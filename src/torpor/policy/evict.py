"""Which idle instances make room when memory is short: the longest idle first, and only when that is enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Idle:
    """An idle instance that could be ended. `since` is a monotonic time in seconds."""

    memory_mb: int
    since: float


def make_room(idle: Sequence[Idle], need_mb: int) -> list[int]:
    """Indices of the instances to end so that `need_mb` become free; empty when even all of them would not do."""
    chosen: list[int] = []
    freed = 0
    for index in sorted(range(len(idle)), key=lambda i: idle[i].since):
        if freed >= need_mb:
            break
        chosen.append(index)
        freed += idle[index].memory_mb
    return chosen if freed >= need_mb else []
