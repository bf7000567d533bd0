"""Reads what an instance prints, line by line, no faster than it may print."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from torpor.policy.throttle import Bucket

_CHUNK = 64 * 1024
_DRAIN_AT_MOST = 1024 * 1024  # a pipe holds 64 KiB; who still writes after answering waits for the ordinary reader
MAX_LINE = 256 * 1024  # bytes, Lambda's largest log event; longer lines are split


class Lines:
    """Splits chunks into lines of bounded length."""

    def __init__(self, limit: int = MAX_LINE) -> None:
        self._limit = limit
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes, without their ends."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) >= self._limit:
            lines.append(self._rest)
            self._rest = b""
        return [part for line in lines for part in self._bounded(line)]

    def finish(self) -> list[bytes]:
        """What is left of a line that was never ended."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []

    def _bounded(self, line: bytes) -> list[bytes]:
        if len(line) <= self._limit:
            return [line.removesuffix(b"\r")]
        return [line[at : at + self._limit] for at in range(0, len(line), self._limit)]


class OutputReader:
    """The server's end of an instance's output pipe. `write` gets each line; `rate` and `burst` are bytes."""

    def __init__(self, fd: int, write: Callable[[bytes], None], *, rate: float, burst: float) -> None:
        self._fd = fd
        self._write = write
        self._loop = asyncio.get_running_loop()
        self._lines = Lines()
        self._bucket = Bucket.full(rate, burst, self._loop.time())
        self._pause: asyncio.TimerHandle | None = None
        self._open = True
        self._loop.add_reader(fd, self._readable)

    def drain(self, *, finish: bool = False) -> None:
        """Read what is there, to the last byte; `finish` also writes an unfinished line."""
        taken = 0
        while self._open and taken < _DRAIN_AT_MOST:
            data = self._read()
            if not data:
                break
            taken += len(data)
            self._take(data)
        if finish:
            for line in self._lines.finish():
                self._write(line)

    def close(self) -> None:
        """Stop reading; the descriptor is its owner's to close. Idempotent."""
        if self._open:
            self._open = False
            if self._pause is None:
                self._loop.remove_reader(self._fd)
            else:
                self._pause.cancel()

    def _readable(self) -> None:
        data = self._read()
        if data:
            self._take(data)
            self._hold_back()

    def _read(self) -> bytes:
        try:
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return b""
        if not data:  # every writer is gone
            self.close()
        return data

    def _take(self, data: bytes) -> None:
        self._bucket = self._bucket.spend(len(data), self._loop.time())
        for line in self._lines.feed(data):
            self._write(line)

    def _hold_back(self) -> None:
        """Not reading fills the pipe, and a full pipe makes the writer wait: on its own time."""
        pause = self._bucket.pause_s
        if pause > 0 and self._open:
            self._loop.remove_reader(self._fd)
            self._pause = self._loop.call_later(pause, self._resume)

    def _resume(self) -> None:
        self._pause = None
        self._loop.add_reader(self._fd, self._readable)
