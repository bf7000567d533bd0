"""The head of a request to the proxy for the web: where it wants to go, and what is to be passed on."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

import httptools

from torpor.policy.reach import Target
from torpor.policy.reach import parse as parse_target

# What concerns the proxy alone, or one connection: never passed on.
_OURS = frozenset({b"connection", b"host", b"keep-alive", b"proxy-authorization", b"proxy-connection"})


@dataclass(frozen=True, slots=True)
class ProxyRequest:
    """`tunnel`: the client asked for a connection (CONNECT); otherwise `forward` is the head for the other side."""

    target: Target
    tunnel: bool
    forward: bytes = b""


class _Head:
    """Collects what httptools reads."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))


def parse(data: bytes) -> ProxyRequest:
    """Read a whole head, its empty line included. Raises ValueError, whose text is for the client."""
    head = _Head()
    parser = httptools.HttpRequestParser(head)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError as error:
        raise ValueError(f"the request cannot be read ({error})") from None
    method = parser.get_method()
    if method == b"CONNECT":
        return ProxyRequest(_target(head.url.decode("latin-1")), tunnel=True)
    return _absolute(method, head)


def phrase(status: int) -> str:
    return HTTPStatus(status).phrase


def _absolute(method: bytes, head: _Head) -> ProxyRequest:
    url = head.url.decode("latin-1")
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("ask for a whole http:// address, or for CONNECT HOST:PORT")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    target = _target(f"{host}:{parts.port or 80}")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    place = host if parts.port in (None, 80) else f"{host}:{parts.port}"
    lines = [method + b" " + path.encode("latin-1") + b" HTTP/1.1", b"Host: " + place.encode("latin-1")]
    lines += [name + b": " + value for name, value in head.headers if name.lower() not in _OURS]
    # One exchange for a connection: the next request might be for another host.
    return ProxyRequest(target, tunnel=False, forward=b"\r\n".join([*lines, b"Connection: close", b"", b""]))


def _target(text: str) -> Target:
    try:
        return parse_target(text)
    except ValueError:
        raise ValueError(f"{text[:200]!r} is no HOST:PORT") from None
