"""Records of `logging` as JSON."""

import json
import logging
import sys

import pytest

from torpor.guest.json_log import JsonFormatter, error_line, level_of


def formatted(message="hello %s", args=("you",), level=logging.WARNING, *, error=None, **extra):
    record = logging.LogRecord("shop", level, "/var/task/app.py", 3, message, args, error, "handler")
    record.created = 1_767_225_600.0
    record.aws_request_id = "r-1"
    vars(record).update(extra)
    return json.loads(JsonFormatter().format(record))


def test_a_record_is_an_object():
    """With Lambda's names, and what the caller added beside them."""
    assert formatted(order=7) == {
        "timestamp": "2026-01-01T00:00:00Z", "level": "WARNING", "message": "hello you", "logger": "shop",
        "requestId": "r-1", "order": 7,
    }  # fmt: skip


def test_an_exception_is_told_in_its_parts():
    """Type, message, trace and place."""
    try:
        int("bad")
    except ValueError:
        found = formatted(error=sys.exc_info())
    assert (found["errorType"], "'bad'" in found["errorMessage"]) == ("ValueError", True)
    assert 'int("bad")' in found["stackTrace"][0]
    assert found["location"] == "/var/task/app.py:handler:3"


def test_nothing_a_caller_adds_breaks_the_line():
    """Values without a form in JSON, that hold themselves, or with keys of any type, are texts."""
    loop = {}
    loop["self"] = loop
    found = formatted(a={1, 2}, b=loop, c={(1, 2): 3}, d="line\nbreak")
    assert found["d"] == "line\nbreak"
    assert set(found) >= {"a", "b", "c"}


@pytest.mark.parametrize(
    ("name", "level"),
    [("TRACE", 1), ("DEBUG", 10), ("INFO", 20), ("WARN", 30), ("ERROR", 40), ("FATAL", 50), ("info", 20), ("?", 20)],
)
def test_levels_are_lambdas(name, level):
    """LoggingConfig's names as `logging`'s numbers."""
    assert level_of(name) == level


def test_an_uncaught_error_is_an_object():
    """At level ERROR, with everything that the answer has."""
    error = {"errorMessage": "bad", "errorType": "ValueError", "requestId": "r", "stackTrace": ["a"]}
    line = json.loads(error_line(error))
    assert line["level"] == "ERROR"
    assert error.items() <= line.items()
