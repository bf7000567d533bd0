"""The ledger's rows and their hourly sums in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import Connection, Integer, Select, Table, case, cast, delete, func, select
from sqlalchemy.dialects.sqlite import insert as upsert

from torpor.core.invocation import Depth, Result, Usage
from torpor.store.database import Database
from torpor.store.tables import usage, usage_hours
from torpor.store.usage_totals import TOTAL_FIELDS, Totals, hour_of

_ROW_FIELDS = tuple(Usage.__dataclass_fields__)
_HOURLY = {name: usage_hours.c[name] for name in TOTAL_FIELDS}
_ROWWISE = {
    "invocations": func.count(),
    "errors": func.sum(case((usage.c.result != Result.OK.value, 1), else_=0)),
    "cold_starts": func.sum(case((usage.c.depth != Depth.WARM.value, 1), else_=0)),
    "init_ms": func.sum(usage.c.init_ms),
    "duration_ms": func.sum(usage.c.duration_ms),
    "billed_ms": func.sum(usage.c.billed_ms),
    "cpu_ms": func.sum(usage.c.cpu_ms),
    "megabyte_ms": func.sum(usage.c.billed_ms * usage.c.memory_mb),
    "max_memory_mb": func.max(usage.c.max_memory_mb),
}

# One row for every invocation: the driver gets tuples, since to make SQLAlchemy's parameters takes longer than SQLite.
# It lets go of the interpreter's lock for every statement that it runs, and then has to wait for the event loop to have
# it again: so many rows go by one statement.
_AT_ONCE = 100
_ROW = f"({', '.join('?' * len(_ROW_FIELDS))})"
_APPEND, _APPEND_MANY = (
    f"INSERT INTO usage ({', '.join(_ROW_FIELDS)}) VALUES {', '.join([_ROW] * rows)}"  # noqa: S608 -- our own names
    for rows in (1, _AT_ONCE)
)
_fields = attrgetter(*_ROW_FIELDS)
_PLAIN: Final[Mapping[Depth | Result, str]] = {one: one.value for kind in (Depth, Result) for one in kind}
_DEPTH, _RESULT = _ROW_FIELDS.index("depth"), _ROW_FIELDS.index("result")


class UsageTable:
    """Appends, sums, and folds old rows into hours. Every call is one synced commit and blocks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, rows: Sequence[Usage], folded: Mapping[tuple[str, int], Totals]) -> None:
        """Store rows, and sums of rows that are not kept one by one."""
        with self._database.begin() as connection:
            whole = len(rows) - len(rows) % _AT_ONCE
            for start in range(0, whole, _AT_ONCE):
                together = chain.from_iterable(map(_values, rows[start : start + _AT_ONCE]))
                connection.exec_driver_sql(_APPEND_MANY, tuple(together))
            if rows[whole:]:
                connection.exec_driver_sql(_APPEND, [tuple(_values(row)) for row in rows[whole:]])
            for (function, hour), totals in folded.items():
                _add_to_hour(connection, {"function": function, "hour": hour} | totals.as_row())

    def sums(self, since: float, function: str | None) -> dict[str, Totals]:
        """Sums by function of everything at or after `since`; where only hours are left, of those hours."""
        result: dict[str, Totals] = {}
        with self._database.begin() as connection:
            for query in (_row_sums(since, function), _hour_sums(since, function)):
                for row in connection.execute(query).mappings():
                    totals = Totals(**{name: row[name] for name in TOTAL_FIELDS})
                    result.setdefault(row["function"], Totals()).merge(totals)
        return result

    def recent(self, function: str | None, limit: int) -> list[Usage]:
        """The newest rows, newest first."""
        query = select(usage).order_by(usage.c.id.desc()).limit(limit)
        if function is not None:
            query = query.where(usage.c.function == function)
        with self._database.begin() as connection:
            return [_usage(row) for row in connection.execute(query).mappings()]  # type: ignore[arg-type]  # a RowMapping is one

    def span(self) -> tuple[int, int, float] | None:
        """The smallest and the largest id, and the oldest row's time; None when there are no rows."""
        with self._database.begin() as connection:
            first = connection.execute(select(usage.c.id, usage.c.at).order_by(usage.c.id).limit(1)).first()
            last = connection.execute(select(func.max(usage.c.id))).scalar()
            return None if first is None or last is None else (first.id, last, first.at)

    def count_older(self, cutoff: float, limit: int) -> int:
        """How many of the `limit` oldest rows are from before Unix time `cutoff`."""
        oldest = select(usage.c.at).order_by(usage.c.id).limit(limit).subquery()
        with self._database.begin() as connection:
            return connection.execute(select(func.count()).where(oldest.c.at < cutoff)).scalar_one()

    def fold(self, count: int) -> None:
        """Turn the `count` oldest rows into hourly sums."""
        with self._database.begin() as connection:
            oldest = select(usage.c.id).order_by(usage.c.id).limit(count)
            hour = (cast(usage.c.at / 3600, Integer) * 3600).label("hour")
            query = select(usage.c.function, hour, *_labelled()).where(usage.c.id.in_(oldest))
            # SQLite takes the write lock here, not at the first write: another writer in between would fail this one
            connection.exec_driver_sql("DELETE FROM usage WHERE 0")
            for row in connection.execute(query.group_by(usage.c.function, hour)).mappings().all():
                _add_to_hour(connection, dict(row))
            connection.execute(delete(usage).where(usage.c.id.in_(oldest)))


def _values(row: Usage) -> list[Any]:
    """A row for the driver, to which an enumeration's member is a stranger that it asks for its adapter each time."""
    values = list(_fields(row))
    values[_DEPTH], values[_RESULT] = _PLAIN[row.depth], _PLAIN[row.result]
    return values


def _usage(row: Mapping[str, Any]) -> Usage:
    values = {name: row[name] for name in _ROW_FIELDS}
    return Usage(**values | {"depth": Depth(row["depth"]), "result": Result(row["result"])})


def _labelled() -> list[Any]:
    return [column.label(name) for name, column in _ROWWISE.items()]


def _row_sums(since: float, function: str | None) -> Select[Any]:
    query = select(usage.c.function, *_labelled()).where(usage.c.at >= since).group_by(usage.c.function)
    return _only(query, usage, function)


def _hour_sums(since: float, function: str | None) -> Select[Any]:
    table = usage_hours
    sums = [(func.max if name == "max_memory_mb" else func.sum)(column).label(name) for name, column in _HOURLY.items()]
    query = select(table.c.function, *sums).where(table.c.hour >= hour_of(since)).group_by(table.c.function)
    return _only(query, table, function)


def _only(query: Select[Any], table: Table, function: str | None) -> Select[Any]:
    return query if function is None else query.where(table.c.function == function)


def _add_to_hour(connection: Connection, row: dict[str, Any]) -> None:
    statement = upsert(usage_hours).values(row)
    new = statement.excluded
    changes: dict[str, Any] = {
        name: func.max(column, new[name]) if name == "max_memory_mb" else column + new[name]
        for name, column in _HOURLY.items()
    }
    connection.execute(statement.on_conflict_do_update(index_elements=["function", "hour"], set_=changes))
