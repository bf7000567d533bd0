"""What functions print: taken without waiting, written in groups by a thread of its own, read and followed.

A line is on its way to the file within `group_s`. When the disk is stuck, at most `queue_bytes` wait in memory; what
comes on top is dropped, and so is what the disk refuses: in their place comes a line that counts those missing. Logs
are not synced: a power cut may lose the last seconds.
"""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

import structlog

from torpor.core.errors import PlatformFault
from torpor.store.log_files import LogFiles, LogLine, Position, decode_line, encode_line, folder_name, spelt_out

_log = structlog.get_logger(__name__)
_MIB = 1024 * 1024
_CHUNK_BYTES = _MIB
_SLACK_MS = 60_000
_LINE_OVERHEAD = 200  # a queued line's bookkeeping, roughly, so that empty lines are not free


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOptions:
    """A function's log takes at most `segment_bytes` × `segments` on the disk."""

    segment_bytes: int = 8 * _MIB
    segments: int = 8
    line_bytes: int = 256 * 1024  # longer lines are cut into pieces
    queue_bytes: int = 32 * _MIB
    group_s: float = 0.1
    patience_s: float = 5.0  # how long who reads or deletes waits for a disk that does not answer


class LogUnavailable(PlatformFault):
    """The logs cannot be written."""


class _Written(NamedTuple):
    function: str
    stream: str
    request_id: str
    at_ms: int
    line: bytes
    start_ms: int


@dataclass(slots=True)
class _Missing:
    """In the place of lines that were dropped."""

    function: str
    at_ms: int
    count: int = 0


@dataclass(slots=True)
class _Group:
    """Lines of one function, written together; `count` is of what a function wrote, missing lines included."""

    lines: list[bytes] = field(default_factory=list)
    count: int = 0
    last_ms: int = 0


@dataclass(slots=True)
class _Order:
    """Something the writing thread does in its turn among the lines."""

    act: Callable[[], object]
    done: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None


