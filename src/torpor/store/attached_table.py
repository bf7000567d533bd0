"""What belongs to functions by a name of its own, as rows of JSON."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec
from sqlalchemy import Table, delete, select
from sqlalchemy.dialects.sqlite import insert

from torpor.store.database import Database

V = TypeVar("V")


class AttachedTable(Generic[V]):
    """Reads all at start, writes one at a time; each call is one synced commit and blocks."""

    def __init__(self, database: Database, table: Table, kind: type[V]) -> None:
        self._database = database
        self._table = table
        self._decoder = msgspec.json.Decoder(kind)

    def read_all(self) -> dict[str, dict[str, V]]:
        """By the function's name and the value's own key."""
        found: dict[str, dict[str, V]] = {}
        columns = self._table.c
        with self._database.begin() as connection:
            for name, key, value in connection.execute(select(columns.name, columns.key, columns.value)):
                found.setdefault(name, {})[key] = self._decoder.decode(value)
        return found

    def put(self, name: str, key: str, value: V) -> None:
        text = msgspec.json.encode(value).decode()
        statement = insert(self._table).values(name=name, key=key, value=text)
        statement = statement.on_conflict_do_update(index_elements=["name", "key"], set_={"value": text})
        with self._database.begin() as connection:
            connection.execute(statement)

    def delete(self, name: str, key: str) -> None:
        chosen = (self._table.c.name == name) & (self._table.c.key == key)
        with self._database.begin() as connection:
            connection.execute(delete(self._table).where(chosen))
