"""Log groups and streams: what there is, for how long it is kept, and its events from any place on.

A function has its group as long as it is there; others are made. Retention hides what is too old at once, and removes
it from the disk by whole segments, with the next sweep after the last line in one is too old.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import structlog

from torpor.core.errors import ResourceNotFound, UserError
from torpor.core.function import Function
from torpor.core.log_group import PREFIX, LogGroup, function_of, key_of
from torpor.store.log_files import LogFiles, folder_name
from torpor.store.log_scan import Event, Place, StreamFacts, backwards, end_of, forwards, streams_of

_DAY_S = 86_400
_SWEEP_S = 3600.0
_MOST_GROUPS = 10_000
_CACHED_SEGMENTS = 512
_MOST_BYTES = 1024 * 1024  # of messages in one answer
_SCAN_S = 2.0  # for one answer; who wants more goes on from where it ends
_AT_ONCE = 2  # threads that look through logs: all others wait, and not those who need threads for something else
_log = structlog.get_logger(__name__)


class GroupExists(UserError):
    """The specified log group already exists"""

    code = "ResourceAlreadyExistsException"


class TooManyGroups(UserError):
    """There are as many log groups as there can be: delete some."""

    code = "LimitExceededException"


class Table(Protocol):
    """Where groups are kept. Everything blocks."""

    def read_all(self) -> list[LogGroup]: ...
    def put(self, group: LogGroup) -> None: ...
    def delete(self, name: str) -> None: ...


class Named(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def function(self) -> Function: ...


class Functions(Protocol):
    """What is deployed."""

    def find(self, name: str) -> object | None: ...
    def get(self, name: str) -> Function: ...
    def records(self) -> Iterable[Named]: ...


class Store(Protocol):
    """The logs themselves. All but `delete` block."""

    def files(self, function: str) -> LogFiles: ...
    def expire(self, function: str, before: float, roll_before: float) -> None: ...
    async def delete(self, function: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events: of these streams (empty: of all), from `start_ms` until before `end_ms`, that `matches` takes."""

    streams: frozenset[str] = frozenset()
    stream_prefix: str | tuple[str, ...] = ""
    start_ms: int = 0
    end_ms: int | None = None
    matches: Callable[[str], bool] = lambda _line: True

    def takes(self, event: Event) -> bool:
        line = event.line
        return (
            line.at_ms >= self.start_ms
            and (self.end_ms is None or line.at_ms < self.end_ms)
            and (not self.streams or line.stream in self.streams)
            and line.stream.startswith(self.stream_prefix)
            and self.matches(line.line)
        )


@dataclass(frozen=True, slots=True)
class Page:
    """Some events, oldest first, and the places before the first and behind the last; `more`: the page is full."""

    events: tuple[Event, ...]
    before: Place
    behind: Place
    more: bool


