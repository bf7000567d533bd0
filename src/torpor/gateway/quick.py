"""The short way for a request that came whole and is small: answered by callbacks, without ASGI's scope and coroutines.

Who offers it may decline any request before anything was done for it; it then goes the ordinary way, which is also
where every refusal is worded. So the short way knows one case only: that all is well.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from torpor.core.http import HttpRequest, HttpResponse

Answer = Callable[[HttpResponse], None]  # to be called once, now or later
Leave = Callable[[], None]  # to be called when the client has left before it was answered
Quick = Callable[[HttpRequest, Answer], Leave | None]  # None: declined


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
