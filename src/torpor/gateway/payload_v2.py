"""Function URLs' payload format 2.0, both ways: an HTTP request as an event, a handler's result as an HTTP response.

Source: AWS, "Invoking Lambda function URLs: request and response payloads". As the live service does, `cookies`,
`queryStringParameters` and `body` are absent where there is none. A body is text where its type says so (text/*, JSON,
XML, JavaScript), or where no type is given and it is UTF-8; anything else is base64.
"""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from torpor.core.arn import Home
from torpor.core.errors import TorporError
from torpor.core.http import HttpRequest, HttpResponse
from torpor.core.identity import Kind, Principal
from torpor.gateway.asgi import JSON_TYPE
from torpor.gateway.origins import host_name

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TEXT_TYPES = frozenset({"application/json", "application/xml", "application/javascript", "application/ecmascript"})
# Between us and the client, not between the function and the client; and what we compute or say ourselves.
_DROPPED = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"),
        *("transfer-encoding", "upgrade", "content-length", "date", "x-amzn-requestid"),
    }
)
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz")
_INTERNAL = b'{"message":"Internal Server Error"}'


class MalformedResponse(TorporError):
    """The function's result has a statusCode, but is not a response."""


@dataclass(frozen=True, slots=True)
class Addressed:
    """Where a request came in: the function, the path behind its prefix (empty for a host of its own), and whose."""

    function: str
    path: str
    prefix: str
    home: Home


def event_of(request: HttpRequest, addressed: Addressed, *, now: float) -> bytes:
    """The event, as JSON."""
    headers, cookies = _headers(request, addressed)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": addressed.path,
        "rawQueryString": request.query,
    }
    if cookies:
        event["cookies"] = cookies
    event["headers"] = headers
    if request.query:
        event["queryStringParameters"] = _parameters(request.query)
    event["requestContext"] = _context(request, addressed, headers, now)
    if request.body:
        event["body"], event["isBase64Encoded"] = _body(headers.get("content-type", ""), request.body)
    else:
        event["isBase64Encoded"] = False
    return msgspec.json.encode(event)


def _headers(request: HttpRequest, addressed: Addressed) -> tuple[dict[str, str], list[str]]:
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in request.headers:
        if name == "cookie":
            cookies += [cookie.strip() for cookie in value.split(";") if cookie.strip()]
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    if cookies:
        headers["cookie"] = "; ".join(cookies)
    seen = headers.get("x-forwarded-for")
    headers["x-forwarded-for"] = f"{seen}, {request.client}" if seen else request.client
    headers["x-forwarded-proto"] = request.scheme
    headers["x-forwarded-port"] = _port(headers.get("host", ""), request.scheme)
    if addressed.prefix:
        headers["x-forwarded-prefix"] = addressed.prefix
    return headers, cookies


def _port(host: str, scheme: str) -> str:
    port = host.rpartition(":")[2]
    return port if port.isdigit() and ":" in host else {"https": "443"}.get(scheme, "80")


def _parameters(query: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, errors="replace"):
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    return parameters


def _context(request: HttpRequest, addressed: Addressed, headers: dict[str, str], now: float) -> dict[str, Any]:
    domain = host_name(headers.get("host", ""))
    known = request.principal.kind is not Kind.ANONYMOUS
    context: dict[str, Any] = {
        "accountId": addressed.home.account if known else "anonymous",
        "apiId": addressed.function,
        "domainName": domain,
        "domainPrefix": addressed.function,
        "http": {
            "method": request.method,
            "path": addressed.path,
            "protocol": "HTTP/1.1",
            "sourceIp": request.client,
            "userAgent": headers.get("user-agent", ""),
        },
        "requestId": request.request_id,
        "routeKey": "$default",
        "stage": "$default",
        "time": _spelled(int(now)),
        "timeEpoch": int(now * 1000),
    }
    if known:
        context["authentication"] = None
        context["authorizer"] = {"iam": _iam(request.principal, addressed.home)}
    return context


def _iam(principal: Principal, home: Home) -> dict[str, str | None]:
    return {
        "accessKey": None,
        "accountId": home.account,
        "callerId": home.account,
        "cognitoIdentity": None,
        "principalOrgId": None,
        "userArn": principal.arn,
        "userId": home.account,
    }


