"""Secrets as rows; a row holds all versions, each sealed for its place."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from torpor.core.secret import Secret, SecretKind, SecretVersion
from torpor.store.database import Database
from torpor.store.tables import secrets


class SecretTable:
    """Reads all at start, writes one at a time; each call is one synced commit and blocks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read_all(self) -> list[Secret]:
        with self._database.begin() as connection:
            rows = connection.execute(select(secrets)).mappings()
            return [_from_row(row) for row in rows]  # type: ignore[arg-type]  # a RowMapping is one

    def put(self, secret: Secret) -> None:
        row = _row(secret)
        statement = insert(secrets).values(row)
        statement = statement.on_conflict_do_update(index_elements=["name"], set_=row)
        with self._database.begin() as connection:
            connection.execute(statement)

    def delete(self, name: str) -> None:
        with self._database.begin() as connection:
            connection.execute(delete(secrets).where(secrets.c.name == name))


def _from_row(row: Mapping[str, Any]) -> Secret:
    return Secret(
        name=row["name"],
        suffix=row["suffix"],
        kind=SecretKind(row["kind"]),
        description=row["description"],
        tags=json.loads(row["tags"]),
        versions=tuple(_version(plain) for plain in json.loads(row["versions"])),
        created=datetime.fromisoformat(row["created"]),
        changed=datetime.fromisoformat(row["changed"]),
        deletes=datetime.fromisoformat(row["deletes"]) if row["deletes"] else None,
    )


def _version(plain: Mapping[str, Any]) -> SecretVersion:
    return SecretVersion(
        id=plain["id"],
        number=plain["number"],
        sealed=base64.b64decode(plain["sealed"]),
        binary=plain["binary"],
        stages=tuple(plain["stages"]),
        created=datetime.fromisoformat(plain["created"]),
    )


def _row(secret: Secret) -> dict[str, Any]:
    versions = [
        {
            "id": version.id,
            "number": version.number,
            "sealed": base64.b64encode(version.sealed).decode(),
            "binary": version.binary,
            "stages": version.stages,
            "created": version.created.isoformat(),
        }
        for version in secret.versions
    ]
    return {
        "name": secret.name,
        "suffix": secret.suffix,
        "kind": secret.kind.value,
        "description": secret.description,
        "tags": json.dumps(dict(secret.tags)),
        "versions": json.dumps(versions),
        "created": secret.created.isoformat(),
        "changed": secret.changed.isoformat(),
        "deletes": secret.deletes.isoformat() if secret.deletes else None,
    }
