"""REST-JSON: members stand in the path, the query string, headers and a JSON body; or the body is one member."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

from torpor.aws.protocol import event_stream, json_body, scalars
from torpor.aws.protocol.dialect import Fault, Headers, Match
from torpor.aws.protocol.faults import SerializationFailed
from torpor.aws.protocol.model import Member, Operation, ServiceModel, Shape
from torpor.aws.protocol.routing import Router
from torpor.core.http import HttpRequest, HttpResponse

_JSON = ("content-type", "application/json")
_HEADER_TIMESTAMP = "rfc822"
_QUERY_TIMESTAMP = "iso8601"


@dataclass(frozen=True, slots=True)
class _Places:
    """A shape's members by where they stand."""

    labels: tuple[Member, ...]
    query: tuple[Member, ...]
    headers: tuple[tuple[str, Member], ...]  # with the lower-case header name
    prefixes: tuple[tuple[str, Member], ...]
    status: str | None
    payload: Member | None
    has_body: bool

    @classmethod
    def of(cls, shape: Shape) -> _Places:
        def at(location: str) -> tuple[Member, ...]:
            return tuple(member for member in shape.members.values() if member.location == location)

        payload = shape.members[shape.payload] if shape.payload else None
        return cls(
            labels=at("uri"),
            query=at("querystring"),
            headers=tuple((member.wire.lower(), member) for member in at("header")),
            prefixes=tuple((member.wire.lower(), member) for member in at("headers")),
            status=next((member.name for member in at("statusCode")), None),
            payload=payload,
            has_body=payload is None and bool(at("")),
        )


class RestJson:
    """REST-JSON for one service."""

    def __init__(self, model: ServiceModel) -> None:
        self.model = model
        self._router = Router(model.operations.values())
        served = [operation for operation in model.operations.values() if operation.served]
        self._inputs = {operation.name: _Places.of(operation.input) for operation in served if operation.input}
        self._outputs = {operation.name: _Places.of(operation.output) for operation in served if operation.output}

    def match(self, request: HttpRequest) -> Match:
        return self._router.match(request.method, request.path, request.query)

    def parse(self, match: Match, request: HttpRequest) -> dict[str, Any]:
        places = self._inputs.get(match.operation.name)
        if places is None:
            return {}
        params: dict[str, Any] = {}
        for member in places.labels:
            params[member.name] = scalars.read_text(member.shape, match.labels[member.wire], _QUERY_TIMESTAMP)
        if places.query and request.query:
            _read_query(places.query, request.query, params)
        if places.headers or places.prefixes:
            _read_headers(places, request.headers, params)
        if places.payload is not None:
            _read_payload(places.payload, request.body, params)
        elif places.has_body and request.body and match.operation.input is not None:
            params.update(json_body.read_members(match.operation.input, json_body.decode(request.body)))
        return params

    def answer(self, operation: Operation, result: Mapping[str, Any], request_id: str, extra: Headers) -> HttpResponse:
        places = self._outputs.get(operation.name)
        if places is None or operation.output is None:
            headers: Headers = (("x-amzn-requestid", request_id), *extra)
            return HttpResponse(status=operation.status, headers=headers)
        status = result.get(places.status, operation.status) if places.status else operation.status
        if places.payload is not None and places.payload.shape.event_stream and status != 204:
            response = HttpResponse(status=status, headers=(("x-amzn-requestid", request_id), *extra))
            return _streamed(places, places.payload, result, response)
        # An answer that has no body by HTTP's own rules must not carry one.
        body = b"" if status == 204 else _body(places, operation.output, result)
        named = any(name == _JSON[0] for name, _ in places.headers)
        kind = () if named or status == 204 else (_JSON,)
        headers = (*kind, ("x-amzn-requestid", request_id), *_write_headers(places, result), *extra)
        return HttpResponse(status=status, headers=headers, body=body)

    def refuse(self, fault: Fault, request_id: str) -> HttpResponse:
        members = fault.shape.members if fault.shape else {}
        plain: dict[str, Any] = {"Type": "User" if fault.sender else "Service"}
        plain[members["Message"].wire if "Message" in members else "message"] = fault.message
        headers = [_JSON, ("x-amzn-requestid", request_id), ("x-amzn-errortype", fault.code)]
        if fault.shape is not None:
            plain |= json_body.write_members(fault.shape, fault.members)
            headers += _write_headers(_Places.of(fault.shape), fault.members)
        return HttpResponse(status=fault.status, headers=tuple(headers), body=json_body.encode(plain))


