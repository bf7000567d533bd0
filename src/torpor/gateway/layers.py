"""`/_torpor/layers`: layers are published, listed and removed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from torpor.core.arn import Home
from torpor.core.errors import InvalidValue, ResourceNotFound
from torpor.core.function import FunctionLayer
from torpor.core.layer import LayerVersion
from torpor.gateway.small_bodies import json_answer
from torpor.gateway.uploads import Uploads


class Layers(Protocol):
    async def publish(self, name: str, archive: Path, **about: Any) -> LayerVersion: ...

    def all(self) -> Sequence[LayerVersion]: ...

    def get(self, name: str, version: int) -> LayerVersion:
        """Raises ResourceNotFound."""
        ...

    async def delete(self, name: str, version: int) -> None: ...

    def resolve(self, wanted: Sequence[str]) -> tuple[FunctionLayer, ...]:
        """Raises InvalidValue."""
        ...


class About(msgspec.Struct, forbid_unknown_fields=True):
    """What the query of PUT says about a version."""

    description: str = ""
    license: str = ""
    runtimes: str = ""
    architectures: str = ""


class LayerEndpoints:
    """The endpoints."""

    def __init__(self, layers: Layers, uploads: Uploads, home: Home) -> None:
        self._layers = layers
        self._uploads = uploads
        self._home = home

    def routes(self) -> list[Route]:
        return [
            Route("/_torpor/layers", self.list_layers, methods=["GET"]),
            Route("/_torpor/layers/{name}", self.publish, methods=["PUT"]),
            Route("/_torpor/layers/{name}/{version}", self.remove, methods=["DELETE"]),
        ]

    async def list_layers(self, _request: Request) -> Response:
        return json_answer({"layers": [self._shown(version) for version in self._layers.all()]})

    async def publish(self, request: Request) -> Response:
        try:
            about = msgspec.convert(dict(request.query_params), About)
        except msgspec.ValidationError as error:
            raise InvalidValue(f"The query is not what this needs: {error}") from error
        if len(about.description) > 256 or len(about.license) > 512:
            raise InvalidValue("A description has at most 256 characters, a license 512.")
        async with self._uploads.receive(request) as archive:
            version = await self._layers.publish(
                request.path_params["name"],
                archive,
                description=about.description,
                license=about.license,
                runtimes=tuple(about.runtimes.split()),
                architectures=tuple(about.architectures.split()),
            )
        return json_answer(self._shown(version), 201)

    async def remove(self, request: Request) -> Response:
        text = unquote(request.path_params["version"])
        if not (text.isascii() and text.isdigit() and len(text) < 18):
            raise ResourceNotFound(f"'{text[:50]}' is not the number of a version.")
        version = self._layers.get(request.path_params["name"], int(text))
        await self._layers.delete(version.name, version.version)
        return json_answer(self._shown(version))

    def _shown(self, version: LayerVersion) -> dict[str, Any]:
        return {
            "name": version.name,
            "version": version.version,
            "arn": self._home.layer_arn(version.name, version.version),
            "description": version.description,
            "license": version.license,
            "runtimes": list(version.runtimes),
            "architectures": list(version.architectures),
            "code_sha256": version.bundle.code_sha256,
            "code_size": version.bundle.size,
            "unpacked_size": version.unpacked,
            "created": version.created.isoformat(timespec="seconds"),
        }
