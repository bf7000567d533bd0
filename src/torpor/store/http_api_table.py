"""HTTP APIs as rows: each API is one document, since it is read whole at start and changed as one."""

from __future__ import annotations

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from torpor.core.http_api import HttpApi
from torpor.store.database import Database
from torpor.store.tables import http_apis


class HttpApiTable:
    """Reads all at start, writes one at a time; each call is one synced commit and blocks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read_all(self) -> list[HttpApi]:
        with self._database.begin() as connection:
            rows = connection.execute(select(http_apis.c.document).order_by(http_apis.c.id))
            return [msgspec.json.decode(document, type=HttpApi) for (document,) in rows]

    def put(self, api: HttpApi) -> None:
        document = msgspec.json.encode(api).decode()
        statement = insert(http_apis).values(id=api.id, document=document)
        statement = statement.on_conflict_do_update(index_elements=["id"], set_={"document": document})
        with self._database.begin() as connection:
            connection.execute(statement)

    def delete(self, api_id: str) -> None:
        with self._database.begin() as connection:
            connection.execute(delete(http_apis).where(http_apis.c.id == api_id))
