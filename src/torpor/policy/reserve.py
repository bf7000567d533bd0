"""Who may run: a function that reserved concurrency has it always, and never more; the others share what is left.

`busy` counts invocations that run, or those for which an instance is being started too: whoever asks decides.
"""

from __future__ import annotations

UNRESERVED_LEAST = 100  # as on AWS: what functions without a reservation are always left
# Lambda's words for why an invocation is refused
BEYOND_RESERVATION = "ReservedFunctionConcurrentInvocationLimitExceeded"
BEYOND_LIMIT = "ConcurrentInvocationLimitExceeded"


def least_unreserved(limit: int) -> int:
    """What reservations must leave of the overall limit."""
    return min(UNRESERVED_LEAST, limit)


def reservable(limit: int, reserved_by_others: int) -> int:
    """The most that a function may reserve."""
    return max(0, limit - least_unreserved(limit) - reserved_by_others)


def refusal(in_flight: int, reserved: int | None, in_flight_of_all: int, limit: int) -> str:
    """Why one more invocation of a function, of which `in_flight` run or wait, is refused; empty when it is taken.

    `in_flight_of_all` are those of every function that run or wait, and what is reserved beside them. A function within
    its reservation is taken in any case: should others still run on what it has just reserved, it waits for them.
    """
    if reserved is not None:
        return "" if in_flight < reserved else BEYOND_RESERVATION
    return "" if in_flight_of_all < limit else BEYOND_LIMIT


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
