"""`/_torpor/secrets`: set, listed and removed here; read through the AWS interfaces and in functions alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from torpor.core.errors import InvalidValue
from torpor.core.secret import Secret
from torpor.gateway.small_bodies import json_answer

_MOST_BYTES = 65_536


class Secrets(Protocol):
    async def set(self, name: str, value: bytes, **about: Any) -> Secret: ...

    def all(self) -> Sequence[Secret]: ...

    async def delete(self, name: str) -> tuple[Secret, datetime]:
        """For good. Raises ResourceNotFound."""
        ...


class SecretEndpoints:
    """The endpoints. A value comes in as a body, and never goes out."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def routes(self) -> list[Route]:
        return [
            Route("/_torpor/secrets", self.list_secrets, methods=["GET"]),
            Route("/_torpor/secrets/{name:path}", self.set_secret, methods=["PUT"]),
            Route("/_torpor/secrets/{name:path}", self.remove_secret, methods=["DELETE"]),
        ]

    async def list_secrets(self, _request: Request) -> Response:
        return json_answer({"secrets": [_shown(secret) for secret in self._secrets.all() if secret.deletes is None]})

    async def set_secret(self, request: Request) -> Response:
        value = bytearray()
        async for chunk in request.stream():
            value += chunk
            if len(value) > _MOST_BYTES:
                raise InvalidValue(f"A secret holds {_MOST_BYTES} bytes at most.")
        secret = await self._secrets.set(request.path_params["name"], bytes(value), binary=_is_binary(bytes(value)))
        return json_answer(_shown(secret))

    async def remove_secret(self, request: Request) -> Response:
        secret, _ = await self._secrets.delete(request.path_params["name"])
        return json_answer(_shown(secret))


def _is_binary(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return True
    return False


def _shown(secret: Secret) -> dict[str, Any]:
    return {
        "name": secret.name,
        "type": secret.kind.value,
        "description": secret.description,
        "version": secret.current.number if secret.current else None,
        "created": secret.created.isoformat(timespec="seconds"),
        "changed": secret.changed.isoformat(timespec="seconds"),
    }
