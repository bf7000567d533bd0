"""What every benchmark needs: servers that surely end, a client with next to no cost of its own, quantiles, rows."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from load import is_whole, layout

from torpor.testing.serving import RunningServer, running_server

HERE = Path(__file__).parent
ROOT = HERE.parent
BUILT = ROOT / "build-out/bench"
JSON = "content-type: application/json"
EVENT = b'{"hello": "world"}'
_TICKS = os.sysconf("SC_CLK_TCK")
_SET_CHILD_SUBREAPER = 36


class BenchFailed(Exception):
    """A figure could not be taken; no figure is better than a wrong one."""


# ── what a benchmark is given, and what it gives back ───────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run. `peers` are the other platforms to compare with; `folder` is removed afterwards."""

    folder: Path
    quick: bool = False
    peers: tuple[str, ...] = ()

    def count(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    def seconds(self, full: float) -> float:
        return 0.3 if self.quick else full

    def place(self, name: str) -> Path:
        """A folder of its own for a server."""
        place = self.folder / name
        place.mkdir()
        return place


@dataclass(frozen=True, slots=True)
class Target:
    """What the design promises of a row: its words, and whether they came true."""

    text: str
    met: bool


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    cells: Mapping[str, float | int | str]
    target: Target | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A benchmark's figures; the first row names the columns. `notes` say what must be known to read them."""

    title: str
    rows: list[Row]
    notes: list[str] = field(default_factory=list)


def at_most(value: float, bound: float, text: str) -> Target:
    return Target(text, value <= bound)


def at_least(value: float, bound: float, text: str) -> Target:
    return Target(text, value >= bound)


def quantiles(samples: list[float]) -> dict[str, float]:
    """Median, 99th percentile (the largest, of fewer than a hundred) and count, of milliseconds."""
    ordered = sorted(samples)
    return {
        "p50 ms": round(statistics.median(ordered), 3),
        "p99 ms": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 3),
        "calls": len(ordered),
    }


def middle(values: list[float], digits: int = 2) -> str:
    """The median of repeated measurements, and between what they lay."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} – {max(values):.{digits}f})"


# ── clients ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class Connection:
    """One kept-alive HTTP/1.1 connection. The request is laid out once, so that the client costs a few microseconds."""

    def __init__(self, port: int, path: str, body: bytes = b"", headers: tuple[str, ...] = (JSON,)) -> None:
        self._request = layout(port, "POST", path, body, list(headers))
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=120)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(self) -> tuple[float, dict[str, str], bytes]:
        """Milliseconds from the first byte sent to the last received, the headers (lower-case), and the body."""
        began = time.perf_counter()
        self._socket.sendall(self._request)
        received = self._receive()
        while not is_whole(received):
            received += self._receive()
        elapsed = (time.perf_counter() - began) * 1000
        head, _, body = received.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        if lines[0].split(" ")[1] != "200":
            raise BenchFailed(f"{lines[0]}: {body[:500]!r}")
        return elapsed, headers, body if "content-length" in headers else _joined(body)

    def _receive(self) -> bytes:
        if not (chunk := self._socket.recv(262144)):
            raise BenchFailed("the server closed the connection")
        return chunk

    def close(self) -> None:
        self._socket.close()


def _joined(chunked: bytes) -> bytes:
    """The pieces of a chunked body."""
    pieces: list[bytes] = []
    while (size := int(chunked.partition(b"\r\n")[0], 16)) > 0:
        rest = chunked.partition(b"\r\n")[2]
        pieces.append(rest[:size])
        chunked = rest[size + 2 :]
    return b"".join(pieces)


def load(
    port: int, path: str, body: bytes, *, connections: int, seconds: float, watch: Mapping[str, list[int]] | None = None
) -> dict[str, float]:
    """What `connections` clients get out of a server in `seconds`; the generator runs as a process of its own.

    `watch` names groups of processes, whose processor time for one request is added, in µs.
    """
    file = BUILT / f"body-{os.getpid()}"
    BUILT.mkdir(parents=True, exist_ok=True)
    file.write_bytes(body)
    command = [sys.executable, str(HERE / "load.py"), "--port", str(port), "--path", path, "--body", str(file)]
    command += ["--connections", str(connections), "--seconds", str(seconds)]
    groups = watch or {}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as generator:
        try:
            if generator.stdout is not None:
                generator.stdout.readline()  # it says that everybody is warm, or leaves
            before = {name: processor_s(pids) for name, pids in groups.items()}
            said, complaint = generator.communicate(timeout=seconds + 150)
        finally:
            generator.kill()
            file.unlink()
    if generator.returncode:
        raise BenchFailed(f"the load could not be put on {path}: {complaint.strip()[-500:]}")
    answer: dict[str, float] = json.loads(said)
    if answer["failed"]:
        raise BenchFailed(f"{answer['failed']:.0f} of {answer['requests']:.0f} requests to {path} failed")
    for name, pids in groups.items():
        answer[name] = (processor_s(pids) - before[name]) / answer["requests"] * 1e6
    return answer


# ── servers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def torpor(folder: Path, *flags: str, **settings: float) -> Iterator[RunningServer]:
    """`torpor up` without authentication, since the peers have none; sandbox, metering and logs are on."""
    chosen = flags or ("--auth", "off")
    with running_server(folder, *chosen, program=None, environ=None, **settings) as server:
        yield server


@contextlib.contextmanager
def bare_uvicorn(folder: Path) -> Iterator[int]:
    """The same uvicorn, httptools and uvloop answering from its own loop: what HTTP alone costs. Yields the port."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "bare:app", "--app-dir", str(HERE), "--port", str(port)]
    command += ["--log-level", "error", "--no-access-log", "--loop", "uvloop", "--http", "httptools"]
    with process(command, folder / "uvicorn.log") as started:
        wait_until(lambda: accepts(port, started), "uvicorn does not answer")
        yield port


