"""Read and follow what a function printed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from torpor.core.log_group import key_of, log_group_of
from torpor.functions.catalog import Catalog
from torpor.functions.ports import Logs
from torpor.store.log_files import LogLine

_MOST_LINES = 100_000


class LogReader:
    """The logs of functions that exist."""

    def __init__(self, catalog: Catalog, logs: Logs, horizon_ms: Callable[[str], int] = lambda _group: 0) -> None:
        """`horizon_ms` says of a log group before when its lines are too old to be shown."""
        self._catalog = catalog
        self._logs = logs
        self._horizon_ms = horizon_ms

    async def read(
        self, name: str, *, since_ms: int = 0, request_id: str | None = None, limit: int = 1000
    ) -> list[LogLine]:
        """The newest `limit` lines that match, oldest first. Raises FunctionNotFound."""
        group = log_group_of(self._catalog.get(name).config)
        most = max(0, min(limit, _MOST_LINES))
        since_ms = max(since_ms, self._horizon_ms(group))
        return await self._logs.read(key_of(group), since_ms=since_ms, request_id=request_id, limit=most)

    def follow(
        self, name: str, *, since_ms: int = 0, request_id: str | None = None, limit: int = 1000
    ) -> AsyncIterator[LogLine]:
        """What `read` gives, then every line as it comes. Raises FunctionNotFound at once."""
        group = log_group_of(self._catalog.get(name).config)
        most = max(0, min(limit, _MOST_LINES))
        since_ms = max(since_ms, self._horizon_ms(group))
        return self._logs.follow(key_of(group), since_ms=since_ms, request_id=request_id, limit=most)