def _streamed(places: _Places, member: Member, result: Mapping[str, Any], response: HttpResponse) -> HttpResponse:
    """An answer whose body is a stream of events: its content type says so, whatever the model has at that place."""
    kept = [pair for pair in _write_headers(places, result) if pair[0] != "content-type"]
    headers = (("content-type", event_stream.TYPE), *response.headers, *kept)
    return replace(response, headers=headers, stream=event_stream.body_of(member.shape, result[member.name]))


def _read_query(members: tuple[Member, ...], query: str, params: dict[str, Any]) -> None:
    pairs = parse_qsl(query, keep_blank_values=True)
    for member in members:
        style = member.timestamp or _QUERY_TIMESTAMP
        shape = member.shape
        if shape.kind == "map":
            known = {other.wire for other in members}
            params[member.name] = {key: value for key, value in pairs if key not in known}
            continue
        found = [value for key, value in pairs if key == member.wire]
        if not found:
            continue
        if shape.item is not None:
            item = shape.item
            params[member.name] = [scalars.read_text(item.shape, value, item.timestamp or style) for value in found]
        else:
            params[member.name] = scalars.read_text(shape, found[0], style)


def _read_headers(places: _Places, headers: Headers, params: dict[str, Any]) -> None:
    sent = dict(reversed(headers))
    for name, member in places.headers:
        if name in sent:
            params[member.name] = _read_header(member, sent[name])
    for prefix, member in places.prefixes:
        params[member.name] = {name[len(prefix) :]: text for name, text in sent.items() if name.startswith(prefix)}


def _read_header(member: Member, text: str) -> Any:
    if member.json_value:
        try:
            return json_body.decode(base64.b64decode(text, validate=True))
        except binascii.Error:
            raise SerializationFailed(f"The header {member.wire} is not base64.") from None
    item = member.shape.item
    if item is not None:
        return [scalars.read_text(item.shape, part, item.timestamp or _HEADER_TIMESTAMP) for part in _split(text)]
    return scalars.read_text(member.shape, text, member.timestamp or _HEADER_TIMESTAMP)


def _split(text: str) -> list[str]:
    """The elements of a list in a header: separated by commas, quoted where they contain one."""
    parts: list[str] = []
    current, quoted, escaped = "", False, False
    for character in text:
        if escaped:
            current, escaped = current + character, False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            parts.append(current.strip())
            current = ""
        else:
            current += character
    return [*parts, current.strip()]


def _read_payload(member: Member, body: bytes, params: dict[str, Any]) -> None:
    if member.shape.kind == "blob":
        params[member.name] = body
    elif member.shape.kind == "string":
        params[member.name] = body.decode(errors="replace")
    elif body:
        params[member.name] = json_body.read(member, json_body.decode(body))


def _body(places: _Places, shape: Shape, result: Mapping[str, Any]) -> bytes:
    member = places.payload
    if member is None:
        return json_body.encode(json_body.write_members(shape, result)) if places.has_body else b""
    value = result.get(member.name)
    if member.shape.kind in ("blob", "string"):
        return value.encode() if isinstance(value, str) else (value or b"")
    return json_body.encode({} if value is None else json_body.write(member, value))


def _write_headers(places: _Places, result: Mapping[str, Any]) -> list[tuple[str, str]]:
    headers = [
        (name, _write_header(member, result[member.name])) for name, member in places.headers if _has(result, member)
    ]
    for prefix, member in places.prefixes:
        headers += [(prefix + name.lower(), str(value)) for name, value in result.get(member.name, {}).items()]
    return headers


def _has(result: Mapping[str, Any], member: Member) -> bool:
    return result.get(member.name) is not None


def _write_header(member: Member, value: Any) -> str:
    if member.json_value:
        return base64.b64encode(json_body.encode(value)).decode()
    style = member.timestamp or _HEADER_TIMESTAMP
    write: Callable[[Shape, Any, str], str] = scalars.write_text
    if member.shape.item is not None:
        return ", ".join(write(member.shape.item.shape, element, style) for element in value)
    return write(member.shape, value, style)
