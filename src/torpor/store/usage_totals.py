"""Sums over the ledger: what functions cost, added up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from torpor.core.invocation import Depth, Result, Usage

_HOUR_S = 3600


@dataclass(slots=True, kw_only=True)
class Totals:
    """Sums of some of a function's invocations. `megabyte_ms` is billed time × configured memory."""

    invocations: int = 0
    errors: int = 0
    cold_starts: int = 0
    init_ms: float = 0.0
    duration_ms: float = 0.0
    billed_ms: int = 0
    cpu_ms: float = 0.0
    megabyte_ms: int = 0
    max_memory_mb: int = 0

    @property
    def gb_seconds(self) -> float:
        return self.megabyte_ms / 1024 / 1000

    def add(self, usage: Usage) -> None:
        """Count one invocation."""
        self.invocations += 1
        self.errors += usage.result is not Result.OK
        self.cold_starts += usage.depth is not Depth.WARM
        self.init_ms += usage.init_ms
        self.duration_ms += usage.duration_ms
        self.billed_ms += usage.billed_ms
        self.cpu_ms += usage.cpu_ms
        self.megabyte_ms += usage.billed_ms * usage.memory_mb
        self.max_memory_mb = max(self.max_memory_mb, usage.max_memory_mb)

    def merge(self, other: Totals) -> None:
        """Add another sum to this one."""
        for name in TOTAL_FIELDS:
            mine, its = getattr(self, name), getattr(other, name)
            setattr(self, name, max(mine, its) if name == "max_memory_mb" else mine + its)

    def as_row(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in TOTAL_FIELDS}


TOTAL_FIELDS = tuple(field.name for field in fields(Totals))


def hour_of(at: float) -> int:
    """The beginning of the hour that Unix time `at` lies in."""
    return int(at // _HOUR_S) * _HOUR_S


def sum_by_hour(rows: Iterable[Usage]) -> dict[tuple[str, int], Totals]:
    """Sums by function and hour."""
    sums: dict[tuple[str, int], Totals] = {}
    for usage in rows:
        sums.setdefault((usage.function, hour_of(usage.at)), Totals()).add(usage)
    return sums
