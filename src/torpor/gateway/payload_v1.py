"""Payload format 1.0 of HTTP APIs: the event that REST APIs made before them. Its responses are format 2.0's, but for
what that infers.

Source: AWS, "Create AWS Lambda proxy integrations for HTTP APIs in API Gateway".
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import msgspec

from torpor.core.http import HttpRequest
from torpor.core.identity import Kind
from torpor.gateway.origins import host_name
from torpor.gateway.payload_v2 import Addressed, Routed, body_of, headers_of, spelled


def event_of(request: HttpRequest, addressed: Addressed, routed: Routed, *, now: float) -> bytes:
    """The event, as JSON. What there is none of is null."""
    headers, _ = headers_of(request, addressed)
    many = {name: [headers[name]] for name in headers}
    last = dict(headers)
    for name in {name for name, _ in request.headers}:
        values = [value for other, value in request.headers if other == name]
        if len(values) > 1:
            many[name], last[name] = values, values[-1]
    parameters = _parameters(request.query)
    text, encoded = body_of(headers.get("content-type", ""), request.body) if request.body else (None, False)
    event: dict[str, Any] = {
        "version": "1.0",
        "resource": _resource(routed),
        "path": addressed.path,
        "httpMethod": request.method,
        "headers": last,
        "multiValueHeaders": many,
        "queryStringParameters": {name: values[-1] for name, values in parameters.items()} or None,
        "multiValueQueryStringParameters": parameters or None,
        "requestContext": _context(request, addressed, routed, headers) | _moment(now),
        "pathParameters": dict(routed.parameters) or None,
        "stageVariables": dict(routed.variables) or None,
        "body": text,
        "isBase64Encoded": encoded,
    }
    return msgspec.json.encode(event)


def _parameters(query: str) -> dict[str, list[str]]:
    parameters: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, errors="replace"):
        parameters.setdefault(name, []).append(value)
    return parameters


def _resource(routed: Routed) -> str:
    """The path of the route, as it was written; `$default` for that route."""
    return routed.key.partition(" ")[2] or routed.key


def _moment(now: float) -> dict[str, Any]:
    return {"requestTime": spelled(int(now)), "requestTimeEpoch": int(now * 1000)}


def _context(request: HttpRequest, addressed: Addressed, routed: Routed, headers: dict[str, str]) -> dict[str, Any]:
    return {
        "accountId": addressed.home.account,
        "apiId": addressed.name,
        "domainName": host_name(headers.get("host", "")),
        "domainPrefix": addressed.name,
        "extendedRequestId": request.request_id,
        "httpMethod": request.method,
        "identity": _identity(request, addressed, headers),
        "path": addressed.path,
        "protocol": "HTTP/1.1",
        "requestId": request.request_id,
        "resourceId": None,
        "resourcePath": _resource(routed),
        "stage": routed.stage,
    }


def _identity(request: HttpRequest, addressed: Addressed, headers: dict[str, str]) -> dict[str, str | None]:
    known = request.principal.kind is not Kind.ANONYMOUS
    account = addressed.home.account if known else None
    return {
        "accessKey": None,
        "accountId": account,
        "caller": account,
        "cognitoAuthenticationProvider": None,
        "cognitoAuthenticationType": None,
        "cognitoIdentityId": None,
        "cognitoIdentityPoolId": None,
        "principalOrgId": None,
        "sourceIp": request.client,
        "user": account,
        "userAgent": headers.get("user-agent", ""),
        "userArn": request.principal.arn if known else None,
    }
