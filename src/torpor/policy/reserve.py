"""Reserved concurrency: a function that reserved some has it always, and never more; the others share what is left.

`busy` counts invocations that run, or those for which an instance is being started too: whoever asks decides.
"""

from __future__ import annotations

UNRESERVED_LEAST = 100  # as on AWS: what functions without a reservation are always left


def least_unreserved(limit: int) -> int:
    """What reservations must leave of the overall limit."""
    return min(UNRESERVED_LEAST, limit)


def reservable(limit: int, reserved_by_others: int) -> int:
    """The most that a function may reserve."""
    return max(0, limit - least_unreserved(limit) - reserved_by_others)


def admits(in_flight: int, reserved: int | None) -> bool:
    """Whether one more invocation of a function is taken, of which `in_flight` run or wait."""
    return reserved is None or in_flight < reserved


def held(busy: int, reserved: int | None) -> int:
    """What a function takes from the others: what it reserved, or what it runs where that is more."""
    return busy if reserved is None else max(busy, reserved)


def room(*, limit: int, held_by_all: int, busy_of_all: int, busy: int, reserved: int | None) -> int:
    """How many more invocations of a function, of which `busy` run, may run; negative when too many do.

    `held_by_all` is the sum of what every function holds, this one included. It may exceed `limit` for a while, when a
    reservation was made while others ran; the sum of what runs never does.
    """
    if reserved is None:
        return limit - held_by_all
    return min(reserved - busy, limit - busy_of_all)
