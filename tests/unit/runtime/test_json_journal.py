"""The platform's own lines as JSON."""

import json

import pytest

from torpor.core.function import FunctionConfig
from torpor.core.invocation import Depth, Result, Usage
from torpor.runtime.journal import Journal
from torpor.runtime.json_journal import JsonJournal, open_journal
from torpor.testing.logs import MemoryLog


class Sink:
    """Keeps lines."""

    def __init__(self):
        self.lines = []

    def write(self, key, stream, request_id, at_ms, line, *, start_ms=0):
        self.lines.append((key, request_id, json.loads(line)))


def usage(result=Result.OK, init_ms=0.0):
    return Usage(
        function="f", version="1", request_id="r", at=0.0, depth=Depth.SPAWN, init_ms=init_ms, duration_ms=1.25,
        billed_ms=2, memory_mb=128, max_memory_mb=40, cpu_ms=1.0, result=result,
    )  # fmt: skip


def written(level, result=Result.OK, init_ms=0.0):
    sink = Sink()
    config = FunctionConfig(name="f", handler="a.b", log_format="JSON", system_log_level=level)
    journal = open_journal(sink, config, "=group", "s")
    assert isinstance(journal, JsonJournal)
    journal.init_start("python3.11", "1")
    journal.conclude(usage(result, init_ms), 1_767_225_600_123, None)
    return sink.lines


def test_an_invocation_at_info():
    """Start and report, with Lambda's names; the start has its own time."""
    lines = written("INFO", init_ms=80.5)
    assert [(key, line["type"]) for key, _, line in lines] == [
        ("=group", "platform.initStart"), ("=group", "platform.start"), ("=group", "platform.report"),
    ]  # fmt: skip
    assert lines[1][2] == {
        "time": "2026-01-01T00:00:00.123Z", "type": "platform.start", "record": {"requestId": "r", "version": "1"},
    }  # fmt: skip
    assert lines[2][1] == "r"
    assert lines[2][2]["record"] == {
        "requestId": "r",
        "status": "success",
        "metrics": {
            "durationMs": 1.25, "billedDurationMs": 2, "memorySizeMB": 128, "maxMemoryUsedMB": 40,
            "initDurationMs": 80.5,
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("level", "result", "kinds"),
    [
        ("DEBUG", Result.OK, ["initStart", "start", "runtimeDone", "report"]),
        ("WARN", Result.OK, []),
        ("WARN", Result.TIMEOUT, ["report"]),
        ("", Result.ERROR, ["initStart", "start", "report"]),
    ],
)
def test_levels_choose(level, result, kinds):
    """At WARN only what went wrong is told."""
    assert [line["type"].partition(".")[2] for _, _, line in written(level, result)] == kinds


def test_text_stays_text():
    """Without JSON it is the journal that it always was."""
    journal = open_journal(MemoryLog(), FunctionConfig(name="f", handler="a.b"), "f", "s")
    assert type(journal) is Journal
