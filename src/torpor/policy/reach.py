"""What a function may connect to: which listeners that takes inside its instances, and which addresses stay closed.

An entry is `HOST:PORT`, `[IPV6]:PORT`, or `*` for the web through a proxy. See DESIGN 'One door'.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

WEB = "*"
MOST_ENTRIES = 32
PROXY = ("127.0.0.1", 9002)
_LOCAL_PORTS = (9001, 9002)  # of an instance's own loopback: the door's and the proxy's
_ENTRY = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:/\s\[\]]+)):(?P<port>\d{1,5})")
_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*", re.IGNORECASE
)
_NUMBERS = re.compile(r"[\d.]+|0x[0-9a-f.x]+", re.IGNORECASE)  # to resolvers, 127.1 is an address
_TRANSLATED = ip_network("64:ff9b::/96")  # NAT64 carries an IPv4 address in the last four bytes
# Those of metadata services that are not link-local: Amazon's by IPv6, Alibaba's and Azure's.
_METADATA = frozenset(map(ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16")))


@dataclass(frozen=True, slots=True)
class Target:
    """A host, as it was written but in small letters, and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Way:
    """One listener on an instance's loopback and where it leads; None: the proxy for the web."""

    address: str
    port: int
    target: Target | None


def parse(entry: str) -> Target:
    """What `HOST:PORT` means. Raises ValueError for anything else, `*` too."""
    match = _ENTRY.fullmatch(entry)
    if match is None or not 1 <= int(match["port"]) <= 65_535:
        raise ValueError(entry)
    host, port = (match["v6"] or match["host"]).lower(), int(match["port"])
    if (literal := _address(host)) is not None:
        return Target(str(literal), port)
    if match["v6"] or _NAME.fullmatch(host) is None or _NUMBERS.fullmatch(host):
        raise ValueError(entry)
    return Target(host, port)


def targets(entries: Iterable[str]) -> tuple[Target, ...]:
    """All that are named, each once, in order of their hosts."""
    return tuple(sorted({parse(entry) for entry in entries if entry != WEB}, key=lambda one: (one.host, one.port)))


def in_the_way(entries: Iterable[str]) -> Target | None:
    """The first target whose listener would be in the place of the platform's own, if there is one."""
    for target in targets(entries):
        if _inside(target.host, {}) in ("127.0.0.1", "::1") and target.port in _LOCAL_PORTS:
            return target
    return None


def names(entries: Iterable[str]) -> Mapping[str, str]:
    """Lines of /etc/hosts inside: a loopback address for each name."""
    hosts = dict.fromkeys(target.host for target in targets(entries))
    named = [host for host in hosts if host != "localhost" and _address(host) is None]
    return {host: f"127.0.1.{1 + place}" for place, host in enumerate(named)}


def ways(entries: Sequence[str]) -> tuple[Way, ...]:
    """The listeners that these entries take, in the order in which both sides know them."""
    known = names(entries)
    found = [Way(_inside(target.host, known), target.port, target) for target in targets(entries)]
    return (*found, Way(*PROXY, None)) if WEB in entries else tuple(found)


def variables(entries: Sequence[str]) -> Mapping[str, str]:
    """What tells web clients about the proxy; hosts that are named have a way of their own."""
    if WEB not in entries:
        return {}
    proxy = f"http://{PROXY[0]}:{PROXY[1]}"
    beside = ",".join(dict.fromkeys(["localhost", "127.0.0.1", "::1", *(one.host for one in targets(entries))]))
    found = {"http_proxy": proxy, "https_proxy": proxy, "no_proxy": beside}
    return found | {name.upper(): value for name, value in found.items()}


def why_closed(address: str, port: int, named: Iterable[Target], *, own: bool = False) -> str:
    """Why a connection to `address` is refused, in words; empty when it may be made.

    What is this machine's (`own`: one of its addresses outside loopback), its link's, or a metadata service's is open
    only to who names exactly that. A name that resolves there is not enough: whoever owns the name could move it.
    """
    there = _plain(ip_address(address.partition("%")[0]))
    kind = _kind(there) or ("an address of this machine" if own else "")
    if not kind or any(_names(one, there, port) for one in named):
        return ""
    entry = Target(str(there), port)
    return f'{address} is {kind}: if the function is meant to reach it, name it exactly: reach = ["{entry}"]'


def _names(target: Target, there: IPv4Address | IPv6Address, port: int) -> bool:
    if target.port != port:
        return False
    if target.host == "localhost":
        return str(there) in ("127.0.0.1", "::1")
    return _address(target.host) == there


def _kind(there: IPv4Address | IPv6Address) -> str:
    if there.is_loopback or there.is_unspecified:
        return "this machine's loopback"
    if there in _METADATA or str(there) == "169.254.169.254":
        return "a cloud's metadata service"
    if there.is_link_local:
        return "link-local"
    if there.is_multicast or str(there) == "255.255.255.255":
        return "for many receivers at once"
    return "reserved" if isinstance(there, IPv4Address) and there in ip_network("0.0.0.0/8") else ""


def _plain(there: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """An IPv4 address that is dressed as IPv6, undressed."""
    if isinstance(there, IPv6Address):
        inner = there.ipv4_mapped or there.sixtofour
        if inner is None and there in _TRANSLATED:
            inner = IPv4Address(int(there) & 0xFFFFFFFF)
        return inner or there
    return there


def _inside(host: str, known: Mapping[str, str]) -> str:
    return "127.0.0.1" if host == "localhost" else known.get(host, host)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
