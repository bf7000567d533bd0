"""A function URL's CORS configuration, applied at the edge: a preflight never wakes the function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from torpor.core.http import HttpRequest, HttpResponse

Cors = Mapping[str, Any]
_PREFIX = "access-control-"


def is_preflight(request: HttpRequest) -> bool:
    return request.method == "OPTIONS" and bool(
        request.header("origin") and request.header("access-control-request-method")
    )


def preflight(cors: Cors, request: HttpRequest) -> HttpResponse:
    """The answer to a preflight; without headers where it is not allowed, which the browser takes as a no."""
    method = request.header("access-control-request-method")
    asked = [
        name.strip().lower() for name in request.header("access-control-request-headers").split(",") if name.strip()
    ]
    methods, allowed = _listed(cors, "AllowMethods"), [name.lower() for name in _listed(cors, "AllowHeaders")]
    headers = _origin_headers(cors, request.header("origin"))
    simple = method in ("GET", "HEAD", "POST")  # a browser allows these unasked
    if not headers or not (simple or "*" in methods or method in methods):
        return HttpResponse(headers=(("vary", "Origin"),))
    if not ("*" in allowed or set(asked) <= set(allowed)):
        return HttpResponse(headers=(("vary", "Origin"),))
    headers.append(("access-control-allow-methods", method))
    if asked:
        headers.append(("access-control-allow-headers", ",".join(asked)))
    if cors.get("MaxAge") is not None:
        headers.append(("access-control-max-age", str(cors["MaxAge"])))
    return HttpResponse(headers=tuple(headers))


def decorate(cors: Cors, request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """The response with the configuration's headers in place of the function's own: two of a kind would be refused."""
    kept = [pair for pair in response.headers if not pair[0].startswith(_PREFIX)]
    headers = _origin_headers(cors, request.header("origin"))
    exposed = _listed(cors, "ExposeHeaders")
    if headers and exposed:
        headers.append(("access-control-expose-headers", ",".join(exposed)))
    return replace(response, headers=(*kept, *headers))


def _origin_headers(cors: Cors, origin: str) -> list[tuple[str, str]]:
    allowed = _listed(cors, "AllowOrigins")
    if not origin or not any(pattern == "*" or fnmatchcase(origin, pattern.replace("[", "[[]")) for pattern in allowed):
        return []
    if cors.get("AllowCredentials"):
        # `*` is not allowed together with credentials.
        return [
            ("access-control-allow-origin", origin),
            ("access-control-allow-credentials", "true"),
            ("vary", "Origin"),
        ]
    if "*" in allowed:
        return [("access-control-allow-origin", "*")]
    return [("access-control-allow-origin", origin), ("vary", "Origin")]


def _listed(cors: Cors, name: str) -> Sequence[str]:
    value: Sequence[str] = cors.get(name) or ()
    return value
