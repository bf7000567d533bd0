"""Function URLs as rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from torpor.core.function import FunctionUrl
from torpor.store.database import Database
from torpor.store.tables import function_urls


def url_from_row(row: Mapping[str, Any]) -> FunctionUrl:
    return FunctionUrl(
        name=row["name"],
        qualifier=row["qualifier"] or None,
        auth=row["auth"],
        cors=None if row["cors"] is None else json.loads(row["cors"]),
        invoke_mode=row["invoke_mode"],
        created=datetime.fromisoformat(row["created"]),
        modified=datetime.fromisoformat(row["modified"]),
    )


def _row(url: FunctionUrl) -> dict[str, Any]:
    return {
        "name": url.name,
        "qualifier": url.qualifier or "",
        "auth": url.auth,
        "cors": None if url.cors is None else json.dumps(dict(url.cors)),
        "invoke_mode": url.invoke_mode,
        "created": url.created.isoformat(),
        "modified": url.modified.isoformat(),
    }


class UrlTable:
    """Reads all at start, writes one at a time; each call is one synced commit and blocks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read_all(self) -> dict[str, dict[str, FunctionUrl]]:
        """By name and qualifier; the latter is empty for a function's own URL."""
        found: dict[str, dict[str, FunctionUrl]] = {}
        with self._database.begin() as connection:
            for row in connection.execute(select(function_urls)).mappings():
                found.setdefault(row["name"], {})[row["qualifier"]] = url_from_row(dict(row))
        return found

    def put(self, _name: str, _qualifier: str, url: FunctionUrl) -> None:
        row = _row(url)
        statement = insert(function_urls).values(row)
        statement = statement.on_conflict_do_update(index_elements=["name", "qualifier"], set_=row)
        with self._database.begin() as connection:
            connection.execute(statement)

    def delete(self, name: str, qualifier: str) -> None:
        chosen = (function_urls.c.name == name) & (function_urls.c.qualifier == qualifier)
        with self._database.begin() as connection:
            connection.execute(delete(function_urls).where(chosen))
