"""All functions, URLs and roles in memory, written through: committed on the disk before a change is seen or told."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from torpor.core.arn import LATEST, Home
from torpor.core.errors import Conflict, FunctionNotFound
from torpor.core.function import Function, FunctionUrl, Role
from torpor.store.database import Database
from torpor.store.function_table import FunctionRecord, FunctionTable
from torpor.store.reservation_table import ReservationTable
from torpor.store.role_table import RoleTable
from torpor.store.url_table import UrlTable

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class FunctionPage:
    """Some functions in order of their names, and the name to go on after: None on the last page."""

    functions: tuple[Function, ...]
    next: str | None


class Catalog:
    """Reading never waits. Changes are made one at a time, and are finished even when their caller is cancelled."""

    def __init__(
        self,
        database: Database,
        home: Home,
        records: Iterable[FunctionRecord],
        urls: Iterable[FunctionUrl],
        roles: Iterable[Role],
        *,
        reservations: Mapping[str, int],
    ) -> None:
        self.home = home
        self._function_table = FunctionTable(database)
        self._url_table = UrlTable(database)
        self._role_table = RoleTable(database)
        self._reservation_table = ReservationTable(database)
        self._records = {record.name: record for record in records}
        self._urls = {url.name: url for url in urls}
        self._roles = {role.name.lower(): role for role in roles}  # IAM's names are unique regardless of case
        self._reservations = dict(reservations)
        self._names: list[str] | None = None
        self._writing = asyncio.Lock()
        self._writes: set[asyncio.Task[Any]] = set()

    @classmethod
    async def open(cls, database: Database, home: Home) -> Catalog:
        """Read everything that is stored."""
        records = await asyncio.to_thread(FunctionTable(database).read_all)
        urls = await asyncio.to_thread(UrlTable(database).read_all)
        roles = await asyncio.to_thread(RoleTable(database).read_all)
        reservations = await asyncio.to_thread(ReservationTable(database).read_all)
        return cls(database, home, records, urls, roles, reservations=reservations)

    async def wait_written(self) -> None:
        """Wait for the changes that are being written, whose callers may have gone."""
        while self._writes:
            await asyncio.wait(self._writes)

    # Functions

    def get(self, name: str, qualifier: str | None = None) -> Function:
        """The function. Raises FunctionNotFound, also for a version or alias, of which there are none yet."""
        return self.record(name, qualifier).function

    def record(self, name: str, qualifier: str | None = None) -> FunctionRecord:
        """The function with what serves its invocations. Raises FunctionNotFound."""
        record = self._records.get(name)
        if record is None or qualifier not in (None, LATEST):
            raise FunctionNotFound(f"Function not found: {self.home.function_arn(name, qualifier)}")
        return record

    def find(self, name: str) -> FunctionRecord | None:
        return self._records.get(name)

    def records(self) -> tuple[FunctionRecord, ...]:
        """All functions, in no order."""
        return tuple(self._records.values())

    def __len__(self) -> int:
        return len(self._records)

    def list(self, after: str | None = None, limit: int = 50) -> FunctionPage:
        """Up to `limit` functions whose names come after `after`."""
        if self._names is None:
            self._names = sorted(self._records)
        start = 0 if after is None else bisect_right(self._names, after)
        names = self._names[start : start + limit]
        more = start + limit < len(self._names)
        return FunctionPage(
            tuple(self._records[name].function for name in names), names[-1] if more and names else None
        )

    async def add(self, record: FunctionRecord) -> FunctionRecord:
        """Store a new function. Raises Conflict when there is one of its name."""

        def check() -> None:
            if record.name in self._records:
                raise Conflict(f"Function already exist: {record.name}")

        def apply() -> None:
            self._records[record.name] = record
            self._names = None

        await self._change(check, lambda: self._function_table.put(record), apply)
        return record

    async def replace(self, old: FunctionRecord, new: FunctionRecord) -> FunctionRecord:
        """Store a function anew, provided that it is still `old`. Raises Conflict when it has changed or gone."""

        def check() -> None:
            if self._records.get(old.name) is not old:
                raise self.update_in_progress(old.name)

        def apply() -> None:
            self._records[new.name] = new

        await self._change(check, lambda: self._function_table.put(new), apply)
        return new

    async def remove(self, name: str) -> FunctionRecord:
        """Remove a function, its URL and its reservation; returns what it was. Raises FunctionNotFound."""
        removed: list[FunctionRecord] = []

        def apply() -> None:
            removed.append(self._records.pop(name))
            self._urls.pop(name, None)
            self._reservations.pop(name, None)
            self._names = None

        await self._change(lambda: self.get(name), lambda: self._function_table.delete(name), apply)
        return removed[0]

    def update_in_progress(self, name: str) -> Conflict:
        """What to raise when a function is being changed by somebody else."""
        return Conflict(
            "The operation cannot be performed at this time. An update is in progress for resource: "
            f"{self.home.function_arn(name)}"
        )

    # URLs

    def url(self, name: str) -> FunctionUrl | None:
        return self._urls.get(name)

    async def save_url(self, url: FunctionUrl, *, check: Callable[[], object]) -> None:
        """Store a URL. `check` raises when it may not be, and runs when no other change can come between."""
        await self._change(check, lambda: self._url_table.put(url), lambda: self._urls.__setitem__(url.name, url))

    async def remove_url(self, name: str, *, check: Callable[[], object]) -> None:
        await self._change(check, lambda: self._url_table.delete(name), lambda: self._urls.pop(name, None))

    # Reserved concurrency

    def reserved(self, name: str) -> int | None:
        return self._reservations.get(name)

    def reservations(self) -> Mapping[str, int]:
        """Of all functions that have some, by name."""
        return dict(self._reservations)

    async def save_reservation(
        self, name: str, concurrency: int, *, check: Callable[[], object], then: Callable[[], object]
    ) -> None:
        """Store it. `check` is as for URLs; `then` follows at once, in the order in which changes were made."""

        def apply() -> None:
            self._reservations[name] = concurrency
            then()

        await self._change(check, lambda: self._reservation_table.put(name, concurrency), apply)

    async def remove_reservation(self, name: str, *, check: Callable[[], object], then: Callable[[], object]) -> None:
        def apply() -> None:
            self._reservations.pop(name, None)
            then()

        await self._change(check, lambda: self._reservation_table.delete(name), apply)

    # Roles

    def role(self, name: str) -> Role | None:
        return self._roles.get(name.lower())

    def roles(self) -> tuple[Role, ...]:
        """All roles, in order of their names."""
        return tuple(sorted(self._roles.values(), key=lambda role: role.name))

    async def save_role(self, role: Role, *, check: Callable[[], object]) -> None:
        await self._change(
            check, lambda: self._role_table.put(role), lambda: self._roles.__setitem__(role.name.lower(), role)
        )

    async def remove_role(self, name: str, *, check: Callable[[], object]) -> None:
        role = self.role(name)
        stored = name if role is None else role.name
        await self._change(
            check, lambda: self._role_table.delete(stored), lambda: self._roles.pop(stored.lower(), None)
        )

    async def _change(
        self, check: Callable[[], object], write: Callable[[], None], apply: Callable[[], object]
    ) -> None:
        async def change() -> None:
            async with self._writing:
                check()
                await asyncio.to_thread(write)
                apply()

        await self._finish(change())

    async def _finish(self, work: Coroutine[Any, Any, _T]) -> _T:
        """A commit that has begun cannot be taken back: let memory follow it, whoever stopped waiting."""
        task = asyncio.ensure_future(work)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        return await asyncio.shield(task)
