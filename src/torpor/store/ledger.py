"""The ledger: a row for each invocation, written in groups by a thread of its own.

`record` only appends in memory: the path of a request never waits for a disk. What a kill −9 may lose is what was
recorded in the last half second. When the disk is stuck or full, rows wait in memory and are tried again for ever;
beyond `backlog_rows` the oldest are folded into sums by function and hour, so that memory stays bounded and the bill
stays right while single rows are lost (logged once for each such spell).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from torpor.core.errors import PlatformFault
from torpor.core.invocation import Usage
from torpor.store.database import Database
from torpor.store.usage_table import UsageTable
from torpor.store.usage_totals import Totals, sum_by_hour

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerOptions:
    """`keep_rows` and `keep_days` bound the rows kept one by one; older ones live on as hourly sums."""

    group_s: float = 0.25  # how long rows are gathered before they are written together
    group_rows: int = 5000  # at most so many in one transaction
    retry_s: float = 1.0
    backlog_rows: int = 200_000
    keep_rows: int = 1_000_000
    keep_days: float = 90.0
    fold_rows: int = 10_000  # folded in one transaction, so that writers wait briefly
    close_s: float = 10.0  # how long `close` keeps trying


class LedgerIncomplete(PlatformFault):
    """The ledger could not be written before the server stopped."""


class Ledger:
    """Records usage; sums it up, unwritten rows included. Safe from any thread."""

    def __init__(
        self, database: Database, options: LedgerOptions | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._table = UsageTable(database)
        self._options = options or LedgerOptions()
        self._clock = clock
        self._pending: deque[Usage] = deque()
        self._folded: dict[tuple[str, int], Totals] = {}
        self._writing = threading.Lock()  # held while pending rows become written ones, so that a sum sees each once
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="torpor-ledger", daemon=True)
        self._thread.start()

    def record(self, usage: Usage) -> None:
        """Append one row in memory; it is on the disk half a second later."""
        self._pending.append(usage)
        if not self._wake.is_set():
            self._wake.set()

    def summary(self, since: float = 0.0, function: str | None = None) -> dict[str, Totals]:
        """Sums by function since Unix time `since`, of everything recorded until now. Blocks on the database."""
        with self._writing:
            sums = self._table.sums(since, function)
            for (name, hour), totals in self._folded.items():
                if hour + 3600 > since and function in (None, name):
                    sums.setdefault(name, Totals()).merge(totals)
            for usage in self._pending.copy():
                if usage.at >= since and function in (None, usage.function):
                    sums.setdefault(usage.function, Totals()).add(usage)
        return sums

    def recent(self, function: str | None = None, limit: int = 100) -> list[Usage]:
        """The newest rows, newest first, unwritten ones included. Blocks on the database."""
        with self._writing:
            fresh = [usage for usage in self._pending.copy() if function in (None, usage.function)]
            return (fresh[::-1] + self._table.recent(function, limit))[:limit]

    def backlog(self) -> int:
        """How many rows wait to be written."""
        return len(self._pending)

    def close(self) -> None:
        """Write everything, then stop. Raises LedgerIncomplete when the disk refused until the time was up."""
        self._stop.set()
        self._wake.set()
        self._thread.join(self._options.close_s)
        if self._thread.is_alive():
            raise LedgerIncomplete("the disk did not answer: the last rows of usage may be lost")
        end = time.monotonic() + self._options.close_s
        while self._pending or self._folded:
            if self._flush():
                continue
            if time.monotonic() > end:
                raise LedgerIncomplete(
                    f"{len(self._pending)} rows of usage could not be written and are lost: see the log for the cause"
                )
            time.sleep(min(self._options.retry_s, 0.1))

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait()
            self._stop.wait(self._options.group_s)
            self._wake.clear()
            while self._pending or self._folded:
                if self._flush():
                    self._keep_bounds()
                    if len(self._pending) < self._options.group_rows:
                        break  # what came meanwhile has woken us: it is gathered again, not written row by row
                    continue
                self._fold_backlog()
                if self._stop.wait(self._options.retry_s):
                    return

    def _flush(self) -> bool:
        """Write one group; whether it went well."""
        with self._writing:
            rows = self._take(self._options.group_rows)
            try:
                self._table.append(rows, self._folded)
            except Exception:
                if not self._failing:
                    _log.exception("usage cannot be written, trying again", action="ledger.flush_failed")
                self._failing = True
                self._pending.extendleft(reversed(rows))
                return False
            self._folded = {}
        if self._failing:
            _log.info("usage is written again", action="ledger.flush_recovered")
            self._failing = False
        return True

    def _take(self, count: int) -> list[Usage]:
        return [self._pending.popleft() for _ in range(min(count, len(self._pending)))]

    def _fold_backlog(self) -> None:
        excess = len(self._pending) - self._options.backlog_rows
        if excess <= 0:
            return
        with self._writing:
            for place, totals in sum_by_hour(self._take(excess)).items():
                self._folded.setdefault(place, Totals()).merge(totals)
        _log.error("usage rows were folded into sums", action="ledger.backlog_folded", rows=excess)

    def _keep_bounds(self) -> None:
        """Fold the oldest stored rows, when there are too many or they are too old."""
        try:
            while (excess := self._excess()) > 0 and not self._stop.is_set():
                with self._writing:
                    self._table.fold(min(excess, self._options.fold_rows))
        except Exception:
            _log.exception("old usage could not be folded into sums", action="ledger.fold_failed")

    def _excess(self) -> int:
        span = self._table.span()
        if span is None:
            return 0
        first, last, oldest = span
        cutoff = self._clock() - self._options.keep_days * 86_400
        if oldest < cutoff:
            return self._table.count_older(cutoff, self._options.fold_rows)
        return last - first + 1 - self._options.keep_rows
