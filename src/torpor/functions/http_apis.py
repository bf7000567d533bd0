"""HTTP APIs in memory, written through: committed on the disk before a change is seen or told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from torpor.core.errors import InvalidValue, ResourceNotFound
from torpor.core.http_api import HttpApi
from torpor.functions.api_changes import new_id, settled
from torpor.functions.changes import Changes
from torpor.store.database import Database
from torpor.store.http_api_table import HttpApiTable

MAX_APIS = 600  # as on AWS

Step = Callable[[HttpApi], HttpApi]


class HttpApis:
    """Reading never waits. An API is replaced as a whole, so that what holds one sees one state of it."""

    def __init__(self, database: Database, account: str, apis: Iterable[HttpApi]) -> None:
        self._table = HttpApiTable(database)
        self._account = account
        self._apis = {api.id: api for api in apis}
        self._changes = Changes()

    @classmethod
    async def open(cls, database: Database, account: str) -> HttpApis:
        """Read everything that is stored."""
        return cls(database, account, await asyncio.to_thread(HttpApiTable(database).read_all))

    def find(self, api_id: str) -> HttpApi | None:
        return self._apis.get(api_id)

    def get(self, api_id: str) -> HttpApi:
        """The API. Raises ResourceNotFound."""
        api = self._apis.get(api_id)
        if api is None:
            raise ResourceNotFound(f"Invalid API identifier specified {self._account}:{api_id[:100]}")
        return api

    def list(self) -> tuple[HttpApi, ...]:
        """All APIs, in the order of their ids."""
        return tuple(self._apis[api_id] for api_id in sorted(self._apis))

    async def create(self, build: Step | None = None, **values: Any) -> HttpApi:
        """A new API of these values; `build` may add to it before it is seen. Raises InvalidValue."""

        def prepare() -> HttpApi:
            if len(self._apis) >= MAX_APIS:
                raise InvalidValue(f"This server has {MAX_APIS} APIs, the most there can be: delete some.")
            api = HttpApi(id=new_id(10), **values)
            return build(api) if build is not None else api

        return await self._changes.replace(prepare, self._table.put, self._put)

    async def change(self, api_id: str, step: Step) -> HttpApi:
        """Change an API. `step` sees it when no other change can come between. Raises what that raises."""

        def prepare() -> HttpApi:
            before = self.get(api_id)
            return settled(before, step(before))

        return await self._changes.replace(prepare, self._table.put, self._put)

    async def delete(self, api_id: str) -> None:
        """Raises ResourceNotFound."""

        def prepare() -> str:
            return self.get(api_id).id

        await self._changes.replace(prepare, self._table.delete, self._apis.pop)

    async def wait_written(self) -> None:
        """Wait for the changes that are being written, whose callers may have gone."""
        await self._changes.wait_written()

    def _put(self, api: HttpApi) -> None:
        self._apis[api.id] = api
