"""Measures what this machine gives any platform, and prints it as JSON: {yardstick: [milliseconds of each attempt]}.

Run as a process of its own by gauge.py: a small one, with nothing in it that would make a fork dearer than it must be.
"""

from __future__ import annotations

import json
import os
import socket
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

_MESSAGE = b"x" * 256


def main() -> NoReturn:
    """`argv`: the folder to commit in, and how many attempts to make of what takes the longest."""
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    json.dump(
        {
            "fork": _repeat(fork, count * 5),
            "start": _repeat(start, count),
            "hop": hops(count * 100),
            "commit": commits(folder, count * 10),
        },
        sys.stdout,
    )
    sys.stdout.flush()
    os._exit(0)


def fork() -> None:
    """A child of a small process that leaves at once, seen to its end."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def start() -> None:
    """A fresh interpreter without site packages, seen to its end."""
    pid = os.posix_spawn(sys.executable, [sys.executable, "-I", "-S", "-c", "pass"], {})
    os.waitpid(pid, 0)


def hops(count: int) -> list[float]:
    """A message to another process over a pair of Unix sockets, and its echo."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        while data := theirs.recv(4096):
            theirs.sendall(data)
        os._exit(0)
    theirs.close()

    def hop() -> None:
        ours.sendall(_MESSAGE)
        ours.recv(4096)

    taken = _repeat(hop, count)
    ours.close()
    os.waitpid(pid, 0)
    return taken


def commits(folder: Path, count: int) -> list[float]:
    """One row, synced to the disk that holds `folder`."""
    database = sqlite3.connect(folder / "commits.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE commits (payload BLOB)")
    taken = _repeat(lambda: database.execute("INSERT INTO commits VALUES (?)", (_MESSAGE,)), count)
    database.close()
    return taken


def _repeat(attempt: Callable[[], object], count: int) -> list[float]:
    """The first attempt is for warming up."""
    attempt()
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        attempt()
        taken.append((time.perf_counter() - began) * 1000)
    return taken
