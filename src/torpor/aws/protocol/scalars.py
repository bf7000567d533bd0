"""Scalars as text: in paths, query strings, headers, forms and XML."""

from __future__ import annotations

import base64
import math
import re
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

import msgspec

from torpor.aws.protocol.faults import SerializationFailed
from torpor.aws.protocol.model import Shape

_INTEGER = re.compile(r"[+-]?\d{1,19}")
_NUMBERS = frozenset({"integer", "long"})
_FLOATS = frozenset({"float", "double"})


def read_text(shape: Shape, text: str, timestamp: str) -> Any:
    """The value that `text` stands for; `timestamp` is the format of timestamps at this place."""
    kind = shape.kind
    if kind == "string":
        return text
    if kind in _NUMBERS:
        return _integer(text, shape)
    if kind in _FLOATS:
        return read_float(text)
    if kind == "boolean":
        return _boolean(text)
    if kind == "timestamp":
        return read_timestamp(text, timestamp)
    if kind == "blob":
        return read_blob(text)
    raise SerializationFailed(f"A {kind} cannot be written as plain text.")


def write_text(shape: Shape, value: Any, timestamp: str) -> str:
    """The text of a scalar."""
    if shape.kind == "boolean":
        return "true" if value else "false"
    if shape.kind == "timestamp":
        return str(write_timestamp(value, timestamp))
    if shape.kind == "blob":
        return write_blob(value)
    if shape.kind in _FLOATS:
        return str(write_float(value))
    return str(value)


def read_blob(text: str) -> bytes:
    """The bytes of standard base64. As strict as binascii is, msgspec takes a third of its time: archives come so."""
    try:
        return msgspec.convert(text, bytes)
    except msgspec.ValidationError:
        raise SerializationFailed("A blob must be written in standard base64.") from None


def write_blob(value: bytes | str) -> str:
    return base64.b64encode(value.encode() if isinstance(value, str) else value).decode()


def read_float(text: str) -> float:
    """A number, or one of JSON's missing three: NaN, Infinity, -Infinity."""
    try:
        return float(text)
    except ValueError:
        raise SerializationFailed("STRING_VALUE can not be converted to a Double") from None


def write_float(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return float(value)


def read_timestamp(value: Any, style: str) -> datetime:
    """An aware moment from `iso8601`, `rfc822` or `unixtimestamp`."""
    try:
        if style == "unixtimestamp":
            return datetime.fromtimestamp(float(value), UTC)
        if not isinstance(value, str):
            raise TypeError  # noqa: TRY301  one answer to everything that is not a moment
        moment = parsedate_to_datetime(value) if style == "rfc822" else datetime.fromisoformat(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, TypeError, OverflowError, OSError):
        raise SerializationFailed(f"{str(value)[:64]!r} is not a timestamp of the format {style}.") from None


def write_timestamp(value: datetime, style: str) -> str | float:
    """A moment in the style asked for, to the millisecond where the style has fractions."""
    if style == "unixtimestamp":
        seconds = round(value.timestamp(), 3)
        return int(seconds) if seconds.is_integer() else seconds
    if style == "rfc822":
        return format_datetime(value.astimezone(UTC), usegmt=True)
    precision = "milliseconds" if value.microsecond else "seconds"
    return value.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def _integer(text: str, shape: Shape) -> int:
    if _INTEGER.fullmatch(text) is None:
        raise SerializationFailed(
            f"STRING_VALUE can not be converted to {'an Integer' if shape.kind == 'integer' else 'a Long'}"
        )
    return int(text)


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise SerializationFailed("STRING_VALUE can not be converted to a Boolean")
    return text.lower() == "true"
