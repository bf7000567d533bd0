"""An HTTP request and its answer as plain values, so that protocols need no server to be tested."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from torpor.core.identity import ANONYMOUS, Principal


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """`path` and `query` are as sent: percent-encoded. Header names are lower-case."""

    method: str
    path: str
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    scheme: str = "http"
    client: str = "127.0.0.1"
    principal: Principal = ANONYMOUS
    request_id: str = ""

    def header(self, name: str, default: str = "") -> str:
        """The first header of that (lower-case) name."""
        for key, value in self.headers:
            if key == name:
                return value
        return default


class BrokenBody(Exception):
    """A body that comes in pieces cannot be brought to its end: the client has to see that it is incomplete."""


class Body(Protocol):
    """A body that comes in pieces. Whoever has it closes it."""

    async def read(self) -> bytes | None:
        """The next piece; None at the end. Raises BrokenBody."""
        ...

    def close(self) -> None:
        """Nobody wants the rest. Idempotent."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    """With a `stream` there is no `body`: it is sent as it comes."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = field(default=())
    body: bytes = b""
    stream: Body | None = None