class _Follower:
    """Somebody who waits for news; told from the writing thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.news = asyncio.Event()
        self.anew = False  # the log was deleted: places in the old one mean nothing in the next
        self._loop = loop

    def since(self, position: Position) -> Position:
        """Where to read on."""
        if self.anew:
            self.anew = False
            return Position()
        return position

    def tell(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.news.set)


class LogStore:
    """The logs of all functions. `write` may be called from any thread, and never blocks."""

    def __init__(self, root: Path, options: LogOptions | None = None) -> None:
        self._root = root
        self._options = options or LogOptions()
        self._queue: deque[_Written | _Missing | _Order] = deque()
        self._queued_bytes = 0
        self._missing: dict[str, _Missing] = {}  # those in the queue
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._urgent = threading.Event()  # do not gather any longer
        self._stop = threading.Event()
        self._followers: dict[str, set[_Follower]] = {}
        self._failing = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="torpor-logs", daemon=True)
        self._thread.start()

    def write(self, function: str, stream: str, request_id: str, at_ms: int, line: bytes, *, start_ms: int = 0) -> None:
        """Take one line (without its line end) of a function's output; with `start_ms` several, see LogLine."""
        size = len(line) + _LINE_OVERHEAD
        with self._lock:
            if self._queued_bytes + size > self._options.queue_bytes:
                self._miss(function, at_ms, 1)
                return
            self._queued_bytes += size
            self._queue.append(_Written(function, stream, request_id, at_ms, line, start_ms))
        if not self._wake.is_set():
            self._wake.set()

    async def read(
        self, function: str, *, since_ms: int = 0, request_id: str | None = None, limit: int = 1000
    ) -> list[LogLine]:
        """The newest `limit` lines that match, oldest first; what was written until now is among them."""
        wanted = _Wanted(since_ms, request_id)
        return (await asyncio.to_thread(self._history, LogFiles(self._root, function), wanted, limit))[0]

    async def follow(
        self, function: str, *, since_ms: int = 0, request_id: str | None = None, limit: int = 1000
    ) -> AsyncIterator[LogLine]:
        """What `read` gives, then every further line as it comes, until the store is closed."""
        files, wanted = LogFiles(self._root, function), _Wanted(since_ms, request_id)
        with self._following(function) as follower:
            lines, position = await asyncio.to_thread(self._history, files, wanted, limit)
            for line in lines:
                yield line
            while True:
                last = self._closed  # seen before reading, so that nothing can come after what is read
                raw, position = await asyncio.to_thread(files.after, follower.since(position))
                for line in wanted.among(raw):
                    yield line
                if raw:
                    continue
                if last:
                    return
                await follower.news.wait()
                follower.news.clear()

    async def delete(self, function: str) -> None:
        """Remove a function's log, lines on their way included. Raises LogUnavailable when the disk does not obey."""
        order = self._order(partial(self._delete, LogFiles(self._root, function), function))
        if not await asyncio.to_thread(order.done.wait, self._options.patience_s):
            raise LogUnavailable(f"the log of {function} is not removed yet: the disk does not answer")
        if order.error is not None:
            raise LogUnavailable(f"the log of {function} could not be removed: {order.error}") from order.error

    def files(self, function: str) -> LogFiles:
        """The log on the disk, with what was written until now in it. Blocks; see `store.log_scan`."""
        self._order(lambda: None).done.wait(self._options.patience_s)
        return LogFiles(self._root, function)

    def keys(self) -> set[str]:
        """The folders that hold logs. Blocks."""
        return {path.name for path in self._root.iterdir()} if self._root.exists() else set()

    def expire(self, function: str, before: float, roll_before: float) -> None:
        """Remove what was written before a Unix time, as far as whole segments go. Blocks."""
        order = self._order(partial(LogFiles(self._root, function).expire, before, roll_before))
        order.done.wait(self._options.patience_s)

    def sweep(self, keep: Iterable[str]) -> int:
        """Remove the logs of functions that are not in `keep`: late lines of deleted ones. Blocks; returns how many."""
        kept = {folder_name(function) for function in keep}
        strays = [path for path in self._root.iterdir() if path.name not in kept] if self._root.exists() else []
        for path in strays:
            order = self._order(partial(shutil.rmtree, path, ignore_errors=True))
            order.done.wait(self._options.patience_s)
        return len(strays)

    def close(self) -> None:
        """Write everything, as far as the disk answers; end every follower, stop. Harmless when repeated."""
        self._stop.set()
        self._urgent.set()
        self._wake.set()
        self._thread.join(self._options.patience_s)
        if self._thread.is_alive():
            _log.error("the last lines of the logs were not written", action="logs.close_failed")
        self._closed = True
        for function in list(self._followers):
            self._tell(function)

    def _history(self, files: LogFiles, wanted: _Wanted, limit: int) -> tuple[list[LogLine], Position]:
        self._order(lambda: None).done.wait(self._options.patience_s)
        position = files.end()
        lines: list[LogLine] = []
        if limit > 0:
            for line in wanted.among_newest_first(files.lines_backwards(position)):
                lines.append(line)
                if len(lines) >= limit:
                    break
        return lines[::-1], position

    @contextmanager
    def _following(self, function: str) -> Iterator[_Follower]:
        follower = _Follower(asyncio.get_running_loop())
        with self._lock:
            self._followers.setdefault(function, set()).add(follower)
        try:
            yield follower
        finally:
            with self._lock:
                self._followers[function].discard(follower)
                if not self._followers[function]:
                    del self._followers[function]

    def _followers_of(self, function: str) -> list[_Follower]:
        with self._lock:
            return list(self._followers.get(function, ()))

    def _tell(self, function: str) -> None:
        for follower in self._followers_of(function):
            follower.tell()

    def _delete(self, files: LogFiles, function: str) -> None:
        files.delete()
        for follower in self._followers_of(function):
            follower.anew = True

    def _order(self, act: Callable[[], object]) -> _Order:
        order = _Order(act)
        with self._lock:
            stopped = self._stop.is_set() and not self._thread.is_alive()
            if not stopped:
                self._queue.append(order)
        if stopped:
            _perform(order)
        self._urgent.set()
        self._wake.set()
        return order

    def _miss(self, function: str, at_ms: int, count: int) -> None:
        """Count lines as missing; the caller holds the lock."""
        missing = self._missing.get(function)
        if missing is None:
            missing = self._missing[function] = _Missing(function, at_ms)
            self._queue.append(missing)
        missing.count += count

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._urgent.wait(self._options.group_s)
            self._wake.clear()
            with self._lock:
                queue, self._queue = self._queue, deque()
                self._missing = {}
                taken, stopping = self._queued_bytes, self._stop.is_set()
                if not stopping:
                    self._urgent.clear()
            self._work_off(queue)
            with self._lock:
                self._queued_bytes -= taken
                if stopping and not self._queue:
                    return
            if stopping:
                self._wake.set()

    def _work_off(self, queue: Iterable[_Written | _Missing | _Order]) -> None:
        groups: dict[str, _Group] = {}
        for item in queue:
            if isinstance(item, _Order):
                self._store(groups)
                groups = {}
                _perform(item)
                continue
            group = groups.setdefault(item.function, _Group())
            group.last_ms = item.at_ms
            if isinstance(item, _Missing):
                group.lines.append(_notice(item))
                group.count += item.count
            else:
                group.lines.extend(self._encoded(item))
                group.count += 1
        self._store(groups)

    def _encoded(self, item: _Written) -> Iterator[bytes]:
        step = len(item.line) or 1 if item.start_ms else self._options.line_bytes
        for start in range(0, max(len(item.line), 1), step):
            text = item.line[start : start + step].decode(errors="replace")
            line = LogLine(
                at_ms=item.at_ms, stream=item.stream, request_id=item.request_id, line=text, start_ms=item.start_ms
            )
            yield encode_line(line)

    def _store(self, groups: dict[str, _Group]) -> None:
        options = self._options
        for function, group in groups.items():
            try:
                files = LogFiles(self._root, function)
                for data in _chunks(group.lines, min(_CHUNK_BYTES, options.segment_bytes)):
                    files.append(data, segment_bytes=options.segment_bytes, segments=options.segments)
            except Exception:
                self._lost(function, group)
            else:
                self._failing = False
                self._tell(function)

    def _lost(self, function: str, group: _Group) -> None:
        if not self._failing:
            _log.exception("a function's log cannot be written", action="logs.write_failed", function=function)
        self._failing = True
        if not self._stop.is_set():
            with self._lock:  # told when the next line comes: trying at once again would spin
                self._miss(function, group.last_ms, group.count)


