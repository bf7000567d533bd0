"""An HTTP request and its answer as plain values, so that protocols need no server to be tested."""

from __future__ import annotations

from dataclasses import dataclass, field

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


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpResponse:
    status: int = 200
    headers: tuple[tuple[str, str], ...] = field(default=())
    body: bytes = b""
