"""Errors as Lambda words them: the object that answers a failed invocation, and the lines that go to the log."""

# ruff: noqa: PTH100, PTH118, PTH120  # importing pathlib would cost every start milliseconds

from __future__ import annotations

import json
import os
import sys
import traceback
from types import TracebackType
from typing import Any

_GUEST = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_MAX_TEXT = 64 * 1024  # characters of a message or of one frame of a trace
_MAX_FRAMES = 200


class Fault(Exception):
    """A failure of Lambda's own kind, with its `errorType` and a ready stack trace."""

    def __init__(self, kind: str, message: str, trace: list[str] | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.trace = trace or []


def describe(error: BaseException, request_id: str) -> dict[str, Any]:
    """Lambda's error object for what a handler, or its import, raised."""
    if isinstance(error, Fault):
        return _error(str(error), error.kind, request_id, error.trace)
    return _error(_text(error), type(error).__name__, request_id, _stack(error.__traceback__))


def encode(error: dict[str, Any]) -> bytes:
    return json.dumps(error).encode()


def log(error: dict[str, Any], hint: str = "") -> None:
    """Write the error where the function's output goes, as Lambda's runtime does; a hint of our own comes last."""
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON":
        from .json_log import error_line  # only functions that ask for JSON pay for the import

        sys.stdout.write(error_line({**error, "hint": hint} if hint else error) + "\n")
        return
    message = ": ".join(part for part in (error["errorType"], error["errorMessage"]) if part)
    lines = [f"[ERROR] {message}", "Traceback (most recent call last):"]
    for entry in error["stackTrace"]:
        lines += [_unbreakable(line) for line in entry.splitlines()]
    if hint:
        lines.append(f"[HINT] {hint}")
    sys.stdout.write("\n".join(lines) + "\n")


def _error(message: str, kind: str, request_id: str, trace: list[str]) -> dict[str, Any]:
    return {
        "errorMessage": message[:_MAX_TEXT],
        "errorType": kind,
        "requestId": request_id,
        "stackTrace": [entry[:_MAX_TEXT] for entry in trace[:_MAX_FRAMES]],
    }


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as failure:  # a user's __str__ may raise anything; the invocation still needs an answer
        return f"<{type(error).__name__}, whose own text could not be made: {type(failure).__name__}>"


def _stack(trace: TracebackType | None) -> list[str]:
    frames = [(f.filename, f.lineno, f.name, f.line) for f in traceback.extract_tb(trace)]
    while frames and _is_machinery(frames[0][0]):
        del frames[0]
    return traceback.format_list(frames)  # type: ignore[arg-type]  # tuples are allowed, and leave out 3.11's markers


def _is_machinery(filename: str) -> bool:
    """Whether a frame is the guest's or the import system's: of no use to whoever reads the trace."""
    if filename.startswith("<frozen importlib"):
        return True
    return filename.startswith(_GUEST) or filename.endswith(os.path.join("importlib", "__init__.py"))


def _unbreakable(line: str) -> str:
    """Indentation in no-break spaces, as Lambda writes it: log viewers strip ordinary ones."""
    body = line.lstrip(" ")
    return "\u00a0" * (len(line) - len(body)) + body
