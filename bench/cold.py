"""Cold starts, HTTP byte to byte, by what was ready: a blank, a zygote alone, or nothing (the first after `up`).

What a call started from is taken from its answer's header; a state that this version of torpor does not have is not
in the table.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import fields
from pathlib import Path

from environments import Missing, iris_function
from harness import (
    EVENT,
    ROOT,
    BenchFailed,
    Connection,
    Plan,
    Row,
    Table,
    Target,
    quantiles,
    torpor,
    wait_asleep,
    wait_until,
)
from platforms import REQUEST

from torpor.settings import ServerSettings
from torpor.testing.serving import RunningServer

_P50_MS = {"echo": 5, "iris": 15}
_NAMES = {"echo": "echo", "iris": "scikit-learn"}
_BOUND_S = 60
_PAUSE_S = 0.25  # between a function's sleep and its next call: time enough to prepare another blank
Samples = dict[tuple[str, str], list[float]]  # (function, what was ready) → milliseconds


def measure(plan: Plan) -> Table:
    folder = plan.place("cold")
    bodies, notes = {"echo": EVENT}, []
    sources = {"echo": ROOT / "examples/echo"}
    if not plan.quick:
        try:
            sources["iris"] = iris_function(folder)
            bodies["iris"] = REQUEST
        except Missing as reason:
            notes.append(f"No scikit-learn: {reason}")
    samples: Samples = {}
    _deploy(folder, sources)
    for _ in range(plan.count(5, 1)):
        _first(folder, bodies, samples)
    for settings in _settings():
        _asleep(folder, bodies, samples, plan.count(60, 4), settings)
    rows = [_row(function, ready, found) for (function, ready), found in sorted(samples.items())]
    return Table("Cold start, byte to byte", rows, notes)


def _settings() -> list[dict[str, float]]:
    """As it is; and, where this version prepares blanks, without any."""
    known = {one.name for one in fields(ServerSettings)}
    return [{}, {"blanks": 0.0}] if "blanks" in known else [{}]


def _deploy(folder: Path, sources: dict[str, Path]) -> None:
    with torpor(folder) as server:
        for name, source in sources.items():
            server.torpor("deploy", source, "--public", "--name", name)


def _first(folder: Path, bodies: dict[str, bytes], samples: Samples) -> None:
    """Each function's first call after `up`."""
    for function, body in bodies.items():
        with torpor(folder) as server:
            elapsed, depth = _call(server, function, body)
            samples.setdefault((function, f"nothing: first after up ({depth})"), []).append(elapsed)


def _asleep(folder: Path, bodies: dict[str, bytes], samples: Samples, count: int, settings: dict[str, float]) -> None:
    """Calls that wake a function; the first ones teach the server what is hot, and do not count."""
    lead = 3
    with torpor(folder, keep_alive_s=0.1, **settings) as server:
        for function, body in bodies.items():
            end = time.monotonic() + _BOUND_S
            for turn in range(count + lead):
                if time.monotonic() > end and turn >= lead + 5:
                    break  # where each takes seconds, fewer have to do
                elapsed, depth = _call(server, function, body)
                wait_asleep(server, function)
                _settle()
                if turn >= lead:
                    ready = _ready(depth, blanks=settings.get("blanks") != 0)
                    samples.setdefault((function, ready), []).append(elapsed)


def _ready(depth: str, *, blanks: bool) -> str:
    if depth == "zygote" and not blanks:
        return "a zygote alone (zygote)"
    return {"spawn": "an environment alone (spawn)", "zygote": "a blank or a zygote (zygote)"}.get(depth, depth)


def _settle() -> None:
    with contextlib.suppress(BenchFailed):
        wait_until(lambda: False, "", _PAUSE_S)


def _call(server: RunningServer, function: str, body: bytes) -> tuple[float, str]:
    with contextlib.closing(Connection(server.port, f"/fn/{function}/", body)) as connection:
        elapsed, headers, _ = connection.call()
    if headers["x-torpor-start"] == "warm":
        raise BenchFailed(f"{function} was not asleep")
    return elapsed, headers["x-torpor-start"]


def _row(function: str, ready: str, found: list[float]) -> Row:
    figures = quantiles(found)
    target = None
    if not ready.startswith(("nothing", "a zygote alone")):
        bound = _P50_MS[function]
        met = figures["p50 ms"] <= bound and figures["p99 ms"] <= 4 * figures["p50 ms"]
        target = Target(f"p50 ≤ {bound} ms, p99 ≤ 4 × p50", met)
    return Row(f"{_NAMES[function]} · {ready}", figures, target)
