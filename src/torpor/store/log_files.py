"""A function's log on the disk: numbered segments of JSON lines, the oldest dropped when there are too many."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from torpor.core.arn import is_function_name
from torpor.core.errors import InvalidValue


class LogLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line that a function wrote, or one about an invocation. `at_ms` is Unix time; `line` has no line end.

    As it is stored it may stand for several, joined by line ends: the first was written at `start_ms`, the others at
    `at_ms`. `spelt_out` gives each by itself.
    """

    at_ms: int
    stream: str
    request_id: str
    line: str
    start_ms: int = 0


@dataclass(frozen=True, slots=True)
class Position:
    """A place between two lines: a segment's number and an offset in it."""

    segment: int = 0
    offset: int = 0


_decoder = msgspec.json.Decoder(LogLine)
_encoder = msgspec.json.Encoder()
_READ_BYTES = 1024 * 1024
_MOST_SEGMENTS = 5000
_LONGEST_NAME = 240
_GROUP = re.compile(r"=[a-zA-Z0-9_\-/.#]{1,512}")


def encode_line(line: LogLine) -> bytes:
    """The line as it is stored, its line end included."""
    return _encoder.encode(line) + b"\n"


def decode_line(raw: bytes) -> LogLine | None:
    """The line, or None for one that a crash left torn."""
    try:
        return _decoder.decode(raw)
    except msgspec.MsgspecError:
        return None


def spelt_out(line: LogLine) -> list[LogLine]:
    """The lines that a stored one stands for."""
    if not line.start_ms:
        return [line]
    times = [line.start_ms]
    return [
        LogLine(at_ms=times.pop() if times else line.at_ms, stream=line.stream, request_id=line.request_id, line=text)
        for text in line.line.split("\n")
    ]


class LogFiles:
    """The segments of one function, below `root`. Blocks; one writer at a time, any number of readers."""

    def __init__(self, root: Path, function: str) -> None:
        if not is_function_name(function) and not is_group_key(function):
            raise InvalidValue(f"{function!r} is not a function's name: letters, digits, - and _, 64 at most.")
        self.folder = root / folder_name(function)

    def append(self, data: bytes, *, segment_bytes: int, segments: int) -> None:
        """Add whole lines, beginning a new segment where the last one is full."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        numbers = self.numbers()
        number = numbers[-1] if numbers else 1
        descriptor = self._open(number)
        try:
            size = os.fstat(descriptor).st_size
            if size and size + len(data) > segment_bytes:
                os.close(descriptor)
                number += 1
                descriptor = self._open(number)
                numbers.append(number)
                self._drop(numbers, segment_bytes * (segments - 1))
            elif size and os.pread(descriptor, 1, size - 1) != b"\n":
                data = b"\n" + data  # a crash tore the last line
            _write_all(descriptor, data)
        finally:
            os.close(descriptor)

    def numbers(self) -> list[int]:
        """The segments there are, oldest first."""
        try:
            names = os.listdir(self.folder)  # noqa: PTH208 - no Path objects for what is asked at each group of lines
        except FileNotFoundError:
            return []
        return sorted(int(name[:-6]) for name in names if name.endswith(".jsonl") and name[:-6].isdigit())

    def data(self, number: int) -> bytes:
        """A whole segment; nothing where it is gone."""
        return self._read(number) or b""

    def size(self) -> int:
        """Bytes on the disk."""
        return sum(self._stat(number)[0] for number in self.numbers())

    def size_of(self, number: int) -> int:
        """Bytes of one segment."""
        return self._stat(number)[0]

    def expire(self, before: float, roll_before: float) -> None:
        """Remove the segments that were last written before a Unix time; begin a new one when the current one was
        begun before `roll_before`, so that a quiet function's lines go too.
        """
        numbers = self.numbers()
        for number in numbers:
            if self._stat(number)[1] < before:
                self._path(number).unlink(missing_ok=True)
        if numbers and self.folder.exists() and self._begun(numbers[-1]) < roll_before:
            os.close(self._open(numbers[-1] + 1))

    def _stat(self, number: int) -> tuple[int, float]:
        """Bytes, and when it was last written to."""
        try:
            found = self._path(number).stat()
        except FileNotFoundError:
            return 0, 0.0
        return found.st_size, found.st_mtime

    def _begun(self, number: int) -> float:
        """The time of a segment's first line; far in the future where there is none."""
        first = decode_line((self._read(number, 0, _READ_BYTES) or b"").partition(b"\n")[0])
        return first.at_ms / 1000 if first is not None else float("inf")

    def end(self) -> Position:
        """The place behind the last whole line."""
        for number in reversed(self.numbers()):
            data = self._read(number)
            if data is not None:
                return Position(number, data.rfind(b"\n") + 1)
        return Position()

    def lines_backwards(self, until: Position) -> Iterator[bytes]:
        """Raw lines before a place, newest first."""
        for number in reversed(self.numbers()):
            if number > until.segment:
                continue
            data = self._read(number) or b""
            if number == until.segment:
                data = data[: until.offset]
            yield from reversed(data.split(b"\n")[:-1])

    def after(self, position: Position) -> tuple[list[bytes], Position]:
        """Whole raw lines behind a place, at most a megabyte of them (one at least), and the place behind those."""
        for number in self.numbers():
            if number < position.segment:
                continue
            offset = position.offset if number == position.segment else 0
            data = self._read(number, offset, _READ_BYTES) or b""
            if b"\n" not in data:
                data = self._read(number, offset) or b""
            whole = data[: data.rfind(b"\n") + 1]
            if whole:
                return whole.split(b"\n")[:-1], Position(number, offset + len(whole))
        return [], position

    def delete(self) -> None:
        if self.folder.exists():
            shutil.rmtree(self.folder)

    def _drop(self, numbers: list[int], most: int) -> None:
        """Remove the oldest, until those before the newest leave it its room: segments begun anew by time are small."""
        sizes = {number: self._stat(number)[0] for number in numbers}
        total = sum(sizes.values())
        for number in numbers[:-1]:
            if total <= most and len(sizes) <= _MOST_SEGMENTS:
                return
            total -= sizes.pop(number)
            self._path(number).unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08}.jsonl"

    def _open(self, number: int) -> int:
        return os.open(self._path(number), os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _read(self, number: int, offset: int = 0, count: int = -1) -> bytes | None:
        try:
            with self._path(number).open("rb") as file:
                file.seek(offset)
                return file.read(count)
        except FileNotFoundError:
            return None  # dropped, or deleted with its function


def folder_name(function: str) -> str:
    """A name for the file system, one for each function even where upper and lower case are one."""
    spelled = "".join(f"+{letter.lower()}" if letter.isupper() else letter for letter in function).replace("/", "~")
    if len(spelled) <= _LONGEST_NAME:
        return spelled
    return f"{spelled[: _LONGEST_NAME - 65]}~{hashlib.sha256(function.encode()).hexdigest()}"


def is_group_key(text: str) -> bool:
    """Whether this is `=` and the name of a log group that is not a function's own."""
    return _GROUP.fullmatch(text) is not None


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
