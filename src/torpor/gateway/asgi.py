"""ASGI as plain values: bounded bodies in, `HttpRequest` and `HttpResponse` as all behind the edge speaks them."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from email.utils import formatdate
from typing import Any, Protocol

import msgspec

from torpor.core.errors import UserError
from torpor.core.http import HttpRequest, HttpResponse
from torpor.gateway.loans import Loan

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_JOIN_BELOW = 64 * 1024  # copying a small body is cheaper than a second system call
JSON_TYPE = ("content-type", "application/json")


class BodyTooLarge(UserError):
    """The request's body is larger than this route accepts."""


class BodyTooSlow(UserError):
    """The request's body did not arrive in time."""

    code = "RequestTimeoutException"


class BadBody(UserError):
    """The request's Content-Length is not a number."""


class Disconnected(Exception):
    """The client left before its request was complete: there is nobody to answer."""


_random: list[str] = []  # 32 digits each, not used yet: the kernel is asked for many at a time
_VARIANTS = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))


def new_request_id() -> str:
    """A random UUID, spelt out: `uuid.uuid4` takes several times as long."""
    if not _random:
        digits = os.urandom(16 * 64).hex()
        _random.extend([digits[at : at + 32] for at in range(0, len(digits), 32)])
    text = _random.pop()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{_VARIANTS[text[16]]}{text[17:20]}-{text[20:]}"


def request_of(scope: Scope, request_id: str) -> HttpRequest:
    """The head of a request; its body is not read yet."""
    client = scope.get("client")
    return HttpRequest(
        method=scope["method"],
        path=scope.get("raw_path", b"").decode("latin-1") or scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers=tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]),
        scheme=scope["scheme"],
        client=client[0] if client else "127.0.0.1",
        request_id=request_id,
    )


def declared_length(request: HttpRequest) -> int | None:
    """The Content-Length, or None where the body is chunked or absent. Raises BadBody."""
    text = request.header("content-length")
    if not text:
        return None
    if not (text.isascii() and text.isdigit()):
        raise BadBody
    return int(text)


async def read_body(request: HttpRequest, receive: Receive, loan: Loan, limit: int, patience_s: float) -> bytes:
    """The whole body, at most `limit` bytes, with at most `patience_s` between its pieces; `loan` holds its memory.

    Raises BodyTooLarge, BodyTooSlow, BadBody, Overloaded and Disconnected. A declared length beyond the limit is
    refused unread.
    """
    length = declared_length(request)
    if length is not None and length > limit:
        raise BodyTooLarge
    loan.hold(length or 0)
    if not length and "transfer-encoding" not in (name for name, _ in request.headers):
        return b""
    message = await _next(receive, patience_s)
    first: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return _within(first, len(first), limit)
    pieces, size = [first], len(first)
    while message.get("more_body"):
        _within(b"", size, limit)
        message = await _next(receive, patience_s)
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        loan.hold(size)
    return _within(b"".join(pieces), size, limit)


async def _next(receive: Receive, patience_s: float) -> Message:
    try:
        async with asyncio.timeout(patience_s):
            message = await receive()
    except TimeoutError:
        raise BodyTooSlow from None
    if message["type"] == "http.disconnect":
        raise Disconnected
    return message


def _within(body: bytes, size: int, limit: int) -> bytes:
    if size > limit:
        raise BodyTooLarge
    return body


class DateHeader:
    """The Date header, formatted once a second."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._second = 0
        self._header = (b"date", b"")

    def __call__(self) -> tuple[bytes, bytes]:
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self._header = (b"date", formatdate(second, usegmt=True).encode())
        return self._header


class Output(Protocol):
    """Where an answer goes, on a `protocol.Connection`."""

    def hold(self) -> None: ...

    def release(self) -> None: ...


async def send_response(
    send: Send, response: HttpResponse, *extra: tuple[bytes, bytes], output: Output | None = None
) -> None:
    """Answer with `response`, in one piece where `output` is known; a Content-Length is set unless the status allows
    no body.
    """
    headers = [(name.encode("latin-1"), _encode(value)) for name, value in response.headers if name != "content-length"]
    headers += extra
    bodiless = response.status in (204, 304)
    if not bodiless:
        headers.append((b"content-length", b"%d" % len(response.body)))
    if output is not None and len(response.body) < _JOIN_BELOW:
        output.hold()
    try:
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if bodiless else response.body})
    finally:
        if output is not None:
            output.release()


def _encode(value: str) -> bytes:
    return value.encode("latin-1") if value.isascii() else value.encode()


def json_response(status: int, value: Any, headers: Iterable[tuple[str, str]] = ()) -> HttpResponse:
    return HttpResponse(status=status, headers=(JSON_TYPE, *headers), body=msgspec.json.encode(value))