@lru_cache(maxsize=4)
def _spelled(second: int) -> str:
    """Apache's spelling of a time, whatever the locale."""
    at = time.gmtime(second)
    return time.strftime(f"%d/{_MONTHS[at.tm_mon - 1]}/%Y:%H:%M:%S +0000", at)


def _body(content_type: str, body: bytes) -> tuple[str, bool]:
    if is_text(content_type):
        try:
            return body.decode(), False
        except UnicodeDecodeError:
            pass  # it says that it is text, and is not ours to repair: hand over the bytes
    return base64.b64encode(body).decode(), True


@lru_cache(maxsize=256)
def is_text(content_type: str) -> bool:
    """Whether a body of this type is handed over as text; one without a type is, where it is UTF-8."""
    kind = content_type.partition(";")[0].strip().lower()
    return not kind or kind.startswith("text/") or kind in _TEXT_TYPES or kind.endswith(("+json", "+xml"))


def response_of(payload: bytes) -> HttpResponse:
    """What a handler's JSON result says to the client. Raises MalformedResponse."""
    if not payload.lstrip().startswith(b"{"):
        return HttpResponse(headers=(JSON_TYPE,), body=payload)
    try:
        plain = msgspec.json.decode(payload)
    except msgspec.DecodeError as error:
        raise MalformedResponse("The function's result is not JSON.") from error
    if "statusCode" not in plain:
        return HttpResponse(headers=(JSON_TYPE,), body=payload)
    headers = [*_plain_headers(plain.get("headers")), *_multi_headers(plain.get("multiValueHeaders"))]
    if not any(name == "content-type" for name, _ in headers):
        headers.insert(0, JSON_TYPE)
    headers += [("set-cookie", _value(cookie)) for cookie in _cookies(plain.get("cookies"))]
    body = _response_body(plain.get("body"), plain.get("isBase64Encoded"))
    return HttpResponse(status=_status(plain["statusCode"]), headers=tuple(headers), body=body)


def _status(value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 200 <= value <= 599:
        raise MalformedResponse("statusCode must be an integer from 200 to 599.")
    return value


def _plain_headers(value: Any) -> list[tuple[str, str]]:
    if value is None:
        return []
    if not isinstance(value, dict):
        raise MalformedResponse("headers must be an object of names and values.")
    return [(key, _value(text)) for name, text in value.items() if (key := _name(name)) and text is not None]


def _multi_headers(value: Any) -> list[tuple[str, str]]:
    if value is None:
        return []
    if not isinstance(value, dict) or not all(isinstance(texts, list) for texts in value.values()):
        raise MalformedResponse("multiValueHeaders must be an object of names and lists of values.")
    return [(key, _value(text)) for name, texts in value.items() if (key := _name(name)) for text in texts]


def _cookies(value: Any) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise MalformedResponse("cookies must be a list of Set-Cookie values.")
    return value


def _name(name: str) -> str:
    """A header's name in lower case; empty where it is not the function's to set."""
    key = name.lower()
    if not key or not _TOKEN.issuperset(key):
        raise MalformedResponse(f"{name!r} is not the name of a header.")
    return "" if key in _DROPPED or key.startswith("x-torpor-") else key


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise MalformedResponse(f"A header's value must be text, not {type(value).__name__}.")
    text = str(value)
    if not text.isprintable() and any(
        (character < " " and character != "\t") or character == "\x7f" for character in text
    ):
        raise MalformedResponse("A header's value holds a control character.")
    return text.strip()


def _response_body(body: Any, encoded: Any) -> bytes:
    if body is None:
        return b""
    if not isinstance(body, str):
        raise MalformedResponse("body must be a string: encode an object with json.dumps.")
    if encoded is not True:
        return body.encode("utf-8", "replace")
    try:
        return base64.b64decode(body, validate=True)
    except ValueError as error:
        raise MalformedResponse("isBase64Encoded is set, and body is not base64.") from error


def failure(status: int, body: bytes = _INTERNAL) -> HttpResponse:
    """What the client hears when the function gave no response."""
    return HttpResponse(status=status, headers=(JSON_TYPE,), body=body)
