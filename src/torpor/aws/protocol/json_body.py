"""Values in JSON bodies: blobs are base64, timestamps numbers, and everything else is itself."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from torpor.aws.protocol import scalars
from torpor.aws.protocol.faults import SerializationFailed
from torpor.aws.protocol.model import Member, Shape
from torpor.core.errors import InvalidRequestContent

_WANTED = {
    "string": "a String",
    "integer": "an Integer",
    "long": "a Long",
    "float": "a Float",
    "double": "a Double",
    "boolean": "a Boolean",
    "blob": "a Blob",
    "timestamp": "a Timestamp",
}
_TIMESTAMP = "unixtimestamp"
_FLOATS = frozenset({"float", "double"})
_PLAIN = {"string": str, "boolean": bool}
_BOUNDS = {"integer": 2**31, "long": 2**63}


def decode(body: bytes) -> Any:
    """JSON to plain values; raises InvalidRequestContent."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequestContent(f"Could not parse request body into json: {error}") from None


def encode(value: Any) -> bytes:
    return msgspec.json.encode(value)


def read(member: Member, value: Any) -> Any:
    """The parameter that `value`, as decoded from JSON, stands for; raises SerializationFailed."""
    shape = member.shape
    if shape.document:
        return value
    if shape.kind == "structure":
        return read_members(shape, value)
    if shape.kind == "list" and shape.item is not None:
        if not isinstance(value, list):
            raise _mismatch(value, "list")
        item = shape.item
        return [None if element is None else read(item, element) for element in value]
    if shape.kind == "map" and shape.value is not None:
        inner = shape.value
        return {key: None if item is None else read(inner, item) for key, item in _object(value).items()}
    return _read_scalar(member, value)


def read_members(shape: Shape, value: Any) -> dict[str, Any]:
    """A structure's members; what the model does not know is ignored, and null is the same as absent."""
    plain = _object(value)
    params = {}
    for name, member in shape.members.items():
        if not member.location and plain.get(member.wire) is not None:
            params[name] = read(member, plain[member.wire])
    return params


def write(member: Member, value: Any) -> Any:
    """What stands in JSON for a parameter."""
    shape = member.shape
    if shape.document:
        return value
    if shape.kind == "structure":
        return write_members(shape, value)
    if shape.kind == "list" and shape.item is not None:
        item = shape.item
        return [write(item, element) for element in value]
    if shape.kind == "map" and shape.value is not None:
        inner = shape.value
        return {key: write(inner, item) for key, item in value.items()}
    return _write_scalar(member, value)


def write_members(shape: Shape, value: Mapping[str, Any]) -> dict[str, Any]:
    """A structure's members in the body; None is left out."""
    return {
        member.wire: write(member, value[name])
        for name, member in shape.members.items()
        if not member.location and value.get(name) is not None
    }


def _read_scalar(member: Member, value: Any) -> Any:
    kind = member.shape.kind
    if kind == "timestamp":
        return _read_timestamp(value, member.timestamp or _TIMESTAMP)
    if kind == "blob" and isinstance(value, str):
        return scalars.read_blob(value)
    if kind in _FLOATS and (type(value) in (int, float) or value in ("NaN", "Infinity", "-Infinity")):
        return float(value)
    if kind in _BOUNDS and type(value) is int and -_BOUNDS[kind] <= value < _BOUNDS[kind]:
        return value
    if type(value) is _PLAIN.get(kind):
        return value
    raise _mismatch(value, kind)


def _read_timestamp(value: Any, style: str) -> datetime:
    if isinstance(value, (bool, dict, list)) or isinstance(value, str) is (style == _TIMESTAMP):
        raise _mismatch(value, "timestamp")
    return scalars.read_timestamp(value, style)


def _write_scalar(member: Member, value: Any) -> Any:
    kind = member.shape.kind
    if kind == "timestamp":
        return scalars.write_timestamp(value, member.timestamp or _TIMESTAMP)
    if kind == "blob":
        return scalars.write_blob(value)
    return scalars.write_float(value) if kind in _FLOATS else value


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _mismatch(value, "structure")
    return value


def _mismatch(value: Any, kind: str) -> SerializationFailed:
    """AWS's words for a value of a wrong type."""
    if isinstance(value, dict):
        return SerializationFailed("Start of structure or map found where not expected.")
    if isinstance(value, list):
        return SerializationFailed("Start of list found where not expected.")
    if kind not in _WANTED:
        return SerializationFailed(f"Unexpected field type: a {kind} was expected.")
    if isinstance(value, bool):
        return SerializationFailed(f"{str(value).upper()}_VALUE can not be converted to {_WANTED[kind]}")
    found = {str: "STRING_VALUE", int: "NUMBER_VALUE"}.get(type(value), "DECIMAL_VALUE")
    return SerializationFailed(f"{found} can not be converted to {_WANTED[kind]}")
