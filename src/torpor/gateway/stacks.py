"""`/_torpor/stacks`: what was deployed from templates is kept here, so that any machine can go on with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from torpor.core.errors import InvalidValue
from torpor.core.stack import Stack
from torpor.gateway.small_bodies import json_answer, read_small

_MOST_BYTES = 2 * 1024 * 1024
_SHOWN = ("status", "template", "changed")


class Stacks(Protocol):
    async def all(self) -> Sequence[Stack]: ...

    async def get(self, name: str) -> Stack:
        """Raises ResourceNotFound."""
        ...

    async def put(self, name: str, revision: int, document: Mapping[str, Any]) -> Stack:
        """Raises InvalidValue and StackChanged."""
        ...

    async def delete(self, name: str, revision: int) -> None: ...


class NewState(msgspec.Struct, forbid_unknown_fields=True):
    """The body of PUT: a stack as it is now, and the revision that it takes the place of."""

    revision: int
    document: dict[str, Any]


class StackEndpoints:
    """The endpoints."""

    def __init__(self, stacks: Stacks) -> None:
        self._stacks = stacks

    def routes(self) -> list[Route]:
        return [
            Route("/_torpor/stacks", self.list_stacks, methods=["GET"]),
            Route("/_torpor/stacks/{name}", self.get_stack, methods=["GET"]),
            Route("/_torpor/stacks/{name}", self.put_stack, methods=["PUT"]),
            Route("/_torpor/stacks/{name}", self.delete_stack, methods=["DELETE"]),
        ]

    async def list_stacks(self, _request: Request) -> Response:
        return json_answer({"stacks": [_summary(stack) for stack in await self._stacks.all()]})

    async def get_stack(self, request: Request) -> Response:
        return json_answer(_whole(await self._stacks.get(request.path_params["name"])))

    async def put_stack(self, request: Request) -> Response:
        wanted = await read_small(request, NewState, most=_MOST_BYTES)
        stack = await self._stacks.put(request.path_params["name"], wanted.revision, wanted.document)
        return json_answer({"name": stack.name, "revision": stack.revision})

    async def delete_stack(self, request: Request) -> Response:
        revision = request.query_params.get("revision", "")
        if not (revision.isascii() and revision.isdigit()) or len(revision) > 15:
            raise InvalidValue("Say with ?revision=NUMBER which revision of the stack is meant.")
        await self._stacks.delete(request.path_params["name"], int(revision))
        return Response(status_code=204)


def _whole(stack: Stack) -> dict[str, Any]:
    return {"name": stack.name, "revision": stack.revision, "document": stack.document}


def _summary(stack: Stack) -> dict[str, Any]:
    """What a list shows. Documents are their writers': nothing is taken for granted of one."""
    counts = {name: _count(stack.document.get(name)) for name in ("resources", "waiting")}
    texts = {name: str(stack.document.get(name, ""))[:500] for name in _SHOWN}
    return {"name": stack.name, "revision": stack.revision, **texts, **counts}


def _count(value: Any) -> int:
    return len(value) if isinstance(value, list) else 0
