"""The OpenAPI document of an API, as SAM writes it, read as routes of an HTTP API."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_ANY = "x-amazon-apigateway-any-method"
_METHODS = {
    **{name: name.upper() for name in ("get", "put", "post", "delete", "options", "head", "patch")},
    _ANY: "ANY",
}
_URI = re.compile(r"arn:[^:]+:apigateway:[^:]*:lambda:path/2015-03-31/functions/(?P<function>.+)/invocations")
_CORS_HEADERS = {
    "Access-Control-Allow-Origin": "AllowOrigins",
    "Access-Control-Allow-Methods": "AllowMethods",
    "Access-Control-Allow-Headers": "AllowHeaders",
    "Access-Control-Max-Age": "MaxAge",
    "Access-Control-Allow-Credentials": "AllowCredentials",
}


class BodyNotSupported(Exception):
    """The document asks for something that HTTP APIs here do not do."""


@dataclass(frozen=True, slots=True)
class WantedRoute:
    """A route and the function behind it."""

    key: str
    function: str
    payload: str
    authorization: str = "NONE"
    timeout_ms: int = 30_000


@dataclass(frozen=True, slots=True)
class WantedApi:
    """What a document says. `cors` is the shape Cors of `apigatewayv2`; None without one."""

    title: str
    description: str
    routes: tuple[WantedRoute, ...]
    cors: Mapping[str, Any] | None


def read_body(body: Mapping[str, Any], *, rest: bool) -> WantedApi:
    """The routes of a document; of a REST API's (`rest`), events have payload format 1.0. Raises BodyNotSupported."""
    info = body.get("info") or {}
    schemes = _schemes(body)
    routes: list[WantedRoute] = []
    cors = _http_cors(body.get("x-amazon-apigateway-cors"))
    for path, methods in (body.get("paths") or {}).items():
        for name, operation in (methods or {}).items():
            if name not in _METHODS or not operation:
                continue
            if _is_preflight(name, operation):
                cors = cors or _rest_cors(operation)
            else:
                routes.append(_route(path, _METHODS[name], operation, schemes, body, rest=rest))
    return WantedApi(str(info.get("title", "")), str(info.get("description", "")), tuple(routes), cors)


def _route(
    path: str,
    method: str,
    operation: Mapping[str, Any],
    schemes: Mapping[str, str],
    body: Mapping[str, Any],
    *,
    rest: bool,
) -> WantedRoute:
    key = "$default" if path in ("$default", "/$default") else f"{method} {path}"
    integration = operation.get("x-amazon-apigateway-integration") or {}
    match = _URI.fullmatch(str(integration.get("uri", "")))
    if str(integration.get("type", "")).lower() != "aws_proxy" or match is None:
        raise BodyNotSupported(f"{key}: only functions can stand behind a route (aws_proxy)")
    payload = "1.0" if rest else str(integration.get("payloadFormatVersion", "2.0"))
    wanted = [name for one in operation.get("security", body.get("security")) or () for name in one]
    return WantedRoute(
        key=key,
        function=match["function"],
        payload=payload,
        authorization=_authorization(key, wanted, operation, schemes),
        timeout_ms=int(integration.get("timeoutInMillis", 30_000)),
    )


def _authorization(key: str, wanted: list[str], operation: Mapping[str, Any], schemes: Mapping[str, str]) -> str:
    """What a route asks of callers. A route is never left more open than it was meant to be."""
    kinds = {schemes.get(name, "?") for name in wanted if name != "NONE"}
    if (operation.get("x-amazon-apigateway-auth") or {}).get("type", "NONE").upper() == "AWS_IAM":
        kinds.add("awsSigv4")
    if not kinds:
        return "NONE"
    if kinds == {"awsSigv4"}:
        return "AWS_IAM"
    raise BodyNotSupported(
        f"{key}: authorizers and API keys ({', '.join(sorted(set(wanted)))}) are not built. Use AWS_IAM, or check "
        "tokens in the function"
    )


def _schemes(body: Mapping[str, Any]) -> dict[str, str]:
    found = {**(body.get("securityDefinitions") or {}), **((body.get("components") or {}).get("securitySchemes") or {})}
    return {name: str((about or {}).get("x-amazon-apigateway-authtype", "?")) for name, about in found.items()}


def _is_preflight(name: str, operation: Mapping[str, Any]) -> bool:
    integration = operation.get("x-amazon-apigateway-integration") or {}
    return name == "options" and str(integration.get("type", "")).lower() == "mock"


def _rest_cors(operation: Mapping[str, Any]) -> dict[str, Any]:
    responses = (operation["x-amazon-apigateway-integration"].get("responses") or {}).values()
    headers = dict(_headers(responses))
    return _typed({_CORS_HEADERS[name]: text for name, text in headers.items() if name in _CORS_HEADERS})


def _headers(responses: Any) -> Iterator[tuple[str, str]]:
    for response in responses:
        for name, text in ((response or {}).get("responseParameters") or {}).items():
            yield name.removeprefix("method.response.header."), str(text).strip("'")


def _http_cors(cors: Any) -> dict[str, Any] | None:
    if not cors:
        return None
    if cors is True:
        return _typed({"AllowOrigins": "*"})
    names = {"MaxAge", "AllowCredentials", "AllowOrigins", "AllowMethods", "AllowHeaders", "ExposeHeaders"}
    found = {name[:1].upper() + name[1:]: value for name, value in cors.items()}
    return _typed({name: value for name, value in found.items() if name in names})


def _typed(cors: Mapping[str, Any]) -> dict[str, Any]:
    typed: dict[str, Any] = {}
    for name, value in cors.items():
        if name == "MaxAge":
            typed[name] = int(value)
        elif name == "AllowCredentials":
            typed[name] = value is True or str(value).lower() == "true"
        else:
            typed[name] = [part.strip() for part in value.split(",")] if isinstance(value, str) else list(value)
    return typed
