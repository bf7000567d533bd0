"""A rehearsal goes through what a start goes through, and leaves nothing behind."""

from __future__ import annotations

import logging
import os
import sys

from torpor.guest import output, rehearsal
from torpor.guest.context import LambdaContext, surroundings
from torpor.wire.messages import Call


def test_a_rehearsal_leaves_nothing_behind() -> None:
    """Modules, log handlers, variables and descriptors are what they were."""
    variables, handlers = dict(os.environ), list(logging.getLogger().handlers)
    rehearsal.rehearse()
    modules, descriptors = set(sys.modules), os.listdir("/proc/self/fd")  # noqa: PTH208 -- names alone
    rehearsal.rehearse()
    assert set(sys.modules) == modules
    assert len(os.listdir("/proc/self/fd")) == len(descriptors)  # noqa: PTH208 -- names alone
    assert logging.getLogger().handlers == handlers
    assert {**variables, "_X_AMZN_TRACE_ID": ""} == {**os.environ, "_X_AMZN_TRACE_ID": ""}
    assert output.request_id.get() == ""


def test_a_rehearsal_runs_its_handler(monkeypatch) -> None:
    """The handler is called as any other is: what it does not go through would be slow at the first call."""
    seen = []
    monkeypatch.setattr(rehearsal, "find_handler", lambda _text: lambda event, _context: seen.append(event["body"]))
    monkeypatch.setitem(sys.modules, rehearsal._MODULE, logging)
    rehearsal.rehearse()
    assert seen == ["{}"]


def test_a_function_after_a_rehearsal_knows_its_own_name(monkeypatch) -> None:
    """What the handler is told of its function is read when that is known, and not while rehearsing."""
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)
    rehearsal.rehearse()
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "echo")
    assert LambdaContext(Call("r", "arn", 1)).function_name == "echo"
    surroundings.cache_clear()