def _notice(missing: _Missing) -> bytes:
    text = f"{missing.count} lines are missing here: they came faster than the disk took them"
    return encode_line(LogLine(at_ms=missing.at_ms, stream="platform", request_id="", line=text))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which lines a reader asked for."""

    since_ms: int
    request_id: str | None

    def among(self, raw_lines: Iterable[bytes]) -> Iterator[LogLine]:
        for record in self._decoded(raw_lines):
            yield from filter(self._includes, spelt_out(record))

    def among_newest_first(self, raw_lines: Iterable[bytes]) -> Iterator[LogLine]:
        """Stops well before `since_ms`: lines are in order, but for those of instances side by side."""
        for record in self._decoded(raw_lines):
            if record.at_ms < self.since_ms - _SLACK_MS:
                return
            yield from filter(self._includes, reversed(spelt_out(record)))

    def _decoded(self, raw_lines: Iterable[bytes]) -> Iterator[LogLine]:
        needle = b"" if self.request_id is None else self.request_id.encode()
        for raw in raw_lines:
            # told without decoding: most lines of a long log are other requests'
            line = decode_line(raw) if needle in raw else None
            if line is not None:
                yield line

    def _includes(self, line: LogLine) -> bool:
        return line.at_ms >= self.since_ms and self.request_id in (None, line.request_id)


def _perform(order: _Order) -> None:
    try:
        order.act()
    except Exception as error:
        order.error = error
    order.done.set()


def _chunks(lines: Iterable[bytes], most: int) -> Iterator[bytes]:
    chunk: list[bytes] = []
    size = 0
    for line in lines:
        if chunk and size + len(line) > most:
            yield b"".join(chunk)
            chunk, size = [], 0
        chunk.append(line)
        size += len(line)
    if chunk:
        yield b"".join(chunk)
