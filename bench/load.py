"""A load generator: N kept-alive connections, each asking again as soon as it is answered, from one thread.

    python bench/load.py --port 7070 --path /fn/echo/ --body event.json --connections 32 --seconds 5

Requests are laid out once and answers are only framed, not parsed, so that it costs a few microseconds a request; it
says how many (`client_us`), and how busy it was (`client_busy`, of one processor): near 1, it measured itself.
"""

from __future__ import annotations

import argparse
import json
import re
import select
import socket
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked\r\n", re.IGNORECASE)
_STALL_S = 60.0


class LoadFailed(Exception):
    """The server refused, or fell silent."""


class Visitor:
    """One connection with one request under way."""

    def __init__(self, port: int, request: bytes) -> None:
        self._port = port
        self._request = request
        self._received = b""
        self.began = 0.0
        self.answered = False
        self.connect()

    def connect(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self._port), timeout=_STALL_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self) -> None:
        self.began = time.perf_counter()
        self.socket.sendall(self._request)

    def hear(self) -> bytes | None:
        """The whole answer once it is there; an empty one when the server hung up."""
        data = self.socket.recv(1 << 18)
        if not data:
            return b""
        received = self._received + data if self._received else data
        if is_whole(received):
            self._received = b""
            return received
        self._received = received
        return None


def is_whole(received: bytes) -> bool:
    """Whether an HTTP/1.1 answer is complete. Raises LoadFailed where its head says no length."""
    head = received.find(b"\r\n\r\n")
    if head < 0:
        return False
    found = _LENGTH.search(received, 0, head + 2)
    if found:
        return len(received) >= head + 4 + int(found[1])
    if _CHUNKED.search(received, 0, head + 2):
        return received.endswith(b"0\r\n\r\n")
    raise LoadFailed(f"an answer without a length: {received[:200]!r}")


@dataclass(slots=True)
class Count:
    """What has been measured since everybody was warm."""

    latencies: list[float] = field(default_factory=list)
    failed: int = 0
    reconnects: int = 0


class Crowd:
    """The connections of one run."""

    def __init__(self, port: int, request: bytes, size: int) -> None:
        self._poll = select.epoll()
        self._visitors: dict[int, Visitor] = {}
        for _ in range(size):
            self._admit(Visitor(port, request))

    def _admit(self, visitor: Visitor) -> None:
        self._visitors[visitor.socket.fileno()] = visitor
        self._poll.register(visitor.socket, select.EPOLLIN)
        visitor.ask()

    def warm_up(self, seconds: float) -> None:
        """Ask for at least so long, and until everybody was answered: instances may have to be started first."""
        began = time.perf_counter()
        while time.perf_counter() < began + seconds or any(not one.answered for one in self._visitors.values()):
            if time.perf_counter() > began + _STALL_S:
                raise LoadFailed(f"not everybody was answered within {_STALL_S:g} s")
            self.turn(Count())

    def turn(self, count: Count) -> None:
        """Take what has come, and ask again. Raises LoadFailed when nothing comes."""
        events = self._poll.poll(_STALL_S)
        if not events:
            raise LoadFailed(f"no answer within {_STALL_S:g} s")
        for number, _ in events:
            visitor = self._visitors[number]
            answer = visitor.hear()
            if answer:
                count.latencies.append(time.perf_counter() - visitor.began)
                count.failed += answer[9:12] != b"200"
                visitor.answered = True
                visitor.ask()
            elif answer is not None:  # a server may end a connection that it kept alive: no error, and not free
                count.reconnects += 1
                del self._visitors[number]
                visitor.socket.close()
                visitor.connect()
                self._admit(visitor)

    def leave(self) -> None:
        for visitor in self._visitors.values():
            visitor.socket.close()


def run(port: int, request: bytes, connections: int, seconds: float, warm_s: float = 0.5) -> dict[str, float]:
    """Requests per second and latencies, counted after everybody is warm. Raises LoadFailed."""
    crowd = Crowd(port, request, connections)
    crowd.warm_up(warm_s)
    count = Count()
    print("warm", flush=True)
    began, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() < began + seconds:
        crowd.turn(count)
    elapsed, busy_s = time.perf_counter() - began, time.process_time() - cpu
    crowd.leave()
    ordered = sorted(count.latencies)
    if not ordered:
        raise LoadFailed("no request was answered in time")
    return {
        "requests": len(ordered),
        "failed": count.failed,
        "reconnects": count.reconnects,
        "per_second": len(ordered) / elapsed,
        "p50_ms": statistics.median(ordered) * 1000,
        "p99_ms": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1000,
        "client_us": busy_s / len(ordered) * 1e6,
        "client_busy": busy_s / elapsed,
    }


def layout(port: int, method: str, path: str, body: bytes, headers: list[str]) -> bytes:
    """One request as bytes."""
    lines = [f"{method} {path} HTTP/1.1", f"host: 127.0.0.1:{port}", f"content-length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--method", default="POST")
    parser.add_argument("--path", default="/")
    parser.add_argument("--body", type=Path)
    parser.add_argument("--header", action="append", default=[])
    parser.add_argument("--connections", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=5.0)
    chosen = parser.parse_args()
    body = chosen.body.read_bytes() if chosen.body else b""
    headers = chosen.header or ["content-type: application/json"]
    request = layout(chosen.port, chosen.method, chosen.path, body, headers)
    try:
        print(json.dumps(run(chosen.port, request, chosen.connections, chosen.seconds)))
    except (LoadFailed, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
