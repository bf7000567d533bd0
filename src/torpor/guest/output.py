"""Standard output, standard error and `logging`, set up so that a line reaches the log when it is written."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import time
from contextvars import ContextVar

_FORMAT = "[%(levelname)s]\t%(asctime)s.%(msecs)dZ\t%(aws_request_id)s\t%(message)s"
_DATE_FORMAT = "%Y-%m-%dT%H:%M:%S"

request_id = ContextVar("request_id", default="")  # whose work this thread, or this task, does


class _Requests(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.aws_request_id = request_id.get()
        return True


class _Stdout(logging.StreamHandler):  # type: ignore[type-arg]  # it has no type argument at run time before 3.11
    """Writes to whatever `sys.stdout` is at the moment, so that a handler which redirects it gets its records too."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> object:  # an attribute there, looked up afresh here
        return sys.stdout


def set_up() -> None:
    """Make standard output line by line, and give the root logger Lambda's handler and format."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    handler = _Stdout()
    handler.setFormatter(_formatter())
    handler.addFilter(_Requests())
    logging.getLogger().addHandler(handler)


def _formatter() -> logging.Formatter:
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON":  # as its LoggingConfig asks for
        from .json_log import JsonFormatter, level_of  # only these pay for the import

        logging.getLogger().setLevel(level_of(os.environ.get("AWS_LAMBDA_LOG_LEVEL", "INFO")))
        return JsonFormatter()
    formatter = logging.Formatter(_FORMAT, _DATE_FORMAT)
    formatter.converter = time.gmtime
    return formatter


def flush() -> None:
    """Push out what is buffered, before the answer that belongs to it is sent."""
    streams = [sys.stdout, sys.stderr]
    if sys.stdout is not sys.__stdout__ or sys.stderr is not sys.__stderr__:
        streams += [sys.__stdout__, sys.__stderr__]
    for stream in streams:
        # A handler may have closed or replaced its own streams: that is no reason to lose its answer.
        with contextlib.suppress(Exception):
            if stream is not None:
                stream.flush()
