"""Provisioned concurrency: how many initialised instances each version is to have, and what a configuration is told.

A configuration belongs to a version, or to an alias that leads to one or two of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

Shares = Mapping[str, float]  # version → its share of the invocations; they add up to 1
_BACK_OFF_S = (0.5, 1.0, 5.0, 30.0, 60.0)
IN_PROGRESS, READY, FAILED = "IN_PROGRESS", "READY", "FAILED"  # Lambda's words


def split(requested: int, shares: Shares) -> dict[str, int]:
    """How many of the executions each version gets: all of them, in proportion to their weights.

    None with a weight is left without, as far as there are enough.
    """
    weighted = {version: share for version, share in shares.items() if share > 0}
    parts: dict[str, int] = {}
    for version in sorted(weighted, key=lambda version: (weighted[version], version)):  # the smallest is rounded up
        rest = requested - sum(parts.values())
        last = len(parts) == len(weighted) - 1
        parts[version] = rest if last else min(rest, math.ceil(requested * weighted[version]))
    return parts


def targets(requested: Mapping[str, int], shares: Mapping[str, Shares]) -> dict[str, int]:
    """What each version is to have ready, by what each configuration requests and what its key leads to."""
    wanted: dict[str, int] = {}
    for key, count in requested.items():
        for version, part in split(count, shares.get(key, {})).items():
            wanted[version] = wanted.get(version, 0) + part
    return {version: count for version, count in wanted.items() if count}


@dataclass(frozen=True, slots=True)
class Supply:
    """What there is of one version: executions that have an instance, those that have an initialised one, and why
    there are not more (empty: they are being started).
    """

    allocated: int = 0
    available: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How it stands with one configuration."""

    requested: int
    allocated: int
    available: int
    status: str
    reason: str = ""


def standings(
    requested: Mapping[str, int], shares: Mapping[str, Shares], supply: Mapping[str, Supply]
) -> dict[str, Standing]:
    """How it stands with each configuration. Those that lead to the same version are served in order of their keys."""
    allocated = {version: one.allocated for version, one in supply.items()}
    available = {version: one.available for version, one in supply.items()}
    found: dict[str, Standing] = {}
    for key in sorted(requested):
        parts = split(requested[key], shares.get(key, {}))
        reasons = [supply[version].reason for version in parts if version in supply and supply[version].reason]
        ready = _take(available, parts)
        found[key] = Standing(
            requested=requested[key],
            allocated=_take(allocated, parts),
            available=ready,
            status=READY if ready >= requested[key] else FAILED if reasons else IN_PROGRESS,
            reason="" if ready >= requested[key] or not reasons else reasons[0],
        )
    return found


def _take(left: dict[str, int], parts: Mapping[str, int]) -> int:
    taken = {version: min(part, left.get(version, 0)) for version, part in parts.items()}
    for version, count in taken.items():
        left[version] = left.get(version, 0) - count
    return sum(taken.values())


def instances(executions: int, slots_each: int) -> int:
    """How many instances so many executions at a time need."""
    return -(-executions // slots_each)


def missing(wanted: int, ready: int, starting: int) -> int:
    """How many to start now."""
    return max(0, wanted - ready - starting)


def back_off_s(failures: int) -> float:
    """How long to wait before the next start, after so many in a row have failed."""
    return _BACK_OFF_S[min(failures, len(_BACK_OFF_S)) - 1] if failures else 0.0
