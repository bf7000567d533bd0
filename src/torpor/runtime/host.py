"""What a pool is told at its start, what it asks of its node, and what it tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from torpor.core.invocation import Outcome
from torpor.policy.keep_alive import Patience
from torpor.runtime.capacity import Capacity
from torpor.runtime.starts import Starts
from torpor.runtime.surroundings import Surroundings

P = TypeVar("P")  # the pool, for its node


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStatistics:
    function: str
    version: str
    revision: str
    idle: int
    busy: int
    starting: int
    waiting: int
    frozen: int = 0  # of the idle ones


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    patience: Patience
    queue_limit: int
    queue_wait_s: float


class Host(Generic[P]):
    """What a pool asks of its node."""

    def __init__(
        self,
        shared: Surroundings,
        capacity: Capacity,
        *,
        make_room: Callable[[str, int, bool], None],
        abandoned: Callable[[Outcome], None],
        changed: Callable[[P], None],
        starts: Starts,
    ) -> None:
        self.shared = shared
        self.capacity = capacity
        self.make_room = make_room
        self.abandoned = abandoned
        self.changed = changed
        self.starts = starts
