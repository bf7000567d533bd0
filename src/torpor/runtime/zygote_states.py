"""The life of a zygote as a table: what may follow what, and nothing else."""

from __future__ import annotations

from enum import StrEnum

from torpor.runtime.states import IllegalTransition


class ZygoteState(StrEnum):
    BUILDING = "building"  # its libraries are being imported
    READY = "ready"  # it forks on order
    RETIRED = "retired"  # it forks no more, or never will: replaced, ended or refused; what was born of it lives on
    ENDED = "ended"


_LEGAL = {
    ZygoteState.BUILDING: {ZygoteState.READY, ZygoteState.RETIRED},
    ZygoteState.READY: {ZygoteState.RETIRED},
    ZygoteState.RETIRED: {ZygoteState.ENDED},
    ZygoteState.ENDED: frozenset[ZygoteState](),
}


def advance(current: ZygoteState, target: ZygoteState) -> ZygoteState:
    """`target`, when it may follow `current`. Raises IllegalTransition."""
    if target not in _LEGAL[current]:
        raise IllegalTransition(f"a zygote cannot go from {current} to {target}")
    return target
