"""What the platform writes to a function's log where its LoggingConfig asks for JSON: Lambda's platform events.

Source: AWS, "Lambda Telemetry API Event schema reference"; levels as in "Log-level filtering".
"""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import Any

import msgspec

from torpor.core.function import FunctionConfig
from torpor.core.invocation import Depth, Result, Usage
from torpor.runtime.journal import Journal, LogSink, Tail

_RANKS = {"DEBUG": 0, "INFO": 1, "WARN": 2}
_STATUS = {Result.OK: "success", Result.TIMEOUT: "timeout", Result.ERROR: "failure"}


class JsonJournal(Journal):
    """One instance's log stream in JSON; `level` is the least that is written."""

    def __init__(self, sink: LogSink, key: str, stream: str, config: FunctionConfig) -> None:
        super().__init__(sink, key, stream)
        self._name = config.name
        self._least = _RANKS.get(config.system_log_level, 1)

    def init_start(self, runtime: str, version: str, at_ms: int = 0) -> None:
        record = {
            "initializationType": "on-demand",
            "phase": "init",
            "runtimeVersion": runtime,
            "functionName": self._name,
            "functionVersion": version,
        }
        self._event("INFO", "platform.initStart", record, at_ms=at_ms)

    def restore_start(self, runtime: str, version: str, at_ms: int) -> None:
        record = {"runtimeVersion": runtime, "functionName": self._name, "functionVersion": version}
        self._event("INFO", "platform.restoreStart", record, at_ms=at_ms)

    def restore_report(self, restore_ms: float) -> None:
        record = {"status": "success", "metrics": {"durationMs": round(restore_ms, 3)}}
        self._event("INFO", "platform.restoreReport", record)

    def init_report(self, init_ms: float, kind: str, *, ok: bool = True) -> None:
        metrics = {"durationMs": round(init_ms, 3)}
        record: dict[str, Any] = {
            "initializationType": kind,
            "phase": "init",
            "status": "success" if ok else "error",
            "metrics": metrics,
        }
        self._event("INFO", "platform.initReport", record)

    def begin(self, request_id: str, version: str, at_ms: int, tail: Tail | None) -> None:
        record = {"requestId": request_id, "version": version}
        self._event("INFO", "platform.start", record, tail, at_ms=at_ms)

    def conclude(self, usage: Usage, start_ms: int, tail: Tail | None) -> None:
        if start_ms:
            self.begin(usage.request_id, usage.version, start_ms, tail)
        status = _STATUS.get(usage.result, "error")
        metrics: dict[str, Any] = {
            "durationMs": round(usage.duration_ms, 3),
            "billedDurationMs": usage.billed_ms,
            "memorySizeMB": usage.memory_mb,
            "maxMemoryUsedMB": usage.max_memory_mb,
        }
        if usage.init_ms:
            kind = "restore" if usage.depth is Depth.SNAPSHOT else "init"
            metrics[f"{kind}DurationMs"] = round(usage.init_ms, 3)
            if usage.depth is Depth.SNAPSHOT:
                metrics["billedRestoreDurationMs"] = math.ceil(usage.init_ms)
        level = "INFO" if status == "success" else "WARN"
        done = {"requestId": usage.request_id, "status": status, "metrics": {"durationMs": metrics["durationMs"]}}
        self._event("DEBUG", "platform.runtimeDone", done, tail)
        report = {"requestId": usage.request_id, "status": status, "metrics": metrics}
        self._event(level, "platform.report", report, tail)

    def timed_out(self, request_id: str, text: str, tail: Tail | None) -> None:
        """Nothing: the report's status says it."""

    def _event(
        self, level: str, kind: str, record: dict[str, Any], tail: Tail | None = None, *, at_ms: int = 0
    ) -> None:
        if _RANKS[level] < self._least:
            return
        at_ms = at_ms or int(time.time() * 1000)
        at = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self.write(
            msgspec.json.encode({"time": at, "type": kind, "record": record}), record.get("requestId", ""), tail, at_ms
        )


def open_journal(sink: LogSink, config: FunctionConfig, key: str, stream: str) -> Journal:
    """The journal that the function's LoggingConfig asks for."""
    return JsonJournal(sink, key, stream, config) if config.log_format == "JSON" else Journal(sink, key, stream)
