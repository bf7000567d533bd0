"""Values in XML answers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from torpor.aws.protocol import scalars
from torpor.aws.protocol.model import Member, Shape

# XML 1.0 has no way to write these characters at all, not even escaped.
_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TIMESTAMP = "iso8601"


def element(name: str, inner: str, namespace: str = "") -> str:
    """An element around text that is XML already."""
    attribute = f" xmlns={quoteattr(namespace)}" if namespace else ""
    return f"<{name}{attribute}>{inner}</{name}>"


def text(value: str) -> str:
    """Text as it may stand in XML; a carriage return is escaped, since parsers fold it away."""
    return escape(_UNWRITABLE.sub("\ufffd", value), {"\r": "&#13;"})


def write_members(shape: Shape, value: Mapping[str, Any]) -> str:
    """A structure's members; None is left out."""
    return "".join(
        _write(member, value[name])
        for name, member in shape.members.items()
        if not member.location and value.get(name) is not None
    )


def _write(member: Member, value: Any) -> str:
    if not member.flattened:
        return element(member.wire, _inner(member, value))
    if member.shape.kind == "map":
        return "".join(element(member.wire, entry) for entry in _entries(member.shape, value))
    item = member.shape.item
    name = item.wire if item is not None and item.renamed else member.wire
    return "".join(element(name, inner) for inner in _elements(member.shape, value))


def _inner(member: Member, value: Any) -> str:
    shape = member.shape
    if shape.kind == "structure":
        return write_members(shape, value)
    if shape.kind == "map":
        return "".join(element("entry", entry) for entry in _entries(shape, value))
    if shape.kind == "list" and shape.item is not None:
        name = shape.item.wire if shape.item.renamed else "member"
        return "".join(element(name, inner) for inner in _elements(shape, value))
    return text(scalars.write_text(shape, value, member.timestamp or _TIMESTAMP))


def _elements(shape: Shape, values: Sequence[Any]) -> Iterator[str]:
    if shape.item is not None:
        for value in values:
            yield _inner(shape.item, value)


def _entries(shape: Shape, values: Mapping[str, Any]) -> Iterator[str]:
    if shape.key is not None and shape.value is not None:
        for name, value in values.items():
            yield element(shape.key.wire, text(name)) + element(shape.value.wire, _inner(shape.value, value))
