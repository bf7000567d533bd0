"""Reserved concurrency as rows: one for each function that has some."""

from __future__ import annotations

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from torpor.store.database import Database
from torpor.store.tables import reservations


class ReservationTable:
    """Reads all at start, writes one at a time; each call is one synced commit and blocks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read_all(self) -> dict[str, int]:
        """Reserved concurrency by the function's name."""
        with self._database.begin() as connection:
            rows = connection.execute(select(reservations.c.name, reservations.c.concurrency))
            return {name: concurrency for name, concurrency in rows}  # noqa: C416 - rows are no pairs to mypy

    def put(self, name: str, concurrency: int) -> None:
        statement = insert(reservations).values(name=name, concurrency=concurrency)
        statement = statement.on_conflict_do_update(index_elements=["name"], set_={"concurrency": concurrency})
        with self._database.begin() as connection:
            connection.execute(statement)

    def delete(self, name: str) -> None:
        with self._database.begin() as connection:
            connection.execute(delete(reservations).where(reservations.c.name == name))
