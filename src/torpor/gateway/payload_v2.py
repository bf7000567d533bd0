"""Payload format 2.0, both ways: an HTTP request as an event, a handler's result as an HTTP response.

Function URLs and HTTP APIs share it. Sources: AWS, "Invoking Lambda function URLs: request and response payloads", and
"Create AWS Lambda proxy integrations for HTTP APIs". As the live service does, `cookies`,
`queryStringParameters` and `body` are absent where there is none. A body is text where its type says so (text/*, JSON,
XML, JavaScript), or where no type is given and it is UTF-8; anything else is base64.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
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
_encode = msgspec.json.Encoder().encode
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)  # a function may answer with any bytes
_INTERNAL = b'{"message":"Internal Server Error"}'


class MalformedResponse(TorporError):
    """The function's result has a statusCode, but is not a response."""


class _Status(msgspec.Struct):
    """Whether there is a status, told without making objects of everything else."""

    statusCode: Any = msgspec.UNSET  # noqa: N815 -- Lambda's name


_status_of = msgspec.json.Decoder(_Status).decode


@dataclass(frozen=True, slots=True)
class Routed:
    """How an HTTP API leads a request on: by which of its routes and stages."""

    key: str
    stage: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Addressed:
    """Where a request came in: the function or API, the path behind its prefix (empty for a host of its own), and
    whose. A function's URL has no routes.
    """

    name: str
    path: str
    prefix: str
    home: Home
    routed: Routed | None = None


def event_of(request: HttpRequest, addressed: Addressed, *, now: float) -> bytes:
    """The event, as JSON."""
    return EventFrame(request, addressed, request.principal).event(request.request_id, request.body, now)


class EventFrame:
    """The events of all requests that have one head, and come from one caller: only body, time and id differ."""

    __slots__ = ("_after", "_before", "_content_type", "_end", "_routed")

    def __init__(self, head: HttpRequest, addressed: Addressed, principal: Principal) -> None:
        headers, cookies = headers_of(head, addressed)
        routed = addressed.routed
        event: dict[str, Any] = {
            "version": "2.0",
            "routeKey": routed.key if routed else "$default",
            "rawPath": addressed.path,
            "rawQueryString": head.query,
        }
        if cookies:
            event["cookies"] = cookies
        event["headers"] = headers
        if head.query:
            event["queryStringParameters"] = _parameters(head.query)
        context = _context(head, addressed, headers, known=principal.kind is not Kind.ANONYMOUS)
        route = {"routeKey": event["routeKey"], "stage": routed.stage if routed else "$default"}
        self._content_type = headers.get("content-type", "")
        self._before = b'%s,"requestContext":%s,"requestId":' % (_open(event), _open(context))
        self._routed = b',%s,"time":"' % _open(route)[1:]
        self._after = _following(_caller(principal, addressed.home)) + b"}"
        self._end = _following(_matched(routed)) + b"}"

    def event(self, request_id: str, body: bytes, now: float) -> bytes:
        """One of them, as JSON. `now` in Unix seconds."""
        if body:
            text, encoded = body_of(self._content_type, body)
            rest = b',"body":%s,"isBase64Encoded":%s' % (_encode(text), b"true" if encoded else b"false")
        else:
            rest = b',"isBase64Encoded":false'
        at = b'%s%s","timeEpoch":%d' % (self._routed, spelled(int(now)).encode(), now * 1000)
        return b"".join((self._before, _encode(request_id), at, self._after, rest, self._end))


def _open(value: dict[str, Any]) -> bytes:
    """As JSON, for more members to follow."""
    return _encode(value)[:-1]


def _following(members: dict[str, Any]) -> bytes:
    """As JSON, to follow other members."""
    return b"," + _encode(members)[1:-1] if members else b""


def headers_of(request: HttpRequest, addressed: Addressed) -> tuple[dict[str, str], list[str]]:
    """The event's headers, repeated ones joined, with those that a proxy adds; and the cookies, one by one."""
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


def _context(request: HttpRequest, addressed: Addressed, headers: dict[str, str], *, known: bool) -> dict[str, Any]:
    """What comes before the request's id."""
    return {
        "accountId": addressed.home.account if known or addressed.routed else "anonymous",
        "apiId": addressed.name,
        "domainName": host_name(headers.get("host", "")),
        "domainPrefix": addressed.name,
        "http": {
            "method": request.method,
            "path": addressed.path,
            "protocol": "HTTP/1.1",
            "sourceIp": request.client,
            "userAgent": headers.get("user-agent", ""),
        },
    }


def _caller(principal: Principal, home: Home) -> dict[str, Any]:
    """What comes behind its time."""
    if principal.kind is Kind.ANONYMOUS:
        return {}
    return {"authentication": None, "authorizer": {"iam": _iam(principal, home)}}


def _matched(routed: Routed | None) -> dict[str, Any]:
    """What comes behind the body."""
    found = {"pathParameters": routed.parameters, "stageVariables": routed.variables} if routed else {}
    return {name: values for name, values in found.items() if values}


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
def spelled(second: int) -> str:
    """Apache's spelling of a time, whatever the locale."""
    at = time.gmtime(second)
    return time.strftime(f"%d/{_MONTHS[at.tm_mon - 1]}/%Y:%H:%M:%S +0000", at)


def body_of(content_type: str, body: bytes) -> tuple[str, bool]:
    """A request's body as the event has it, and whether that is base64."""
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


def response_of(payload: bytes, *, unnamed: tuple[str, str] = JSON_TYPE, inferred: bool = True) -> HttpResponse:
    """What a handler's JSON result says to the client. Raises MalformedResponse.

    `unnamed` is the content type of a response that names none. Unless it may be `inferred`, as in format 1.0 it may
    not, a result without statusCode is malformed.
    """
    if not inferred and not _has_status(payload):
        raise MalformedResponse("In payload format 1.0 the result is an object with a statusCode.")
    if not payload.lstrip().startswith(b"{"):
        return HttpResponse(headers=(JSON_TYPE,), body=payload)
    try:
        if _status_of(payload).statusCode is msgspec.UNSET:
            return HttpResponse(headers=(JSON_TYPE,), body=payload)
        plain = msgspec.json.decode(payload)
    except _UNREADABLE as error:
        raise MalformedResponse("The function's result is not JSON.") from error
    head = head_of(plain, unnamed)
    return replace(head, body=_response_body(plain.get("body"), plain.get("isBase64Encoded")))


def head_of(plain: Mapping[str, Any], unnamed: tuple[str, str]) -> HttpResponse:
    """Status, headers and cookies of a response, 200 where it names none. Raises MalformedResponse."""
    multi = _multi_headers(plain.get("multiValueHeaders"))
    headers = [*(pair for pair in _plain_headers(plain.get("headers")) if pair not in multi), *multi]
    if not any(name == "content-type" for name, _ in headers):
        headers.insert(0, unnamed)
    headers += [("set-cookie", _value(cookie)) for cookie in _cookies(plain.get("cookies"))]
    return HttpResponse(status=_status(plain.get("statusCode", 200)), headers=tuple(headers))


def _has_status(payload: bytes) -> bool:
    try:
        plain = msgspec.json.decode(payload)
    except _UNREADABLE:
        return False
    return isinstance(plain, dict) and "statusCode" in plain


def _status(value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
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
