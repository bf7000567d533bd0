"""What every benchmark needs: servers that surely end, a client with next to no cost of its own, and quantiles."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from torpor.testing.serving import RunningServer

HERE = Path(__file__).parent


class BenchFailed(Exception):
    """A figure could not be taken; no figure is better than a wrong one."""


class Connection:
    """One kept-alive HTTP/1.1 connection. The request is laid out once, so that the client costs a few microseconds."""

    def __init__(self, port: int, method: str, path: str, body: bytes = b"") -> None:
        head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
        self._request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(self) -> tuple[float, dict[str, str], bytes]:
        """Milliseconds from the first byte sent to the last received, the headers (lower-case), and the body."""
        began = time.perf_counter()
        self._socket.sendall(self._request)
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._receive()
        lines = received[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        missing = end + 4 + int(headers.get("content-length", "0")) - len(received)
        while missing > 0:
            received += (chunk := self._receive())
            missing -= len(chunk)
        elapsed = (time.perf_counter() - began) * 1000
        if lines[0].split(" ")[1] != "200":
            raise BenchFailed(f"{lines[0]}: {received[end + 4 : end + 500]!r}")
        return elapsed, headers, received[end + 4 :]

    def _receive(self) -> bytes:
        if not (chunk := self._socket.recv(262144)):
            raise BenchFailed("the server closed the connection")
        return chunk

    def close(self) -> None:
        self._socket.close()


def describe(server: RunningServer, function: str) -> Any:
    """What the server says of a function."""
    request = urllib.request.Request(f"{server.url}/_torpor/functions/{function}")
    request.add_header("authorization", f"Bearer {json.loads((server.data / 'key.json').read_text())['token']}")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def wait_asleep(server: RunningServer, function: str) -> None:
    """Until no instance of it is there."""
    asleep = lambda: sum(describe(server, function)["instances"].values()) == 0  # noqa: E731 — a condition, not a name
    wait_until(asleep, f"{function} does not fall asleep")


@contextlib.contextmanager
def bare_uvicorn(folder: Path) -> Iterator[int]:
    """The same uvicorn, httptools and uvloop answering from its own loop: what HTTP alone costs. Yields the port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "uvicorn", "bare:app", "--app-dir", str(HERE), "--port", str(port)]
    command += ["--log-level", "error", "--no-access-log", "--loop", "uvloop", "--http", "httptools"]
    with (folder / "uvicorn.log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log)
    try:
        wait_until(lambda: _answers(port), "uvicorn does not answer")
        yield port
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def wait_until(holds: Callable[[], bool], otherwise: str, bound_s: float = 60) -> None:
    deadline = time.monotonic() + bound_s
    while not holds():
        if time.monotonic() > deadline:
            raise BenchFailed(otherwise)
        time.sleep(0.02)


def quantiles(samples: list[float]) -> dict[str, float]:
    """Median, 99th percentile (the largest, of fewer than a hundred) and count."""
    ordered = sorted(samples)
    return {
        "p50": round(statistics.median(ordered), 3),
        "p99": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 3),
        "count": len(ordered),
    }


def machine() -> dict[str, Any]:
    """One line about where the figures were taken: they compare within one machine only."""
    return {
        "kernel": platform.release(),
        "python": platform.python_version(),
        "processors": len(os.sched_getaffinity(0)),
        "root": os.geteuid() == 0,
    }
