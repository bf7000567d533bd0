"""`/_torpor/keys`: the owner makes, lists and removes access keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from torpor.gateway.small_bodies import json_answer, read_small


class KeyFacts(Protocol):
    """What may be shown of a key: anything but its secret."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def permissions(self) -> tuple[str, ...]: ...
    @property
    def created(self) -> datetime: ...


class AccessKeys(Protocol):
    async def create(self, name: str, permissions: Sequence[str]) -> tuple[KeyFacts, str]:
        """The key and its secret. Raises InvalidValue and Conflict."""
        ...

    def list(self) -> Sequence[KeyFacts]: ...

    async def remove(self, name: str) -> KeyFacts:
        """Raises ResourceNotFound."""
        ...


class NewKey(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST: who the key is for, and what its holder may do."""

    name: str
    permissions: list[str]


class KeyEndpoints:
    """The endpoints; `gateway.rights` lets nobody but the owner reach them."""

    def __init__(self, keys: AccessKeys) -> None:
        self._keys = keys

    def routes(self) -> list[Route]:
        return [
            Route("/_torpor/keys", self.list_keys, methods=["GET"]),
            Route("/_torpor/keys", self.create_key, methods=["POST"]),
            Route("/_torpor/keys/{name}", self.remove_key, methods=["DELETE"]),
        ]

    async def list_keys(self, _request: Request) -> Response:
        return json_answer({"keys": [_shown(key) for key in self._keys.list()]})

    async def create_key(self, request: Request) -> Response:
        wanted = await read_small(request, NewKey)
        key, secret = await self._keys.create(wanted.name, wanted.permissions)
        return json_answer(_shown(key) | {"secret_access_key": secret, "token": f"{key.id}:{secret}"}, 201)

    async def remove_key(self, request: Request) -> Response:
        return json_answer(_shown(await self._keys.remove(request.path_params["name"])))


def _shown(key: KeyFacts) -> dict[str, Any]:
    return {
        "name": key.name,
        "access_key_id": key.id,
        "permissions": list(key.permissions),
        "created": key.created.isoformat(timespec="seconds"),
    }
