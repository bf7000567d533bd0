"""A log that is kept in memory."""

from __future__ import annotations

from typing import NamedTuple


class LogLine(NamedTuple):
    function: str
    stream: str
    request_id: str
    at_ms: int
    line: bytes


class MemoryLog:
    """A LogSink that remembers every line, or the last `keep` of them."""

    def __init__(self, keep: int = 100_000) -> None:
        self._keep = keep
        self.lines: list[LogLine] = []

    def write(self, function: str, stream: str, request_id: str, at_ms: int, line: bytes, *, start_ms: int = 0) -> None:
        lines = line.split(b"\n") if start_ms else [line]
        for number, one in enumerate(lines):
            self.lines.append(LogLine(function, stream, request_id, at_ms if number else start_ms or at_ms, one))
        if len(self.lines) > 2 * self._keep:
            del self.lines[: -self._keep]

    def text(self, request_id: str | None = None) -> str:
        """What was written, of one request or of all."""
        chosen = (one.line for one in self.lines if request_id is None or one.request_id == request_id)
        return "\n".join(line.decode(errors="replace") for line in chosen)
