"""What functions used and cost, summed from the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torpor.functions.ports import UsageBook
from torpor.store.usage_totals import Totals


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSum:
    """Sums over invocations; `function` is empty for the sum of all functions. GB are of 1,024 MB, as Lambda bills."""

    function: str
    invocations: int
    errors: int
    cold_starts: int
    duration_ms: float
    billed_ms: int
    init_ms: float
    cpu_ms: float
    gb_seconds: float
    max_memory_mb: int

    def as_json(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name in ("duration_ms", "init_ms", "cpu_ms"):
            plain[name] = round(plain[name], 3)
        return plain | {"gb_seconds": round(self.gb_seconds, 6)}


@dataclass(frozen=True, slots=True)
class UsageReport:
    """A row for each function that ran, in order of names, and their sum. Deleted functions are in it too."""

    rows: tuple[UsageSum, ...]
    total: UsageSum

    def as_json(self) -> dict[str, Any]:
        total = self.total.as_json()
        del total["function"]
        return {"rows": [row.as_json() for row in self.rows], "total": total}


class Accounting:
    """Reads the bill."""

    def __init__(self, ledger: UsageBook) -> None:
        self._ledger = ledger

    async def usage(self, since: float = 0.0, function: str | None = None) -> UsageReport:
        """Everything since Unix time `since`, of one function or all, up to this moment."""
        return _report(await asyncio.to_thread(self._ledger.summary, since, function))


def _report(sums: Mapping[str, Totals]) -> UsageReport:
    total = Totals()
    for totals in sums.values():
        total.merge(totals)
    return UsageReport(tuple(_sum(name, sums[name]) for name in sorted(sums)), _sum("", total))


def _sum(function: str, totals: Totals) -> UsageSum:
    row = totals.as_row()
    del row["megabyte_ms"]
    return UsageSum(function=function, gb_seconds=totals.gb_seconds, **row)
