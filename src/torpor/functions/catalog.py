"""All functions, their versions and what belongs to them in memory, written through.

A change is committed on the disk before it is seen or told.
"""

from __future__ import annotations

import asyncio
import random
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from torpor.core.arn import LATEST, FunctionRef, Home
from torpor.core.attached import Alias, EventInvoke, Policy, Provision
from torpor.core.errors import Conflict, FunctionNotFound
from torpor.core.function import Function, FunctionUrl, Role
from torpor.core.identity import Kind, Principal
from torpor.functions.attached import Attached
from torpor.functions.changes import Changes
from torpor.policy import permit, route
from torpor.store import tables
from torpor.store.attached_table import AttachedTable
from torpor.store.database import Database
from torpor.store.function_table import FunctionRecord, FunctionTable
from torpor.store.reservation_table import ReservationTable
from torpor.store.role_table import RoleTable
from torpor.store.url_table import UrlTable

_NUMBER = re.compile(r"[0-9]{1,18}")  # markers come from outside


@dataclass(frozen=True, slots=True)
class FunctionPage:
    """Some functions in order of their names, and the marker to go on after: None on the last page."""

    functions: tuple[Function, ...]
    next: str | None


class Catalog:
    """Reading never waits. Changes are made one at a time, and are finished even when their caller is cancelled."""

    def __init__(self, database: Database, home: Home, draw: Callable[[], float] = random.random) -> None:
        self.home = home
        self.changes = Changes()
        self.function_table = FunctionTable(database)
        self.urls = Attached[FunctionUrl](UrlTable(database), self.changes)
        self._watchers: list[Callable[[str], None]] = []
        self.aliases = Attached[Alias](AttachedTable(database, tables.aliases, Alias), self.changes, self._tell)
        self.provisions = Attached[Provision](
            AttachedTable(database, tables.provisions, Provision), self.changes, self._tell
        )
        self.policies = Attached[Policy](AttachedTable(database, tables.policies, Policy), self.changes)
        self.event_invokes = Attached[EventInvoke](
            AttachedTable(database, tables.event_invokes, EventInvoke), self.changes
        )
        self._draw = draw
        self._role_table = RoleTable(database)
        self._reservation_table = ReservationTable(database)
        self._records: dict[str, FunctionRecord] = {}
        self._versions: dict[str, dict[str, FunctionRecord]] = {}
        self._numbers: dict[str, int] = {}
        self._roles: dict[str, Role] = {}  # by lower-case names: IAM's are unique regardless of case
        self._reservations: dict[str, int] = {}
        self._names: list[str] | None = None

    @classmethod
    async def open(cls, database: Database, home: Home, draw: Callable[[], float] = random.random) -> Catalog:
        """Read everything that is stored. `draw` gives numbers from 0 to 1 for aliases with weights."""
        catalog = cls(database, home, draw)
        await asyncio.to_thread(catalog._load)
        return catalog

    def _load(self) -> None:
        records = self.function_table.read_all()
        self._records = {record.name: record for record in records if record.version == LATEST}
        published = [record for record in records if record.version != LATEST]
        for record in sorted(published, key=lambda record: int(record.version)):
            self._versions.setdefault(record.name, {})[record.version] = record
        self._numbers = self.function_table.numbers()
        for attached in (self.urls, self.aliases, self.policies, self.event_invokes, self.provisions):
            attached.load()
        self._roles = {role.name.lower(): role for role in self._role_table.read_all()}
        self._reservations = self._reservation_table.read_all()

    def watch(self, changed: Callable[[str], None]) -> None:
        """Have `changed` told the name of each function that, or whose versions or aliases, changed."""
        self._watchers.append(changed)

    def _tell(self, name: str) -> None:
        for changed in self._watchers:
            changed(name)

    async def wait_written(self) -> None:
        """Wait for the changes that are being written, whose callers may have gone."""
        await self.changes.wait_written()

    # Functions

    def get(self, name: str, qualifier: str | None = None) -> Function:
        """The function, a version of it, or what an alias leads to. Raises FunctionNotFound."""
        return self.record(name, qualifier).function

    def record(self, name: str, qualifier: str | None = None) -> FunctionRecord:
        """The same with what serves its invocations; an alias leads to its first version. Raises FunctionNotFound."""
        alias = self.alias(name, qualifier)
        record = self.resolve(name, qualifier if alias is None else alias.version)
        if record is None:
            raise FunctionNotFound(f"Function not found: {self.home.function_arn(name, qualifier)}")
        return record

    def find(self, name: str) -> FunctionRecord | None:
        return self._records.get(name)

    def resolve(self, name: str, qualifier: str | None) -> FunctionRecord | None:
        """What an invocation of NAME or NAME:QUALIFIER runs; of an alias's versions one is drawn by their weights."""
        if qualifier is None or qualifier == LATEST:
            return self._records.get(name)
        versions = self._versions.get(name)
        if versions is not None and qualifier in versions:
            return versions[qualifier]
        alias = self.aliases.get(name, qualifier)
        if alias is None:
            return None
        version = route.pick(alias.version, alias.weights, self._draw()) if alias.weights else alias.version
        if version == LATEST:
            return self._records.get(name)
        return None if versions is None else versions.get(version)

    def current(self, record: FunctionRecord) -> FunctionRecord | None:
        """What has become of this record; None when its function or version was deleted."""
        if record.version == LATEST:
            return self._records.get(record.name)
        return self._versions.get(record.name, {}).get(record.version)

    def records(self) -> tuple[FunctionRecord, ...]:
        """All functions and versions, in no order."""
        return (*self._records.values(), *(one for of in self._versions.values() for one in of.values()))

    def versions(self, name: str) -> tuple[FunctionRecord, ...]:
        """A function's published versions, oldest first."""
        return tuple(self._versions.get(name, {}).values())

    def next_version(self, name: str) -> str:
        """The number that the next version gets; none is ever given twice."""
        return str(self._numbers.get(name, 0) + 1)

    def __len__(self) -> int:
        return len(self._records)

    def list(self, after: str | None = None, limit: int = 50, *, versions: bool = False) -> FunctionPage:
        """Up to `limit` functions whose names come after `after`, with `versions` each followed by its versions."""
        found = list(islice(self._after(after, versions=versions), limit + 1))
        page = tuple(record.function for record in found[:limit])
        return FunctionPage(page, _marker(page[-1]) if len(found) > limit and page else None)

    def list_versions(self, name: str, after: str | None = None, limit: int = 50) -> FunctionPage:
        """`$LATEST` and the versions, oldest first: up to `limit` after the one named. Raises FunctionNotFound."""
        latest = self.get(name)
        found = [
            *([latest] if after is None else ()),
            *(one.function for one in self._versions_after(name, after or "")),
        ]
        page = tuple(found[:limit])
        return FunctionPage(page, page[-1].version if len(found) > limit else None)

    def _after(self, marker: str | None, *, versions: bool) -> Iterator[FunctionRecord]:
        if self._names is None:
            self._names = sorted(self._records)
        name, _, version = (marker or "").partition(":")
        start = 0 if marker is None else bisect_right(self._names, name)
        if versions and marker is not None and name in self._records:
            yield from self._versions_after(name, version)
        for name in self._names[start:]:
            yield self._records[name]
            if versions:
                yield from self._versions_after(name, "")

    def _versions_after(self, name: str, version: str) -> Iterator[FunctionRecord]:
        seen = int(version) if _NUMBER.fullmatch(version) else 0
        return (one for one in self._versions.get(name, {}).values() if int(one.version) > seen)

    async def add(self, record: FunctionRecord, version: FunctionRecord | None = None) -> FunctionRecord:
        """Store a new function, and with it a version. Raises Conflict when there is one of its name."""

        def check() -> None:
            if record.name in self._records:
                raise Conflict(f"Function already exist: {record.name}")

        await self._put(check, record, version)
        return record

    async def replace(
        self, old: FunctionRecord, new: FunctionRecord, version: FunctionRecord | None = None
    ) -> FunctionRecord:
        """Store a function anew, and with it a version, provided that it is still `old`.

        Raises Conflict when it has changed or gone.
        """

        def check() -> None:
            if self.current(old) is not old:
                raise self.update_in_progress(old.name)

        await self._put(check, new, version)
        return new

    async def amend(self, record: FunctionRecord, change: Callable[[FunctionRecord], FunctionRecord]) -> FunctionRecord:
        """Store what `change` makes of the record, provided that it is of the same build; others may have amended it.

        Raises Conflict when it was deployed anew, or has gone.
        """
        made: list[FunctionRecord] = []

        def check() -> None:
            now = self.current(record)
            if now is None or now.build is not record.build:
                raise self.update_in_progress(record.name)
            made.append(change(now))

        await self.changes.make(check, lambda: self.function_table.put(*made), lambda: self._keep(made[0]))
        return made[0]

    async def _put(self, check: Callable[[], None], *records: FunctionRecord | None) -> None:
        kept = [record for record in records if record is not None]

        def check_all() -> None:
            check()
            for record in kept:
                if record.version != LATEST and record.version != self.next_version(record.name):
                    raise self.update_in_progress(record.name)  # another version was published meanwhile

        def apply() -> None:
            for record in kept:
                self._keep(record)

        await self.changes.make(check_all, lambda: self.function_table.put(*kept), apply)

    def _keep(self, record: FunctionRecord) -> None:
        if record.version == LATEST:
            if record.name not in self._records:
                self._names = None
            self._records[record.name] = record
        else:
            self._versions.setdefault(record.name, {})[record.version] = record
            self._numbers[record.name] = max(self._numbers.get(record.name, 0), int(record.version))
        self._tell(record.name)

    async def remove(self, name: str) -> tuple[FunctionRecord, ...]:
        """Remove a function with all that belongs to it; returns what it and its versions were.

        Raises FunctionNotFound.
        """
        removed: list[FunctionRecord] = []

        def apply() -> None:
            removed.extend((self._records.pop(name), *self._versions.pop(name, {}).values()))
            for attached in (self.urls, self.aliases, self.policies, self.event_invokes, self.provisions):
                attached.forget(name)
            self._reservations.pop(name, None)
            self._names = None
            self._tell(name)

        await self.changes.make(lambda: self.get(name), lambda: self.function_table.delete(name), apply)
        return tuple(removed)

    async def remove_version(self, name: str, version: str, *, check: Callable[[], object]) -> FunctionRecord | None:
        """Remove a published version; returns what it was, or None where there is none."""
        removed: list[FunctionRecord] = []

        def apply() -> None:
            of = self._versions.get(name, {})
            if version in of:
                removed.append(of.pop(version))
            for attached in (self.policies, self.event_invokes, self.provisions):
                attached.forget(name, version)
            self._tell(name)

        await self.changes.make(check, lambda: self.function_table.delete_version(name, version), apply)
        return removed[0] if removed else None

    def update_in_progress(self, name: str) -> Conflict:
        """What to raise when a function is being changed by somebody else."""
        return Conflict(
            "The operation cannot be performed at this time. An update is in progress for resource: "
            f"{self.home.function_arn(name)}"
        )

    # What belongs to functions

    def url(self, name: str, qualifier: str | None = None) -> FunctionUrl | None:
        """The URL of a function, or of one of its aliases."""
        return self.urls.get(name, "" if qualifier == LATEST else qualifier or "")

    def alias(self, name: str, qualifier: str | None) -> Alias | None:
        return None if qualifier is None else self.aliases.get(name, qualifier)

    def permits(self, principal: Principal, action: str, ref: FunctionRef) -> bool:
        """Whether the resource policy of what is called lets this caller do `action`."""
        policy = self.policies.get(ref.name, "" if ref.qualifier == LATEST else ref.qualifier or "")
        known = principal.kind is not Kind.ANONYMOUS and bool(principal.arn)
        return policy is not None and known and permit.permits(policy.statements.values(), principal.arn, action)

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

        await self.changes.make(check, lambda: self._reservation_table.put(name, concurrency), apply)

    async def remove_reservation(self, name: str, *, check: Callable[[], object], then: Callable[[], object]) -> None:
        def apply() -> None:
            self._reservations.pop(name, None)
            then()

        await self.changes.make(check, lambda: self._reservation_table.delete(name), apply)

    # Roles

    def role(self, name: str) -> Role | None:
        return self._roles.get(name.lower())

    def roles(self) -> tuple[Role, ...]:
        """All roles, in order of their names."""
        return tuple(sorted(self._roles.values(), key=lambda role: role.name))

    async def save_role(self, role: Role, *, check: Callable[[], object]) -> None:
        await self.changes.make(
            check, lambda: self._role_table.put(role), lambda: self._roles.__setitem__(role.name.lower(), role)
        )

    async def remove_role(self, name: str, *, check: Callable[[], object]) -> None:
        role = self.role(name)
        stored = name if role is None else role.name
        await self.changes.make(
            check, lambda: self._role_table.delete(stored), lambda: self._roles.pop(stored.lower(), None)
        )


def _marker(function: Function) -> str:
    return function.name if function.version == LATEST else f"{function.name}:{function.version}"
