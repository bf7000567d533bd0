"""A log read from any place, forwards and backwards, one event at a time. Blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from torpor.store.log_files import LogFiles, LogLine, Position, decode_line, spelt_out


class Place(NamedTuple):
    """Before an event: its segment, the offset of its record, and which of the record's lines it is."""

    segment: int = 0
    offset: int = 0
    part: int = 0


class Event(NamedTuple):
    """One line, where it stands, and the place behind it."""

    place: Place
    line: LogLine
    after: Place


@dataclass(slots=True)
class StreamFacts:
    """What is known of one stream: Unix times in milliseconds, and bytes of its lines."""

    first_ms: int
    last_ms: int
    bytes: int = 0

    def add(self, at_ms: int, size: int) -> None:
        self.first_ms = min(self.first_ms, at_ms)
        self.last_ms = max(self.last_ms, at_ms)
        self.bytes += size


def forwards(files: LogFiles, start: Place = Place()) -> Iterator[Event]:  # noqa: B008  (it is immutable)
    """Events from a place on, oldest first."""
    position, skip = Position(start.segment, start.offset), start.part
    while True:
        raw_lines, behind = files.after(position)
        if not raw_lines:
            return
        offset = behind.offset - sum(len(raw) + 1 for raw in raw_lines)
        if behind.segment != position.segment or offset != position.offset:
            skip = 0  # the segment of the place is gone
        for raw in raw_lines:
            yield from _events(raw, behind.segment, offset)[skip:]
            skip = 0
            offset += len(raw) + 1
        position = behind


def backwards(files: LogFiles, end: Place | None = None) -> Iterator[Event]:
    """Events before a place (None: the end), newest first."""
    for segment in reversed(files.numbers()):
        if end is not None and segment > end.segment:
            continue
        data = files.data(segment)
        raw_lines = data[: data.rfind(b"\n") + 1].split(b"\n")[:-1]
        offset = sum(len(raw) + 1 for raw in raw_lines)
        for raw in reversed(raw_lines):
            offset -= len(raw) + 1
            for event in reversed(_events(raw, segment, offset)):
                if end is None or event.place < end:
                    yield event


def end_of(files: LogFiles) -> Place:
    """The place behind everything that is there."""
    position = files.end()
    return Place(position.segment, position.offset)


def streams_of(files: LogFiles, segment: int) -> dict[str, StreamFacts]:
    """The streams that have lines in one segment."""
    found: dict[str, StreamFacts] = {}
    data = files.data(segment)
    for raw in data[: data.rfind(b"\n") + 1].split(b"\n")[:-1]:
        line = decode_line(raw)
        if line is not None:
            facts = found.setdefault(line.stream, StreamFacts(line.at_ms, line.at_ms))
            facts.add(line.start_ms or line.at_ms, len(raw))
            facts.add(line.at_ms, 0)
    return found


def _events(raw: bytes, segment: int, offset: int) -> list[Event]:
    line = decode_line(raw)
    if line is None:
        return []
    lines = spelt_out(line)
    behind = Place(segment, offset + len(raw) + 1)
    last = len(lines) - 1
    return [
        Event(Place(segment, offset, part), one, behind if part == last else Place(segment, offset, part + 1))
        for part, one in enumerate(lines)
    ]
