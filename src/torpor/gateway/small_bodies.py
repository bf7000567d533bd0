"""JSON in and out of our own interface, where it is small."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from torpor.core.errors import InvalidValue

_SMALL_BODY = 64 * 1024
T = TypeVar("T")


def json_answer(value: Any, status: int = 200) -> Response:
    """A value as JSON, which nobody in between keeps."""
    headers = {"cache-control": "no-store"}
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


async def read_small(request: Request, kind: type[T], *, most: int = _SMALL_BODY) -> T:
    """The body as `kind`. Raises InvalidValue, which does not repeat it."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise InvalidValue(f"The body must be at most {most} bytes of JSON.")
    try:
        return msgspec.json.decode(bytes(body) or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidValue(f"The body is not what this needs: {error}") from error
