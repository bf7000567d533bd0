"""The short way for a request that came whole and is small: answered by callbacks, without ASGI's scope and coroutines.

Who offers it may decline any request before anything was done for it; it then goes the ordinary way, which is also
where every refusal is worded. So the short way knows one case only: that all is well.

It has two steps, since a client asks again and again with the same head: what follows from a head alone is found out
once for each connection, and what may change between two requests (functions, rights, signatures) for each request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from torpor.core.http import HttpRequest, HttpResponse

Answer = Callable[[HttpResponse], None]  # to be called once, now or later
Leave = Callable[[], None]  # to be called when the client has left before it was answered
Begin = Callable[[bytes, str, Answer], Leave | None]  # a body, its request's id; None: declined
Quick = Callable[[HttpRequest], Begin | None]  # a head, without body and id; None: declined

_REMEMBERED_BYTES = 2048  # of a head, for each connection
_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Known:
    """A head that the parser has read, and what begins the requests that have it; `size` is of a whole request."""

    head: bytes
    size: int
    begin: Begin
    head_only: bool
    keep_alive: bool

    def matches(self, data: bytes) -> bool:
        """Whether `data`, which follows a whole message, is a whole one with this very head."""
        return len(data) == self.size and data.startswith(self.head)


def framed_by(chunk: bytes, body: bytes) -> bytes | None:
    """The head of a chunk that is one request and nothing else; None where its body's length is not told by the head
    alone, or where the head is too long to be remembered.
    """
    length = len(chunk) - len(body)
    if length > _REMEMBERED_BYTES or chunk.find(_END) + len(_END) != length:
        return None
    return chunk[:length]


def _line(status: int) -> bytes:
    known = {one.value: one.phrase.encode() for one in HTTPStatus}
    return b"HTTP/1.1 %d %s\r\n" % (status, known.get(status, b""))


_STATUS_LINE: Final = {status: _line(status) for status in range(200, 600)}


class MalformedHead(Exception):
    """A header holds a line end or a NUL: it would be read as more than one."""


def serialized(response: HttpResponse, date: bytes, *, head_only: bool, close: bool) -> bytes:
    """The whole answer as bytes. Raises MalformedHead."""
    lines = [f"{name}: {value}" for name, value in response.headers if name != "content-length"]
    bodiless = response.status in (204, 304)
    if not bodiless:
        lines.append(f"content-length: {len(response.body)}")
    if close:
        lines.append("connection: close")
    text = "\r\n".join(lines)
    ends = max(0, len(lines) - 1)
    if text.count("\n") != ends or text.count("\r") != ends or "\0" in text:
        raise MalformedHead
    body = b"" if bodiless or head_only else response.body
    head = text.encode() + b"\r\n" if text else b""
    return b"%sdate: %s\r\n%s\r\n%s" % (_STATUS_LINE[response.status], date, head, body)
