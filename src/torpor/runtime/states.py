"""The life of an instance as a table: what may follow what, and nothing else."""

from __future__ import annotations

from enum import StrEnum


class InstanceState(StrEnum):
    STARTING = "starting"  # launched, or about to be; the handler is not loaded yet
    IDLE = "idle"
    BUSY = "busy"  # at least one invocation runs
    ENDING = "ending"  # it was told, or seen, to end; its resources are being released
    ENDED = "ended"


_LEGAL = {
    InstanceState.STARTING: {InstanceState.IDLE, InstanceState.ENDING},
    InstanceState.IDLE: {InstanceState.BUSY, InstanceState.ENDING},
    InstanceState.BUSY: {InstanceState.IDLE, InstanceState.ENDING},
    InstanceState.ENDING: {InstanceState.ENDED},
    InstanceState.ENDED: frozenset[InstanceState](),
}


class IllegalTransition(RuntimeError):
    """A defect of torpor's: an instance was asked to do what its state forbids."""


def advance(current: InstanceState, target: InstanceState) -> InstanceState:
    """`target`, when it may follow `current`. Raises IllegalTransition."""
    if target not in _LEGAL[current]:
        raise IllegalTransition(f"an instance cannot go from {current} to {target}")
    return target
