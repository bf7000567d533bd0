"""Finds a REST operation by method, path and, where two differ only there, by literals in the query string."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from torpor.aws.protocol.dialect import Match
from torpor.aws.protocol.faults import UnknownOperation
from torpor.aws.protocol.model import Operation


@dataclass(frozen=True, slots=True)
class _Route:
    operation: Operation
    literals: tuple[tuple[int, str], ...]  # position, text
    labels: tuple[tuple[int, str], ...]  # position, name
    greedy: str | None  # the name of a `{label+}`
    before: int  # segments before the greedy label
    after: tuple[str, ...]  # literal segments after it
    query: frozenset[tuple[str, str]]

    def weight(self) -> tuple[int, int]:
        """The more literal, the earlier it is tried."""
        return (-len(self.query), -len(self.literals) - len(self.after))


class Router:
    """Routes grouped by method and number of segments, so that a request is compared with very few."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._exact: dict[tuple[str, int], list[_Route]] = {}
        self._greedy: dict[str, list[_Route]] = {}
        for operation in operations:
            route = _route(operation)
            if route.greedy is None:
                size = len(route.literals) + len(route.labels)
                self._exact.setdefault((operation.method, size), []).append(route)
            else:
                self._greedy.setdefault(operation.method, []).append(route)
        for routes in [*self._exact.values(), *self._greedy.values()]:
            routes.sort(key=_Route.weight)

    def match(self, method: str, path: str, query: str) -> Match:
        """The operation and its decoded labels; a trailing slash, which older SDKs send, makes no difference."""
        segments = path.split("/")[1:]
        if len(segments) > 1 and not segments[-1]:
            segments.pop()
        for route in self._exact.get((method, len(segments)), ()):
            if _holds(route, segments, query):
                return Match(route.operation, {name: unquote(segments[at]) for at, name in route.labels})
        for route in self._greedy.get(method, ()):
            end = len(segments) - len(route.after)
            if end > route.before and tuple(segments[end:]) == route.after and _holds(route, segments, query):
                labels = {name: unquote(segments[at]) for at, name in route.labels}
                rest = unquote("/".join(segments[route.before : end]))
                return Match(route.operation, labels | {str(route.greedy): rest})
        raise UnknownOperation(f"There is no operation at {method} {path[:256]}")


def _holds(route: _Route, segments: list[str], query: str) -> bool:
    for at, literal in route.literals:
        if segments[at] != literal:
            return False
    return not route.query or route.query <= set(parse_qsl(query, keep_blank_values=True))


def _route(operation: Operation) -> _Route:
    path, _, query = operation.uri.partition("?")
    segments = path.split("/")[1:]
    if len(segments) > 1 and not segments[-1]:
        segments.pop()
    greedy = next((at for at, segment in enumerate(segments) if segment.endswith("+}")), None)
    head = segments if greedy is None else segments[:greedy]
    return _Route(
        operation=operation,
        literals=tuple((at, segment) for at, segment in enumerate(head) if not segment.startswith("{")),
        labels=tuple((at, segment[1:-1]) for at, segment in enumerate(head) if segment.startswith("{")),
        greedy=None if greedy is None else segments[greedy][1:-2],
        before=len(head),
        after=() if greedy is None else tuple(segments[greedy + 1 :]),
        query=frozenset(parse_qsl(query, keep_blank_values=True)),
    )