class LogGroups:
    """Every group. Reading the events blocks on the disk, and is done in threads."""

    def __init__(
        self,
        table: Table,
        functions: Functions,
        store: Store,
        clock: Callable[[], float] = time.time,
        *,
        scan_s: float = _SCAN_S,
    ) -> None:
        self._table = table
        self._functions = functions
        self._store = store
        self._clock = clock
        self._groups: dict[str, LogGroup] = {}
        self._scan_s = scan_s
        self._writing = asyncio.Lock()
        self._reading = asyncio.Semaphore(_AT_ONCE)
        self._facts: dict[tuple[str, int, int], dict[str, StreamFacts]] = {}
        self._sweeping: asyncio.Task[None] | None = None
        self.closing = asyncio.Event()  # whoever follows ends then

    async def open(self) -> None:
        """Read what is stored, and remove what is too old from now on, once an hour."""
        self._groups = {group.name: group for group in await asyncio.to_thread(self._table.read_all)}
        self._sweeping = asyncio.create_task(self._sweep_for_ever())

    async def close(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)

    # Groups

    def find(self, name: str) -> LogGroup | None:
        """The group; a function's own is there before anything was said of it."""
        group = self._groups.get(name)
        function = function_of(name)
        if function is not None and self._functions.find(function) is not None:
            return group or LogGroup(name=name, created=self._functions.get(function).modified)
        if group is not None and group.explicit:
            return group
        return (group or LogGroup(name=name)) if name in self._configured() else None

    def get(self, name: str) -> LogGroup:
        """Raises ResourceNotFound."""
        group = self.find(name)
        if group is None:
            raise ResourceNotFound("The specified log group does not exist.")
        return group

    def all(self) -> list[LogGroup]:
        """In order of their names."""
        names = {f"{PREFIX}{record.name}" for record in self._functions.records()}
        names |= {group.name for group in self._groups.values() if group.explicit} | self._configured()
        return [group for name in sorted(names) if (group := self.find(name)) is not None]

    async def create(self, name: str, tags: dict[str, str]) -> None:
        """Make a group. Raises GroupExists and TooManyGroups."""
        async with self._writing:
            if self.find(name) is not None:
                raise GroupExists
            if len(self._groups) >= _MOST_GROUPS:
                raise TooManyGroups
            await self._put(LogGroup(name=name, tags=tags, explicit=True))

    async def delete(self, name: str) -> None:
        """Remove a group with its events; a function's own begins anew, empty. Raises ResourceNotFound."""
        async with self._writing:
            self.get(name)
            await self._store.delete(key_of(name))
            if name in self._groups:
                await asyncio.shield(asyncio.to_thread(self._table.delete, name))
                del self._groups[name]

    async def change(self, name: str, change: Callable[[LogGroup], LogGroup]) -> LogGroup:
        """Store what `change` makes of a group, and let its retention take effect. Raises ResourceNotFound."""
        async with self._writing:
            group = change(self.get(name))
            await self._put(group)
        await asyncio.to_thread(self._expire, group)
        return group

    def horizon_ms(self, name: str) -> int:
        """Events before this are too old to be shown."""
        group = self._groups.get(name)
        days = None if group is None else group.retention_days
        return 0 if days is None else int((self._clock() - days * _DAY_S) * 1000)

    def kept(self) -> set[str]:
        """What must not be swept away besides functions' own logs, as the store names it."""
        made = {group.name for group in self._groups.values() if group.explicit}
        return {key_of(name) for name in made | self._configured()}

    def _configured(self) -> set[str]:
        """Groups that functions name in their LoggingConfig: there from then on."""
        return {record.function.config.log_group for record in self._functions.records()} - {""}

    # Events

    async def stored_bytes(self, name: str) -> int:
        return await asyncio.to_thread(lambda: self._store.files(key_of(name)).size())

    async def streams(self, name: str) -> dict[str, StreamFacts]:
        """The streams of a group. Raises ResourceNotFound."""
        self.get(name)
        async with self._reading:
            return await asyncio.to_thread(self._streams, key_of(name))

    async def read(self, name: str, wanted: Wanted, *, start: Place | None, limit: int, newest: bool = False) -> Page:
        """Up to `limit` events from a place on; with `newest` those before it (None: the end, or the beginning).

        Fewer, or none, where few fit and looking took too long: there are more then, from the place reached on.
        Raises ResourceNotFound.
        """
        self.get(name)
        async with self._reading:
            return await asyncio.to_thread(self._read, name, wanted, start, limit, newest)

    async def end(self, name: str) -> Place:
        """The place behind everything. Raises ResourceNotFound."""
        self.get(name)
        return await asyncio.to_thread(lambda: end_of(self._store.files(key_of(name))))

    def _read(self, name: str, wanted: Wanted, start: Place | None, limit: int, newest: bool) -> Page:  # noqa: FBT001  (a thread's arguments are positional)
        files = self._store.files(key_of(name))
        horizon = self.horizon_ms(name)
        source: Iterator[Event] = backwards(files, start) if newest else forwards(files, start or Place())
        found, reached, more = self._taken(source, lambda one: one.line.at_ms >= horizon and wanted.takes(one), limit)
        if newest:
            found.reverse()
        if reached is not None:
            before, behind = (reached.place, start or end_of(files)) if newest else (start or Place(), reached.after)
            return Page(tuple(found), before, found[-1].after if newest and found else behind, more=True)
        if not found:  # the same place again tells that there is nothing behind or before it
            return Page((), start or Place(), start or end_of(files), more=False)
        return Page(tuple(found), found[0].place, found[-1].after, more)

    def _taken(
        self, events: Iterator[Event], takes: Callable[[Event], bool], limit: int
    ) -> tuple[list[Event], Event | None, bool]:
        """As many as an answer may hold, the last one seen if the time was up, and whether there are more."""
        found: list[Event] = []
        room, until = _MOST_BYTES, time.monotonic() + self._scan_s
        for event in events:
            if takes(event):
                room -= len(event.line.line)
                if found and (len(found) >= limit or room < 0):
                    return found, None, True
                found.append(event)
            if time.monotonic() >= until:
                return found, event, True
        return found, None, False

    def _streams(self, key: str) -> dict[str, StreamFacts]:
        files = self._store.files(key)
        merged: dict[str, StreamFacts] = {}
        for segment in files.numbers():
            for name, facts in self._facts_of(key, files, segment).items():
                known = merged.setdefault(name, StreamFacts(facts.first_ms, facts.last_ms))
                known.add(facts.first_ms, facts.bytes)
                known.add(facts.last_ms, 0)
        return merged

    def _facts_of(self, key: str, files: LogFiles, segment: int) -> dict[str, StreamFacts]:
        """Remembered by the segment's size: only the newest grows."""
        mark = (folder_name(key), segment, files.size_of(segment))
        found = self._facts.get(mark)
        if found is None:
            if len(self._facts) >= _CACHED_SEGMENTS:
                self._facts.clear()
            found = self._facts[mark] = streams_of(files, segment)
        return found

    # Retention

    async def sweep(self) -> None:
        """Remove what is too old, of all groups; let those that functions name outlive them."""
        for name in self._configured():
            if function_of(name) is None and name not in self._groups:
                async with self._writing:
                    await self._put(LogGroup(name=name, explicit=True))
        for group in list(self._groups.values()):
            await asyncio.to_thread(self._expire, group)

    def _expire(self, group: LogGroup) -> None:
        if group.retention_days is not None:
            before = self._clock() - group.retention_days * _DAY_S
            roll = max(1.0, group.retention_days / 30) * _DAY_S
            self._store.expire(key_of(group.name), before, self._clock() - roll)

    async def _sweep_for_ever(self) -> None:
        while True:
            try:
                await self.sweep()
            except Exception:
                _log.exception("old log events were not removed", action="logs.sweep_failed")
            await asyncio.sleep(_SWEEP_S)

    async def _put(self, group: LogGroup) -> None:
        await asyncio.shield(asyncio.to_thread(self._table.put, group))
        self._groups[group.name] = group
