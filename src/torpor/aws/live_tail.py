"""A live tail: what is written to some log groups from now on, once a second, as events of a stream."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from torpor.core.errors import ResourceNotFound
from torpor.functions.log_groups import LogGroups, Wanted
from torpor.store.log_scan import Place

_EVERY_S = 1.0
_LONGEST_S = 3 * 3600.0  # as on AWS
_MOST_EVENTS = 500  # in one update; what is beyond comes with the next

Update = tuple[str, Mapping[str, Any]]


class LiveTail:
    """Implements aws.protocol.event_stream.Events. `places`: where each group is read on, `names`: how asked."""

    def __init__(
        self,
        groups: LogGroups,
        wanted: Wanted,
        places: dict[str, Place],
        names: Mapping[str, str],
        start: Mapping[str, Any],
    ) -> None:
        self._groups = groups
        self._wanted = wanted
        self._places = places
        self._names = names
        self._start: Mapping[str, Any] | None = start
        self._ends = asyncio.get_running_loop().time() + _LONGEST_S
        self._closed = False

    async def read(self) -> Update | None:
        """The session's beginning, then an update a second, empty or not; None when it is over."""
        if self._start is not None:
            start, self._start = self._start, None
            return "sessionStart", start
        with suppress(TimeoutError):
            async with asyncio.timeout(_EVERY_S):
                await self._groups.closing.wait()
        if self._closed or self._groups.closing.is_set():
            return None
        if asyncio.get_running_loop().time() > self._ends:
            self._closed = True
            return "SessionTimeoutException", {"message": "The session has run for three hours: start another."}
        results = [event for name in self._places for event in await self._news(name)]
        return "sessionUpdate", {"sessionMetadata": {"sampled": False}, "sessionResults": results}

    def close(self) -> None:
        self._closed = True

    async def _news(self, name: str) -> list[dict[str, Any]]:
        try:
            end = await self._groups.end(name)
            page = await self._groups.read(name, self._wanted, start=self._places[name], limit=_MOST_EVENTS)
        except ResourceNotFound:
            return []  # deleted meanwhile
        self._places[name] = page.behind if page.more else max(end, page.behind)
        return [
            {
                "logStreamName": event.line.stream,
                "logGroupIdentifier": self._names[name],
                "message": f"{event.line.line}\n",
                "timestamp": event.line.at_ms,
                "ingestionTime": event.line.at_ms,
            }
            for event in page.events
        ]
