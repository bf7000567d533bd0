"""What the platform itself writes to a function's log, and the tail of it that a caller may ask for."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime
from typing import Protocol

from torpor.core.invocation import Depth, Usage

TAIL = 4096  # bytes of log returned with an invocation that asks for it


class LogSink(Protocol):
    """Where lines go. Must not block: it is called on the path of requests.

    With `start_ms`, `line` is several lines, joined by line ends: the first was written then, the others at `at_ms`.
    """

    def write(
        self, function: str, stream: str, request_id: str, at_ms: int, line: bytes, *, start_ms: int = 0
    ) -> None: ...


class Tail:
    """The last 4 KB of an invocation's log."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = bytearray()

    def add(self, line: bytes) -> None:
        self._data += line[-TAIL:] + b"\n"
        if len(self._data) > 2 * TAIL:
            del self._data[:-TAIL]

    def bytes(self) -> bytes:
        return bytes(self._data[-TAIL:])


class Journal:
    """One instance's log stream: every line is written at once, and kept for the tail of the request it belongs to."""

    def __init__(self, sink: LogSink, function: str, stream: str) -> None:
        self._sink = sink
        self._function = function
        self._stream = stream

    def write(self, line: bytes, request_id: str = "", tail: Tail | None = None, at_ms: int = 0) -> None:
        self._sink.write(self._function, self._stream, request_id, at_ms or int(time.time() * 1000), line)
        if tail is not None:
            tail.add(line)

    def init_start(self, runtime: str, version: str, at_ms: int = 0) -> None:  # noqa: ARG002  (JSON has it)
        """An instance begins, or began then."""
        self.write(init_start(runtime), at_ms=at_ms)

    def init_report(self, init_ms: float, kind: str, *, ok: bool = True) -> None:  # noqa: ARG002  (JSON has it)
        """An initialisation is over that no invocation bears; `kind` as in AWS_LAMBDA_INITIALIZATION_TYPE."""
        self.write(init_report(init_ms, ok=ok))

    def restore_start(self, runtime: str, version: str, at_ms: int) -> None:  # noqa: ARG002  (JSON has it)
        """An instance begins that is restored from a snapshot."""
        self.write(f"RESTORE_START Runtime Version: {runtime}".encode(), at_ms=at_ms)

    def restore_report(self, restore_ms: float) -> None:
        """It is restored, its hooks included."""
        self.write(f"RESTORE_REPORT Restore Duration: {restore_ms:.2f} ms".encode())

    def begin(self, request_id: str, version: str, at_ms: int, tail: Tail | None) -> None:
        """An invocation began at a Unix time in milliseconds."""
        self.write(start(request_id, version).encode(), request_id, tail, at_ms)

    def timed_out(self, request_id: str, text: str, tail: Tail | None) -> None:
        """An invocation ran out of time."""
        self.write(timed_out(request_id, text), request_id, tail)

    def conclude(self, usage: Usage, start_ms: int, tail: Tail | None) -> None:
        """END and REPORT, and before them START, if it is not written yet: `start_ms` is when it should have been.

        One record for all of them: most invocations say nothing else.
        """
        now_ms = int(time.time() * 1000)
        lines = f"{end(usage.request_id)}\n{report(usage)}"
        if start_ms:
            lines = f"{start(usage.request_id, usage.version)}\n{lines}"
        text = lines.encode()
        self._sink.write(self._function, self._stream, usage.request_id, now_ms, text, start_ms=start_ms or now_ms)
        if tail is not None:
            tail.add(text)


def init_start(runtime: str) -> bytes:
    return f"INIT_START Runtime Version: {runtime}".encode()


def init_report(init_ms: float, *, ok: bool) -> bytes:
    """The line that follows an initialisation which no invocation bears."""
    return f"INIT_REPORT Init Duration: {init_ms:.2f} ms\tPhase: init\tStatus: {'success' if ok else 'error'}".encode()


def start(request_id: str, version: str) -> str:
    return f"START RequestId: {request_id} Version: {version}"


def end(request_id: str) -> str:
    return f"END RequestId: {request_id}"


def report(usage: Usage) -> str:
    """The REPORT line; initialisation is named when this invocation bore it."""
    line = (
        f"REPORT RequestId: {usage.request_id}\tDuration: {usage.duration_ms:.2f} ms\t"
        f"Billed Duration: {usage.billed_ms} ms\tMemory Size: {usage.memory_mb} MB\t"
        f"Max Memory Used: {usage.max_memory_mb} MB"
    )
    if not usage.init_ms:
        return line
    if usage.depth is Depth.SNAPSHOT:
        billed = f"Billed Restore Duration: {math.ceil(usage.init_ms)} ms"
        return f"{line}\tRestore Duration: {usage.init_ms:.2f} ms\t{billed}"
    return f"{line}\tInit Duration: {usage.init_ms:.2f} ms"


def timed_out(request_id: str, text: str) -> bytes:
    """The line that precedes END when an invocation ran out of time; it carries its own time, as in Lambda."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{now} {request_id} {text}".encode()
