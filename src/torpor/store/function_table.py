"""Functions as rows: what a user deployed, and what serves while that is not ready."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

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
from torpor.store.tables import function_urls, functions, reservations


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
    """A function, and what serves its invocations: None before its first build ended well."""

    function: Function
    serving: Serving | None = None

    @property
    def name(self) -> str:
        return self.function.name

    def evolve(self, **changes: Any) -> FunctionRecord:
        return replace(self, **changes)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> FunctionRecord:
        function = _function(row)
        return cls(function=function, serving=_own(function) or _serving(row["serving"]))


def _own(function: Function) -> Serving | None:
    if function.environment is None or function.update_status is not UpdateStatus.SUCCESSFUL:
        return None
    return Serving(config=function.config, bundle=function.bundle, environment=function.environment)


def _function(row: Mapping[str, Any]) -> Function:
    return Function(
        config=FunctionConfig.from_json(msgspec.json.decode(row["config"])),
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
    )


def _environment(text: str | None) -> Environment | None:
    return None if text is None else environment_from_json(msgspec.json.decode(text))


def _serving(text: str | None) -> Serving | None:
    if text is None:
        return None
    plain = msgspec.json.decode(text)
    return Serving(
        config=FunctionConfig.from_json(plain["config"]),
        bundle=Bundle(plain["bundle"]["digest"], plain["bundle"]["size"]),
        environment=environment_from_json(plain["environment"]),
    )


def _serving_text(record: FunctionRecord) -> str | None:
    serving = record.serving
    if serving is None or serving == _own(record.function):
        return None
    return json.dumps(
        {
            "config": serving.config.as_json(),
            "bundle": {"digest": serving.bundle.digest, "size": serving.bundle.size},
            "environment": environment_as_json(serving.environment),
        }
    )


def _row(record: FunctionRecord) -> dict[str, Any]:
    function = record.function
    environment = function.environment
    return {
        "name": function.name,
        "version": function.version,
        "config": json.dumps(function.config.as_json()),
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
        "serving": _serving_text(record),
    }


class FunctionTable:
    """Reads all at start, writes one at a time; each call is one synced commit and blocks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read_all(self) -> list[FunctionRecord]:
        with self._database.begin() as connection:
            rows = connection.execute(select(functions).order_by(functions.c.name)).mappings()
            return [FunctionRecord.from_row(row) for row in rows]  # type: ignore[arg-type]  # a RowMapping is one

    def put(self, record: FunctionRecord) -> None:
        row = _row(record)
        statement = insert(functions).values(row)
        statement = statement.on_conflict_do_update(
            index_elements=["name", "version"], set_={key: value for key, value in row.items() if key != "name"}
        )
        with self._database.begin() as connection:
            connection.execute(statement)

    def delete(self, name: str) -> None:
        """Remove the function, with all its versions, its URL and its reserved concurrency."""
        with self._database.begin() as connection:
            connection.execute(delete(function_urls).where(function_urls.c.name == name))
            connection.execute(delete(reservations).where(reservations.c.name == name))
            connection.execute(delete(functions).where(functions.c.name == name))
