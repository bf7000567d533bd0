"""Host and Origin checks: loopback is not authentication, since any web page can reach a local port.

A page that rebinds its own name to 127.0.0.1 arrives with its name in `Host`; a page that posts across sites arrives
with its own `Origin`, or, for images and navigations, with `Sec-Fetch-Site`. Ports are not compared in `Host`: they do
not help a rebinding page, and a tunnel changes them.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from torpor.core.http import HttpRequest

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Hosts:
    """The names this server answers to: loopback, IP addresses (no name to rebind), and those given."""

    names: frozenset[str] = frozenset()

    @classmethod
    def of(cls, bound: str, public_url: str = "") -> Hosts:
        names = {bound.lower()}
        if public_url:
            names.add((urlsplit(public_url).hostname or "").lower())
        return cls(frozenset(names - {""}))

    def allows(self, host: str) -> bool:
        """Whether a `Host` header, with or without port, names this server."""
        name = host_name(host)
        return name in _LOOPBACK or name in self.names or name.endswith(".localhost") or _is_address(name)


def host_name(host: str) -> str:
    """The lower-case name or address in a `Host` header, without port and brackets; empty where there is none."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().removesuffix(".")


def function_of_host(host: str) -> str | None:
    """NAME of `NAME.localhost`, as it was written; None for any other host."""
    name = host.partition(":")[0].removesuffix(".")
    label, dot, rest = name.partition(".")
    return label if dot and rest.lower() == "localhost" else None


def is_cross_site(request: HttpRequest) -> bool:
    """Whether a browser says that another origin's page made this request. What is no browser sends neither header."""
    origin = request.header("origin")
    if origin:
        return origin.partition("://")[2].lower() != request.header("host").lower()
    return request.header("sec-fetch-site", "none") not in ("same-origin", "none")


def hosts_of(request: HttpRequest) -> list[str]:
    return [value for name, value in request.headers if name == "host"]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
