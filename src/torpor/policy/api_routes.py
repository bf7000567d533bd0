"""Which route of an HTTP API takes a request: a tree made once, when an API changes, and walked once for each request.

The most specific wins, as on AWS: a path that fits segment by segment, then a greedy one, then `$default`; among those
that fit a literal segment before a parameter, and at one path the request's own method before ANY.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from torpor.core.errors import InvalidValue
from torpor.core.http_api import DEFAULT, Route

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
ANY = "ANY"
MAX_KEY = 512
_KEY = re.compile(rf"(?P<method>{'|'.join((ANY, *METHODS))}) (?P<path>/\S*)")
_PARAMETER = re.compile(r"\{(?P<name>[A-Za-z0-9._:-]+)(?P<greedy>\+?)\}")
_LITERAL = re.compile(r"[^{}\s/?#]*")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A route key, read. Of `segments`, None is a parameter; `names` are theirs in order, the greedy one last."""

    method: str
    segments: tuple[str | None, ...]
    names: tuple[str, ...]
    greedy: bool

    @property
    def identity(self) -> tuple[object, ...]:
        """Equal for two keys that take the same requests, whatever their parameters are called."""
        return (self.method, self.segments, self.greedy)


def parse_key(key: str) -> Pattern | None:
    """Read `METHOD /path`; None for `$default`. Raises InvalidValue in API Gateway's words."""
    if key == DEFAULT:
        return None
    match = _KEY.fullmatch(key) if len(key) <= MAX_KEY else None
    if match is None:
        raise InvalidValue(
            "The provided route key is not formatted properly for HTTP protocol. Format should be "
            f'"<HTTP METHOD> /<RESOURCE PATH>" or "$default", with one of the methods {ANY}, {", ".join(METHODS)}'
        )
    segments: list[str | None] = []
    names: list[str] = []
    greedy = False
    for segment in match["path"].split("/")[1:]:
        parameter = _PARAMETER.fullmatch(segment)
        if greedy or (parameter is None and _LITERAL.fullmatch(segment) is None):
            raise InvalidValue(
                f"The path of the route key {key!r} is not valid: a parameter is a whole segment, {{name}}, and a "
                "greedy one, {name+}, is the last."
            )
        if parameter is None:
            segments.append(segment)
            continue
        names.append(parameter["name"])
        greedy = bool(parameter["greedy"])
        if not greedy:
            segments.append(None)
    if len(set(names)) < len(names):
        raise InvalidValue(f"The path of the route key {key!r} names a parameter twice.")
    return Pattern(match["method"], tuple(segments), tuple(names), greedy)


@dataclass(frozen=True, slots=True)
class Taken:
    """The route that takes a request, and what its parameters stand for."""

    route: Route
    parameters: Mapping[str, str]


@dataclass(slots=True)
class _Node:
    """One segment of a path. `here` and `greedy` are routes by method."""

    literals: dict[str, _Node] = field(default_factory=dict)
    parameter: _Node | None = None
    here: dict[str, tuple[Route, Pattern]] = field(default_factory=dict)
    greedy: dict[str, tuple[Route, Pattern]] = field(default_factory=dict)


class RouteTable:
    """The routes of one deployment."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        self._default: Route | None = None
        for route in routes:
            pattern = parse_key(route.key)
            if pattern is None:
                self._default = route
            else:
                self._add(route, pattern)

    def match(self, method: str, segments: Sequence[str]) -> Taken | None:
        """The route for a path split at its slashes, each part decoded; None where no route takes it."""
        found = _full(self._root, segments, 0, method, ()) or _greedy(self._root, segments, 0, method, ())
        if found is None and self._default is not None:
            return Taken(self._default, {})
        return found

    def _add(self, route: Route, pattern: Pattern) -> None:
        node = self._root
        for segment in pattern.segments:
            if segment is None:
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment, _Node())
        (node.greedy if pattern.greedy else node.here)[pattern.method] = (route, pattern)


_Values = tuple[str, ...]


def _full(node: _Node, segments: Sequence[str], at: int, method: str, values: _Values) -> Taken | None:
    """Without greedy parameters. A node has one place in a path, so each is visited once at the most."""
    if at == len(segments):
        return _taken(node.here, method, values)
    segment = segments[at]
    literal = node.literals.get(segment)
    if literal is not None and (found := _full(literal, segments, at + 1, method, values)) is not None:
        return found
    if node.parameter is None or not segment:
        return None
    return _full(node.parameter, segments, at + 1, method, (*values, segment))


def _greedy(node: _Node, segments: Sequence[str], at: int, method: str, values: _Values) -> Taken | None:
    """The greedy route with the most segments before its parameter."""
    if at == len(segments):
        return None
    segment = segments[at]
    literal = node.literals.get(segment)
    if literal is not None and (found := _greedy(literal, segments, at + 1, method, values)) is not None:
        return found
    if node.parameter is not None and segment:
        found = _greedy(node.parameter, segments, at + 1, method, (*values, segment))
        if found is not None:
            return found
    if not node.greedy or not (rest := "/".join(segments[at:])):
        return None
    return _taken(node.greedy, method, (*values, rest))


def _taken(routes: Mapping[str, tuple[Route, Pattern]], method: str, values: _Values) -> Taken | None:
    entry = routes.get(method) or routes.get(ANY)
    return None if entry is None else Taken(entry[0], dict(zip(entry[1].names, values, strict=True)))
