"""The demo: a scikit-learn handler deployed, called cold and warm, watched falling asleep and waking; nothing stays.

Everything goes through what a user has: the `torpor` command and HTTP. It ends with 0 only if every step went well and
this machine is afterwards as it was: no process, mount, cgroup or temporary path more.
"""
# ruff: noqa: INP001, T201 — a program to be run, whose output is its point

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from footprint import Footprint, adopt_orphans, descendants, take_footprint

from torpor.settings import environment
from torpor.testing.serving import CommandFailed, RunningServer, ServerFailed, running_server

EXAMPLE = Path(__file__).parents[1] / "examples" / "regression"
KEEP_ALIVE_S = 2.0  # the default is 60; a demo should not make anyone wait that long for sleep
WARM_CALLS = 20
WHOLE_DEMO_BOUND_S = 900


class DemoFailed(Exception):
    """A step did not do what it should."""


@dataclass(frozen=True)
class Call:
    """One answered request: its latency as the client saw it, and what torpor says about it in headers."""

    latency_ms: float
    headers: dict[str, str]
    answer: dict[str, Any]

    @property
    def start(self) -> str:
        return self.headers["x-torpor-start"]

    def figure(self, name: str) -> float:
        return float(self.headers[f"x-torpor-{name}"])


def ask(server: RunningServer, *arguments: str) -> Any:
    return json.loads(server.torpor(*arguments, "--json"))


def instances(server: RunningServer) -> int:
    now = ask(server, "describe", "regression")["instances"]
    return int(now["idle"]) + int(now["busy"])


def post(connection: http.client.HTTPConnection, path: str, table: bytes) -> Call:
    """Send the table; the answer must be a success."""
    began = time.perf_counter()
    connection.request("POST", path, table, {"content-type": "application/json"})
    response = connection.getresponse()
    body = response.read()
    latency_ms = (time.perf_counter() - began) * 1000
    if response.status != http.HTTPStatus.OK:
        raise DemoFailed(f"POST {path} answered {response.status}: {body[:500]!r}")
    return Call(latency_ms, {name.lower(): value for name, value in response.getheaders()}, json.loads(body))


def wait_until(what: str, holds: Callable[[], bool], bound_s: float) -> float:
    """Look every 50 ms until it holds; returns the seconds that took."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > bound_s:
            raise DemoFailed(f"{what}: not within {bound_s:.0f} s")
        time.sleep(0.05)
    return time.monotonic() - began


def say(step: str, text: str) -> None:
    print(f"  {step:<12}{text}", flush=True)


def row(step: str, *cells: str) -> None:
    say(step, "".join(f"{cell:>12}" for cell in cells))


def show(step: str, call: Call) -> None:
    init = f"{call.figure('init-ms'):,.0f} ms" if call.start != "warm" else "–"
    row(
        step,
        call.start,
        f"{call.latency_ms:,.1f} ms",
        init,
        f"{call.figure('duration-ms'):,.1f} ms",
        f"{call.figure('billed-ms'):,.0f} ms",
        f"{call.figure('max-memory-mb'):,.0f} MB",
    )


def deploy(server: RunningServer) -> str:
    """Deploy the example with a public address; returns the path to post to."""
    began = time.monotonic()
    server.torpor("deploy", EXAMPLE, "--public")
    say(
        "deploy",
        f"regression is active after {time.monotonic() - began:.1f} s: dependencies resolved, locked, installed",
    )
    wait_until("no instance before the first call", lambda: instances(server) == 0, 30)
    return "/fn/regression/"


def call_cold_and_warm(connection: http.client.HTTPConnection, path: str) -> None:
    table = (EXAMPLE / "diabetes.json").read_bytes()
    rows = json.loads(table)
    cold = post(connection, path, table)
    first = ", ".join(f"{value:.1f}" for value in cold.answer["prediction"][:4])
    say("post", f"{len(rows)} rows x {len(rows[0])} columns to {path}")
    say("answer", f"score {cold.answer['score']:.4f}, {len(cold.answer['prediction'])} predictions: {first}, …\n")
    row("", "start", "latency", "init", "duration", "billed", "memory")
    show("cold", cold)
    if cold.start == "warm":
        raise DemoFailed("the first call found an instance that should not have been there")
    warm = [post(connection, path, table) for _ in range(WARM_CALLS)]
    if any(call.start != "warm" or call.answer != cold.answer for call in warm):
        raise DemoFailed("a repeated call was not answered by the warm instance, or answered otherwise")
    show("warm", sorted(warm, key=lambda call: call.latency_ms)[WARM_CALLS // 2])


def sleep_and_wake(server: RunningServer, connection: http.client.HTTPConnection, path: str) -> None:
    awake = len(descendants(server.process.pid))
    waited = wait_until("scaled to zero", lambda: instances(server) == 0, KEEP_ALIVE_S + 30)
    asleep = len(descendants(server.process.pid))
    woken = post(connection, path, (EXAMPLE / "diabetes.json").read_bytes())
    show("woken", woken)
    if woken.start == "warm":
        raise DemoFailed("the function was said to sleep, but its instance was there")
    print()
    say(
        "asleep",
        f"in between: 0 instances {waited:.1f} s after the last call; {awake} processes of torpor's became {asleep}",
    )


def show_usage(server: RunningServer) -> None:
    calls = WARM_CALLS + 2
    wait_until("every call in the ledger", lambda: ask(server, "usage")["total"]["invocations"] == calls, 5)
    print()
    for line in server.torpor("usage").rstrip().splitlines():
        print(f"  {line}")


def demonstrate(folder: Path) -> None:
    began = time.monotonic()
    temporary = folder / "tmp"
    temporary.mkdir()
    variables = environment() | {"TMPDIR": str(temporary)}
    with running_server(folder, environ=variables, keep_alive_s=KEEP_ALIVE_S) as server:
        say("up", f"{server.url} ready after {time.monotonic() - began:.1f} s")
        try:
            walk(server)
        except BaseException:
            print(server.log.read_text(errors="replace")[-4000:], file=sys.stderr)
            raise
    if left := [path.name for path in temporary.iterdir()]:
        raise DemoFailed(f"left in the temporary folder: {', '.join(left)}")


def walk(server: RunningServer) -> None:
    path = deploy(server)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)
    with contextlib.closing(connection):
        call_cold_and_warm(connection, path)
        sleep_and_wake(server, connection, path)
    show_usage(server)


def compare(before: Footprint) -> None:
    """Whatever ends a moment after its parent is given that moment; then the machine must be as it was."""
    with contextlib.suppress(DemoFailed):
        wait_until("clean", lambda: not take_footprint().beyond(before), 5)
    left = take_footprint().beyond(before)
    print()
    if left:
        raise DemoFailed("left behind on this machine:\n  " + "\n  ".join(left))
    say("left over", "nothing: no process, mount, cgroup or temporary path more than before")


def main() -> int:
    signal.alarm(WHOLE_DEMO_BOUND_S)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGALRM, lambda *_: sys.exit("demo: not done within a quarter of an hour"))
    adopt_orphans()
    before = take_footprint()
    print("\ntorpor: linear regression on scikit-learn's diabetes data, from nothing to asleep again\n")
    try:
        with tempfile.TemporaryDirectory(prefix="torpor-demo-") as folder:
            demonstrate(Path(folder))
        compare(before)
    except (DemoFailed, ServerFailed, CommandFailed, OSError, KeyError, http.client.HTTPException) as error:
        print(f"\ndemo: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
