"""Events from JSON and results to JSON, as Lambda's Python runtime does it.

Its encoder writes `Decimal` as a bare number and, from Python 3.12 on, keeps non-ASCII text as it is. The standard
library's encoder has no way to emit a bare number, so a Decimal goes through it as a string with a random mark that is
taken off afterwards.
"""

from __future__ import annotations

import json
import os
import re
import sys
from typing import Any

from .faults import Fault

_ASCII = sys.version_info < (3, 12)


def read_event(payload: bytes) -> Any:
    """The event; no bytes at all are an empty object. Raises Fault."""
    if not payload:
        return {}
    try:
        return json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise Fault("Runtime.UnmarshalError", f"Unable to unmarshal input: {error}") from error


def write_result(result: Any) -> bytes:
    """The result as JSON. Raises Fault when it has no JSON form, NaN and Infinity included."""
    try:
        return _write_plain(result)
    except Exception:
        return _write_any(result)


def _refuse(value: Any) -> Any:
    raise TypeError(type(value).__name__)


# The usual result is plain, and its encoder is made once: to make one takes as long as to write a small result.
_plain = json.JSONEncoder(default=_refuse, ensure_ascii=_ASCII, allow_nan=False)


def _write_plain(result: Any) -> bytes:
    return _plain.encode(result).encode()


def _write_any(result: Any) -> bytes:
    """With Decimals, or the reason why not."""
    marks = _DecimalMarks()
    try:
        text = json.dumps(result, default=marks.encode, ensure_ascii=_ASCII, allow_nan=False)
        return marks.remove(text).encode()
    except Exception as error:  # a user's __str__ or __iter__ may raise anything
        raise Fault("Runtime.MarshalError", f"Unable to marshal response: {_teach(error)}") from error


def _teach(error: Exception) -> str:
    if "JSON compliant" in str(error):
        return f"{error}. NaN and Infinity have no JSON form: return None, or a string, in their place"
    return str(error)


class _DecimalMarks:
    """Lets Decimals through the encoder; costs nothing where there are none."""

    def __init__(self) -> None:
        self._mark = ""

    def encode(self, value: Any) -> Any:
        decimal = sys.modules.get("decimal")  # who returns a Decimal has imported it
        if decimal is None or not isinstance(value, decimal.Decimal):
            raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
        if not value.is_finite():
            raise ValueError(f"Out of range decimal values are not JSON compliant: {value}")
        self._mark = self._mark or f"decimal-{os.urandom(8).hex()}:"
        return f"{self._mark}{value}"

    def remove(self, text: str) -> str:
        return re.sub(f'"{self._mark}([^"]*)"', r"\1", text) if self._mark else text
