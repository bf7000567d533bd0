"""Checks parameters against the model, and words what is wrong exactly as AWS does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torpor.aws.protocol.java_regex import full_match
from torpor.aws.protocol.model import Member, Shape
from torpor.core.errors import ValidationFailed

_SHOWN = 2048  # characters of a bad value to repeat to its sender
_LONGEST_MATCHED = 65_536  # a longer text fails its `max`; matching it against the pattern too would only cost time


def validate(shape: Shape, params: Mapping[str, Any]) -> None:
    """Raise ValidationFailed, naming every violation in `params`, which have the model's types already."""
    found = list(_structure(shape, params, ""))
    if found:
        raise ValidationFailed(message(found))


def message(violations: Sequence[str]) -> str:
    """AWS's wording of one or several violations."""
    errors = "error" if len(violations) == 1 else "errors"
    return f"{len(violations)} validation {errors} detected: {'; '.join(violations)}"


def violation(value: Any, path: str, constraint: str, *, sensitive: bool = False) -> str:
    """AWS's wording of one violation; a sensitive value is not repeated."""
    if value is None:
        shown = "Value null"
    elif sensitive:
        shown = "Value"
    else:
        shown = f"Value '{_java_text(value)[:_SHOWN]}'"
    return f"{shown} at '{path}' failed to satisfy constraint: {constraint}"


def constraints_of(shape: Shape) -> Iterator[str]:
    """Every constraint of a shape, in AWS's order and words."""
    subject = "length" if shape.kind in ("string", "list", "map", "blob") else "value"
    if shape.enum:
        yield f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
    if shape.maximum is not None:
        yield f"Member must have {subject} less than or equal to {shape.maximum}"
    if shape.minimum is not None:
        yield f"Member must have {subject} greater than or equal to {shape.minimum}"
    if shape.pattern is not None:
        yield f"Member must satisfy regular expression pattern: {shape.pattern}"


def _violated(shape: Shape, value: Any) -> Iterator[str]:
    size = value if shape.kind in ("integer", "long", "float", "double") else _length(value)
    if shape.enum and value not in shape.enum:
        yield f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
    subject = "value" if size is value else "length"
    if shape.maximum is not None and size > shape.maximum:
        yield f"Member must have {subject} less than or equal to {shape.maximum}"
    if shape.minimum is not None and size < shape.minimum:
        yield f"Member must have {subject} greater than or equal to {shape.minimum}"
    if shape.pattern is not None and size <= _LONGEST_MATCHED and not full_match(shape.pattern, value):
        yield f"Member must satisfy regular expression pattern: {shape.pattern}"


def _check(shape: Shape, value: Any, path: str) -> Iterator[str]:
    if value is None:  # within a list or a map
        yield violation(None, path, "Member must not be null")
        return
    if shape.kind == "structure":
        if not shape.document:
            yield from _structure(shape, value, path)
        return
    if _is_constrained(shape):
        for constraint in _violated(shape, value):
            yield violation(value, path, constraint, sensitive=shape.sensitive)
    if shape.kind == "list" and shape.item is not None:
        yield from _list(shape, shape.item, value, path)
    elif shape.kind == "map" and shape.key is not None and shape.value is not None:
        yield from _map(shape, shape.key, shape.value, value, path)


def _structure(shape: Shape, value: Mapping[str, Any], path: str) -> Iterator[str]:
    prefix = f"{path}." if path else ""
    for name in shape.required:
        if value.get(name) is None:
            yield violation(None, prefix + camel(name), "Member must not be null")
    for name, member in shape.members.items():
        if value.get(name) is not None:
            yield from _check(member.shape, value[name], prefix + camel(name))


def _list(shape: Shape, item: Member, values: Sequence[Any], path: str) -> Iterator[str]:
    if item.shape.kind in ("structure", "list", "map"):
        for index, value in enumerate(values, 1):
            yield from _check(item.shape, value, f"{path}.{index}.member")
    elif any(value is None or _fails(item.shape, value) for value in values):
        yield violation(
            values, path, f"Member must satisfy constraint: [{_all(item.shape)}]", sensitive=shape.sensitive
        )


def _map(shape: Shape, key: Member, item: Member, values: Mapping[str, Any], path: str) -> Iterator[str]:
    if any(_fails(key.shape, name) for name in values):
        constraint = f"Map keys must satisfy constraint: [{_all(key.shape)}]"
        yield violation(values, path, constraint, sensitive=shape.sensitive)
    if item.shape.kind in ("structure", "list", "map"):
        for name, value in values.items():
            yield from _check(item.shape, value, f"{path}.{name}.member")
    elif any(value is None or _fails(item.shape, value) for value in values.values()):
        constraint = f"Map value must satisfy constraint: [{_all(item.shape)}]"
        yield violation(values, path, constraint, sensitive=shape.sensitive)


def _all(shape: Shape) -> str:
    return ", ".join([*constraints_of(shape), "Member must not be null"])


def _fails(shape: Shape, value: Any) -> bool:
    return _is_constrained(shape) and next(_violated(shape, value), None) is not None


def _is_constrained(shape: Shape) -> bool:
    return bool(shape.enum or shape.pattern or shape.minimum is not None or shape.maximum is not None)


def _length(value: Any) -> int:
    return len(value) if hasattr(value, "__len__") else 0


def camel(name: str) -> str:
    """A member's name as AWS writes it in messages: `functionName`, `kMSKeyArn`."""
    return name[:1].lower() + name[1:]


def _java_text(value: Any) -> str:
    """A value as Java's `toString` would write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}={_java_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_java_text(item) for item in value) + "]"
    return "null" if value is None else str(value)
