"""The deployment check: which initialisation of a revision to try next, for how long, and what they tell together.

A revision is initialised as its next instance would be. What fails or hangs in a fork is tried afresh; what was tried
afresh because its environment had no zygote yet is tried again from that zygote. No handler is ever called.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

FRESH_S = 60.0  # importing a large library from a cold disk takes its time
_FORKED_S = 10.0  # beforehand everything is imported already
_FORKED_LEAST_S, _TIMES_FRESH = 5.0, 3.0
_SLOW_PART = 0.5  # of the time that a fork was given: who needs that much afresh was only slow in the fork


class Ending(StrEnum):
    """How one trial ended."""

    READY = "ready"
    FAILED = "failed"  # by an error of its own, by leaving, or by its memory limit
    HUNG = "hung"  # it was not done when its time was up
    UNKNOWN = "unknown"  # for want of memory or another reason that is not the function's


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One initialisation. `forked`: from a zygote; `may_fork`: it was not, but might be once there is one."""

    ending: Ending
    took_s: float
    forked: bool
    error: str = ""
    may_fork: bool = False


class Step(StrEnum):
    """What to try next."""

    AS_EVER = "as ever"  # forked if that can be done
    AFRESH = "afresh"
    FORKED = "forked"  # once there is a zygote
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the trials showed. `unfit` says why the revision is not to be forked, `error` what goes wrong either way."""

    ending: Ending
    unfit: str = ""
    error: str = ""


def next_step(trials: Sequence[Trial]) -> Step:
    """What to try after these."""
    if not trials:
        return Step.AS_EVER
    last = trials[-1]
    if len(trials) > 1 or last.ending is Ending.UNKNOWN:
        return Step.NOTHING
    if last.forked:
        return Step.NOTHING if last.ending is Ending.READY else Step.AFRESH
    return Step.FORKED if last.ending is Ending.READY and last.may_fork else Step.NOTHING


def forked_s(trials: Sequence[Trial]) -> float:
    """How long the next trial may take if it is forked; afresh it may take FRESH_S."""
    if not trials:
        return _FORKED_S
    return min(FRESH_S, max(_FORKED_LEAST_S, _TIMES_FRESH * trials[-1].took_s))


def verdict(trials: Sequence[Trial]) -> Verdict:
    """What to make of them. There is at least one."""
    forked = next((one for one in trials if one.forked), None)
    fresh = next((one for one in trials if not one.forked and one.ending is not Ending.UNKNOWN), None)
    if forked is None or forked.ending in (Ending.READY, Ending.UNKNOWN):
        judged = forked or trials[0]
        return Verdict(judged.ending, error=judged.error)
    if fresh is None:
        return Verdict(Ending.UNKNOWN, error=forked.error)
    if fresh.ending is not Ending.READY:
        return Verdict(fresh.ending, error=fresh.error)
    if forked.ending is Ending.HUNG and fresh.took_s >= forked.took_s * _SLOW_PART:
        return Verdict(Ending.READY)
    how = "hung" if forked.ending is Ending.HUNG else f"failed ({forked.error})"
    return Verdict(Ending.READY, unfit=f"its initialisation {how} in a forked instance and not in one started afresh")
