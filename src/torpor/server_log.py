"""The server's own log: JSON lines on standard error, each with a stable `action`."""

from __future__ import annotations

import logging
import sys

import structlog

from torpor.core.errors import TorporError

_log = structlog.get_logger(__name__)


def configure(level: str) -> None:
    """Write what is of this level (`debug`, `info`, …) or above."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def note(action: str, **facts: object) -> None:
    """Tell an operator what happened below, who has no log there."""
    _log.warning(action, action=action, **facts)


def complain(error: TorporError, code: int) -> int:
    """Say why the server does not run, to whoever started it; returns the exit code."""
    sys.stderr.write(f"torpor: {error.message}\n")
    return code
