"""The query protocol's requests: a form whose keys are paths, `Tags.member.1.Key=colour`."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from torpor.aws.protocol import scalars
from torpor.aws.protocol.faults import SerializationFailed
from torpor.aws.protocol.model import Member, Shape

_MOST_FIELDS = 100_000
_DEEPEST = 64  # no operation's input is nested as deep


class Node:
    """One step of the paths: the text given for it, if any, and the steps below."""

    __slots__ = ("below", "text")

    def __init__(self) -> None:
        self.text: str | None = None
        self.below: dict[str, Node] = {}


def decode(body: bytes) -> dict[str, str]:
    """The fields of a form; of a repeated one, the first."""
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise SerializationFailed("The request body is not a form in UTF-8.") from None
    return dict(reversed(pairs))


def read_members(shape: Shape, fields: dict[str, str]) -> dict[str, Any]:
    """The parameters that a form's fields stand for."""
    root = Node()
    for path, text in fields.items():
        steps = path.split(".", _DEEPEST)
        node = root
        for step in steps:
            node = node.below.setdefault(step, Node())
        node.text = text
    return _structure(shape, root)


def _structure(shape: Shape, node: Node) -> dict[str, Any]:
    params = {}
    for name, member in shape.members.items():
        found = node.below.get(_step(member))
        if found is not None:
            params[name] = _read(member, found)
    return params


def _step(member: Member) -> str:
    # A flattened list is named by its elements where they have a name.
    item = member.shape.item
    if member.flattened and item is not None and item.renamed:
        return item.wire
    return member.wire


def _read(member: Member, node: Node) -> Any:
    shape = member.shape
    if shape.kind == "structure":
        return _structure(shape, node)
    if shape.kind == "list" and shape.item is not None:
        return _list(member, shape.item, node)
    if shape.kind == "map" and shape.key is not None and shape.value is not None:
        return _map(member, shape.key, shape.value, node)
    if node.text is None:
        raise SerializationFailed(f"{member.wire} is a {shape.kind}, and was given as a structure or list.")
    return scalars.read_text(shape, node.text, member.timestamp or "iso8601")


def _list(member: Member, item: Member, node: Node) -> list[Any]:
    elements = node if member.flattened else node.below.get(item.wire if item.renamed else "member", Node())
    return [_read(item, element) for element in _numbered(elements)]


def _map(member: Member, key: Member, value: Member, node: Node) -> dict[str, Any]:
    found = {}
    for entry in _numbered(node if member.flattened else node.below.get("entry", Node())):
        name = entry.below.get(key.wire)
        if name is not None and value.wire in entry.below:
            found[_read(key, name)] = _read(value, entry.below[value.wire])
    return found


def _numbered(node: Node) -> list[Node]:
    """The steps 1, 2, 3, … in order; gaps are closed."""
    numbers = sorted((int(step), step) for step in node.below if step.isdecimal() and len(step) < 10)
    return [node.below[step] for _, step in numbers]
