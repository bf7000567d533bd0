"""Made-up days: arrivals as services see them, from a seed, for the simulator."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from typing import NamedTuple

DAY_S = 86_400.0


class Arrival(NamedTuple):
    """An invocation of the function with this index, at `at` seconds; its handler will take `duration_s`."""

    at: float
    function: int
    duration_s: float


def poisson(function: int, per_s: float, duration_s: float, *, seed: int, until_s: float = DAY_S) -> Iterator[Arrival]:
    """Independent callers, as many at any hour."""
    return _thinned(function, lambda _: 1.0, per_s, duration_s, seed=seed, until_s=until_s)


def diurnal(function: int, per_s: float, duration_s: float, *, seed: int, until_s: float = DAY_S) -> Iterator[Arrival]:
    """People: `per_s` at the busiest hour, a tenth of it in the night. Each function has its own time zone."""
    shift = random.Random(seed).random()

    def share(at: float) -> float:
        return 0.55 - 0.45 * math.cos(2 * math.pi * (at / DAY_S + shift))

    return _thinned(function, share, per_s, duration_s, seed=seed, until_s=until_s)


def bursty(function: int, per_s: float, duration_s: float, *, seed: int, until_s: float = DAY_S) -> Iterator[Arrival]:
    """Batches: some ten seconds of `per_s`, some ten minutes of nothing."""
    draw = random.Random(seed)
    at = draw.expovariate(1 / 600)
    while at < until_s:
        end = min(until_s, at + draw.expovariate(1 / 10))
        while (at := at + draw.expovariate(per_s)) < end:
            yield Arrival(at, function, draw.expovariate(1 / duration_s))
        at = end + draw.expovariate(1 / 600)


def _thinned(
    function: int, share: Callable[[float], float], per_s: float, duration_s: float, *, seed: int, until_s: float
) -> Iterator[Arrival]:
    """A Poisson process of changing rate: one at the highest rate, of which only a share is kept."""
    draw = random.Random(seed)
    at = 0.0
    while (at := at + draw.expovariate(per_s)) < until_s:
        if draw.random() < share(at):
            yield Arrival(at, function, draw.expovariate(1 / duration_s))


def together(traces: Iterable[Iterator[Arrival]]) -> Iterator[Arrival]:
    """In the order of their times."""
    return merge(*traces)
