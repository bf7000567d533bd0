"""Access keys as rows; their secrets are sealed, each to its own key."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import delete, insert, select

from torpor.store.database import Database
from torpor.store.tables import access_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """A key that the owner made; `permissions` are what its holder may do."""

    id: str
    name: str
    permissions: tuple[str, ...]
    sealed_secret: bytes = field(repr=False)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))


class KeyTable:
    """Reads all at start, writes one at a time; each call is one synced commit and blocks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read_all(self) -> list[AccessKey]:
        with self._database.begin() as connection:
            rows = connection.execute(select(access_keys)).mappings()
            return [
                AccessKey(
                    id=row["id"],
                    name=row["name"],
                    permissions=tuple(json.loads(row["permissions"])),
                    sealed_secret=row["sealed_secret"],
                    created=datetime.fromisoformat(row["created"]),
                )
                for row in rows
            ]

    def add(self, key: AccessKey) -> None:
        row = {
            "id": key.id,
            "name": key.name,
            "permissions": json.dumps(key.permissions),
            "sealed_secret": key.sealed_secret,
            "created": key.created.isoformat(),
        }
        with self._database.begin() as connection:
            connection.execute(insert(access_keys).values(row))

    def delete(self, key_id: str) -> None:
        with self._database.begin() as connection:
            connection.execute(delete(access_keys).where(access_keys.c.id == key_id))
