"""Log groups as rows: those that somebody made, and what was said of functions' own."""

from __future__ import annotations

import json
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from torpor.core.log_group import LogGroup
from torpor.store.database import Database
from torpor.store.tables import log_groups


class LogGroupTable:
    """Reads all at start, writes one at a time; each call is one synced commit and blocks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read_all(self) -> list[LogGroup]:
        with self._database.begin() as connection:
            rows = connection.execute(select(log_groups)).mappings()
            return [
                LogGroup(
                    name=row["name"],
                    created=datetime.fromisoformat(row["created"]),
                    retention_days=row["retention_days"],
                    tags=json.loads(row["tags"]),
                    explicit=row["explicit"],
                )
                for row in rows
            ]

    def put(self, group: LogGroup) -> None:
        row = {
            "name": group.name,
            "created": group.created.isoformat(),
            "retention_days": group.retention_days,
            "tags": json.dumps(dict(group.tags)),
            "explicit": group.explicit,
        }
        statement = insert(log_groups).values(row)
        statement = statement.on_conflict_do_update(index_elements=["name"], set_=row)
        with self._database.begin() as connection:
            connection.execute(statement)

    def delete(self, name: str) -> None:
        with self._database.begin() as connection:
            connection.execute(delete(log_groups).where(log_groups.c.name == name))
