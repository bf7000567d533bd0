"""`logging`'s records and uncaught errors as JSON, for functions whose LoggingConfig asks for it."""

from __future__ import annotations

import json
import logging
import time
import traceback
from typing import Any

# What every record has; what a caller adds with `extra` is none of these, and becomes a key of its own.
_KNOWN = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {
    "message",
    "asctime",
    "aws_request_id",
    "taskName",
}
_LEVELS = {"TRACE": logging.NOTSET + 1, "FATAL": logging.CRITICAL, "WARN": logging.WARNING}


class JsonFormatter(logging.Formatter):
    """One object a record, with the names that Lambda's own runtime gives."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON; what JSON has no form for is written as text."""
        plain = {
            "timestamp": stamp(record.created),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            "requestId": getattr(record, "aws_request_id", "") or None,
        }
        if record.exc_info and record.exc_info[0] is not None:
            kind, error, trace = record.exc_info
            plain["errorType"] = kind.__name__
            plain["errorMessage"] = str(error)
            plain["stackTrace"] = [line.rstrip("\n") for line in traceback.format_tb(trace)]
            plain["location"] = f"{record.pathname}:{record.funcName}:{record.lineno}"
        plain.update({name: value for name, value in vars(record).items() if name not in _KNOWN and name not in plain})
        return dump({name: value for name, value in plain.items() if value is not None})


def level_of(name: str) -> int:
    """`logging`'s level for one of LoggingConfig's."""
    known = _LEVELS.get(name, getattr(logging, name, logging.INFO))
    return known if isinstance(known, int) else logging.INFO


def error_line(error: dict[str, Any]) -> str:
    """Lambda's error object as a line of the log."""
    return dump({"timestamp": stamp(time.time()), "level": "ERROR", "message": error["errorMessage"], **error})


def stamp(at: float) -> str:
    """Unix seconds as Lambda writes them."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def dump(plain: dict[str, Any]) -> str:
    try:
        return json.dumps(plain, default=str, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):  # keys of other types, or a value that holds itself
        return json.dumps({name: str(value) for name, value in plain.items()}, ensure_ascii=False)
