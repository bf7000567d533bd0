"""How many instances to start, and whom to keep waiting: enough for those who wait, never more than have room."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What one revision's pool faces. `slots_each` is how many invocations one instance takes at a time."""

    waiting: int
    free_slots: int
    starting: int
    slots_each: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What the node has left: invocations that may still run at once, and memory for instances (None: unbounded)."""

    concurrency: int
    memory_mb: int | None = None


def starts(load: Load, room: Room, memory_mb: int) -> int:
    """How many instances of `memory_mb` to start now.

    Those already starting are counted, so that one burst never starts more instances than it has invocations.
    """
    unserved = load.waiting - load.free_slots - load.starting * load.slots_each
    if unserved <= 0:
        return 0
    wanted = -(-unserved // load.slots_each)
    fitting = wanted if room.memory_mb is None else room.memory_mb // memory_mb
    return max(0, min(wanted, fitting, room.concurrency))


def admits(waiting: int, limit: int) -> bool:
    """Whether one more may wait; otherwise it is throttled at once."""
    return waiting < limit


def worth_waiting(position: int, load: Load) -> bool:
    """Whether the one at `position` in the queue (0 first) will be served by a start already under way."""
    return position < load.starting * load.slots_each


def turns(asked: Sequence[_T], unserved: Collection[_T], again: Sequence[_T]) -> list[_T]:
    """Who is next, of those that share: who got nothing keeps its place, before those that got something and want more.

    So nobody starves beside a busy one. `asked` is the order so far, `again` those who want more.
    """
    return [*(one for one in asked if one in unserved), *(one for one in again if one not in unserved)]