@contextlib.contextmanager
def process(
    command: list[str], log: Path, *, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A server that has ended afterwards, with all it started, also what made itself independent of it."""
    _adopt_orphans()
    before = set(children(os.getpid()))
    with log.open("wb") as sink:
        started = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, env=env, cwd=cwd, start_new_session=True
        )
    try:
        yield started
    finally:
        started.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.wait(20)
        _end_all(before, started)


def _adopt_orphans() -> None:
    """Whatever a peer leaves behind becomes a child of this process, and is found."""
    from torpor.sandbox import libc

    libc.prctl(_SET_CHILD_SUBREAPER, 1)


def _end_all(spared: set[int], started: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while left := set(children(os.getpid())) - spared:
        if time.monotonic() > deadline:
            raise BenchFailed(f"what {started.args!r} started does not end: {sorted(left)}")
        for pid in left:
            for below in tree(pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(below, signal.SIGKILL)
        for pid in left - {started.pid}:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        started.poll()
    started.wait()


def children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    for one in found:
        found += children(one)
    return found


def processor_s(pids: list[int]) -> float:
    """Processor time that these processes, and the children they have buried, have used, in seconds."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / _TICKS


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def accepts(port: int, started: subprocess.Popen[bytes] | None = None) -> bool:
    """Whether somebody listens. Raises BenchFailed when the server has left already."""
    if started is not None and started.poll() is not None:
        raise BenchFailed(f"{started.args!r} left with {started.returncode}")
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def wait_until(holds: Callable[[], bool], otherwise: str, bound_s: float = 60, every_s: float = 0.02) -> None:
    deadline = time.monotonic() + bound_s
    while not holds():
        if time.monotonic() > deadline:
            raise BenchFailed(otherwise)
        time.sleep(every_s)


# ── what torpor says of itself ──────────────────────────────────────────────────────────────────────────────────────


def ask(server: RunningServer, path: str) -> Any:
    """Its own JSON interface, as its owner."""
    request = urllib.request.Request(f"{server.url}{path}")
    request.add_header("authorization", f"Bearer {json.loads((server.data / 'key.json').read_text())['token']}")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def instances(server: RunningServer, function: str) -> int:
    return int(sum(ask(server, f"/_torpor/functions/{function}")["instances"].values()))


def wake(server: RunningServer, function: str, body: bytes, connections: int) -> None:
    """Put the load on until no more instances come up: those still importing would take the processor from the rest."""
    deadline, still, before = time.monotonic() + 240, 0, -1
    while still < 2:
        load(server.port, f"/fn/{function}/", body, connections=connections, seconds=0.5)
        now = int(ask(server, "/_torpor/usage")["total"]["cold_starts"])
        used = processor_s([one for child in children(server.process.pid) for one in tree(child)])
        time.sleep(0.3)  # without load, only who still starts uses the processor
        rest = processor_s([one for child in children(server.process.pid) for one in tree(child)])
        still = still + 1 if now == before and rest - used < 0.1 else 0
        before = now
        if time.monotonic() > deadline:
            raise BenchFailed(f"instances of {function} are still starting")


def wait_asleep(server: RunningServer, function: str) -> None:
    """Until no instance of it is there."""
    wait_until(lambda: instances(server, function) == 0, f"{function} does not fall asleep")
