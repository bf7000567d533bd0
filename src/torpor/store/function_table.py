"""Functions as rows: what a user deployed, and what serves while that is not ready."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, func, select
from sqlalchemy.dialects.sqlite import insert

from torpor.core.arn import LATEST
from torpor.core.function import (
    Bundle,
    Environment,
    Function,
    FunctionConfig,
    State,
    UpdateStatus,
    environment_as_json,
    environment_from_json,
)
from torpor.store.database import Database
from torpor.store.sealing import Sealer
from torpor.store.tables import (
    aliases,
    event_invokes,
    function_urls,
    functions,
    policies,
    provisions,
    reservations,
    version_numbers,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What invocations run: the last configuration and code whose environment was built."""

    config: FunctionConfig
    bundle: Bundle
    environment: Environment

    def evolve(self, **changes: Any) -> Serving:
        return replace(self, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionRecord:
    """A function or one of its versions, and what serves its invocations: None before its first build ended well.

    `build` tells one deployment from another: it stays when only tags or the like are changed.
    """

    function: Function
    serving: Serving | None = None
    build: object = field(default_factory=object, compare=False, repr=False)

    @property
    def name(self) -> str:
        return self.function.name

    @property
    def version(self) -> str:
        return self.function.version

    def evolve(self, **changes: Any) -> FunctionRecord:
        return replace(self, **changes)


def _own(function: Function) -> Serving | None:
    if function.environment is None or function.update_status is not UpdateStatus.SUCCESSFUL:
        return None
    return Serving(config=function.config, bundle=function.bundle, environment=function.environment)


def _config_context(name: str) -> bytes:
    return f"the variables of function {name}".encode()


class _Rows:
    """Records to rows and back. Variables are sealed: for this function, in whatever version or column they stand."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def record(self, row: Mapping[str, Any]) -> FunctionRecord:
        function = Function(
            config=self._config(row["config"]),
            bundle=Bundle(row["bundle_digest"], row["bundle_size"]),
            version=row["version"],
            environment=_environment(row["environment"]),
            state=State(row["state"]),
            state_reason=row["state_reason"],
            state_reason_code=row["state_reason_code"],
            update_status=UpdateStatus(row["update_status"]),
            update_reason=row["update_reason"],
            update_reason_code=row["update_reason_code"],
            revision_id=row["revision_id"],
            modified=datetime.fromisoformat(row["modified"]),
            source=row["source"],
        )
        return FunctionRecord(function=function, serving=_own(function) or self._serving(row["serving"]))

    def row(self, record: FunctionRecord) -> dict[str, Any]:
        function = record.function
        environment = function.environment
        return {
            "name": function.name,
            "version": function.version,
            "config": json.dumps(self._sealed(function.config)),
            "bundle_digest": function.bundle.digest,
            "bundle_size": function.bundle.size,
            "environment": None if environment is None else json.dumps(environment_as_json(environment)),
            "state": function.state.value,
            "state_reason": function.state_reason,
            "state_reason_code": function.state_reason_code,
            "update_status": function.update_status.value,
            "update_reason": function.update_reason,
            "update_reason_code": function.update_reason_code,
            "revision_id": function.revision_id,
            "modified": function.modified.isoformat(),
            "serving": self._serving_text(record),
            "source": function.source,
        }

    def _sealed(self, config: FunctionConfig) -> dict[str, Any]:
        plain = config.as_json()
        variables = plain.pop("variables")
        if variables:
            sealed = self._sealer.seal(msgspec.json.encode(variables), _config_context(config.name))
            plain["sealed"] = base64.b64encode(sealed).decode()
        return plain

    def _config(self, stored: str | dict[str, Any]) -> FunctionConfig:
        plain = msgspec.json.decode(stored) if isinstance(stored, str) else stored
        sealed = plain.pop("sealed", None)
        if sealed is not None:
            opened = self._sealer.open(base64.b64decode(sealed), _config_context(plain["name"]))
            plain["variables"] = msgspec.json.decode(opened)
        return FunctionConfig.from_json(plain)

    def _serving(self, text: str | None) -> Serving | None:
        if text is None:
            return None
        plain = msgspec.json.decode(text)
        return Serving(
            config=self._config(plain["config"]),
            bundle=Bundle(plain["bundle"]["digest"], plain["bundle"]["size"]),
            environment=environment_from_json(plain["environment"]),
        )

    def _serving_text(self, record: FunctionRecord) -> str | None:
        serving = record.serving
        if serving is None or serving == _own(record.function):
            return None
        return json.dumps(
            {
                "config": self._sealed(serving.config),
                "bundle": {"digest": serving.bundle.digest, "size": serving.bundle.size},
                "environment": environment_as_json(serving.environment),
            }
        )


def _environment(text: str | None) -> Environment | None:
    return None if text is None else environment_from_json(msgspec.json.decode(text))


def _is_plain(row: Mapping[str, Any]) -> bool:
    """Whether the row holds variables as they were stored before they were sealed."""
    stored = [msgspec.json.decode(row["config"])]
    if row["serving"] is not None:
        stored.append(msgspec.json.decode(row["serving"])["config"])
    return any(plain.get("variables") for plain in stored)


class FunctionTable:
    """Reads all at start, writes one change at a time; each call is one synced commit and blocks."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = _Rows(database.sealer)

    def read_all(self) -> list[FunctionRecord]:
        """Every function and version. Variables that an older torpor stored openly are sealed first.

        Raises SealingKeyLost where they were sealed with a key that is not here.
        """
        with self._database.begin() as connection:
            rows = [dict(row) for row in connection.execute(select(functions).order_by(functions.c.name)).mappings()]
        records = [self._rows.record(row) for row in rows]
        if not self._database.scrubbed:
            self.put(*(record for record, row in zip(records, rows, strict=True) if _is_plain(row)))
            self._database.scrub()
        return records

    def numbers(self) -> dict[str, int]:
        """The last number given to a version of each function that ever had one."""
        with self._database.begin() as connection:
            rows = connection.execute(select(version_numbers.c.name, version_numbers.c.last))
            return {name: last for name, last in rows}  # noqa: C416 - rows are no pairs to mypy

    def put(self, *records: FunctionRecord) -> None:
        """Store functions and versions together. A version's number is taken from then on."""
        with self._database.begin() as connection:
            for record in records:
                row = self._rows.row(record)
                statement = insert(functions).values(row)
                statement = statement.on_conflict_do_update(
                    index_elements=["name", "version"], set_={key: value for key, value in row.items() if key != "name"}
                )
                connection.execute(statement)
                if record.version != LATEST:
                    _take_number(connection, record)

    def delete(self, name: str) -> None:
        """Remove the function with everything that belongs to it. Its versions' numbers stay taken."""
        with self._database.begin() as connection:
            for table in (function_urls, reservations, aliases, policies, event_invokes, provisions, functions):
                connection.execute(delete(table).where(table.c.name == name))

    def delete_version(self, name: str, version: str) -> None:
        """Remove a published version with what was set for it alone."""
        with self._database.begin() as connection:
            for table in (policies, event_invokes, provisions):
                connection.execute(delete(table).where((table.c.name == name) & (table.c.key == version)))
            connection.execute(delete(functions).where((functions.c.name == name) & (functions.c.version == version)))


def _take_number(connection: Connection, record: FunctionRecord) -> None:
    number = int(record.version)
    statement = insert(version_numbers).values(name=record.name, last=number)
    larger = func.max(version_numbers.c.last, number)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"last": larger}))
