"""Roles as rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from torpor.core.function import Role
from torpor.store.database import Database
from torpor.store.tables import roles


def role_from_row(row: Mapping[str, Any]) -> Role:
    return Role(
        name=row["name"],
        path=row["path"],
        role_id=row["role_id"],
        trust_policy=row["trust_policy"],
        description=row["description"],
        max_session_s=row["max_session_s"],
        tags=json.loads(row["tags"]),
        attached=tuple(json.loads(row["attached"])),
        inline=json.loads(row["inline"]),
        created=datetime.fromisoformat(row["created"]),
    )


def _row(role: Role) -> dict[str, Any]:
    return {
        "name": role.name,
        "path": role.path,
        "role_id": role.role_id,
        "trust_policy": role.trust_policy,
        "description": role.description,
        "max_session_s": role.max_session_s,
        "tags": json.dumps(dict(role.tags)),
        "attached": json.dumps(role.attached),
        "inline": json.dumps(dict(role.inline)),
        "created": role.created.isoformat(),
    }


class RoleTable:
    """Reads all at start, writes one at a time; each call is one synced commit and blocks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read_all(self) -> list[Role]:
        with self._database.begin() as connection:
            rows = connection.execute(select(roles)).mappings()
            return [role_from_row(row) for row in rows]  # type: ignore[arg-type]  # a RowMapping is one

    def put(self, role: Role) -> None:
        row = _row(role)
        statement = insert(roles).values(row)
        statement = statement.on_conflict_do_update(index_elements=["name"], set_=row)
        with self._database.begin() as connection:
            connection.execute(statement)

    def delete(self, name: str) -> None:
        with self._database.begin() as connection:
            connection.execute(delete(roles).where(roles.c.name == name))
