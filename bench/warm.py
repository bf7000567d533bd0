"""Cold and warm latency of an echo and of a scikit-learn regression, beside bare uvicorn's echo, in one run.

    python bench/warm.py [--json FILE] [--warm N] [--cold N]

One connection, sandbox, metering and logs on, authentication off. Warm calls of torpor and of uvicorn alternate in
rounds, so that a machine that changes its speed changes it for both.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from harness import BenchFailed, Connection, bare_uvicorn, machine, quantiles, wait_asleep

from torpor.testing.serving import RunningServer, running_server

ROOT = Path(__file__).parents[1]
EVENT = b'{"hello": "world"}'
ROUNDS = 10
KEEP_ALIVE_S = 0.3


def warm_in_turn(calls: dict[str, tuple[int, str, bytes]], count: int) -> dict[str, list[float]]:
    """Milliseconds of `count` calls each, taken in turn, after a tenth as many that do not count."""
    with contextlib.ExitStack() as stack:
        open_ = {
            name: stack.enter_context(contextlib.closing(Connection(port, "POST", path, body)))
            for name, (port, path, body) in calls.items()
        }
        samples: dict[str, list[float]] = {name: [] for name in calls}
        for connection in open_.values():
            for _ in range(max(1, count // 10)):
                connection.call()
        for _ in range(ROUNDS):
            for name, connection in open_.items():
                samples[name] += [connection.call()[0] for _ in range(max(1, count // ROUNDS))]
    return samples


def cold(server: RunningServer, function: str, body: bytes, count: int) -> tuple[list[float], str]:
    """Milliseconds of first calls, each after the function fell asleep, and the depth that they started from."""
    samples, depth = [], ""
    for _ in range(count):
        wait_asleep(server, function)
        with contextlib.closing(Connection(server.port, "POST", f"/fn/{function}/", body)) as connection:
            elapsed, headers, _ = connection.call()
        depth = headers["x-torpor-start"]
        if depth == "warm":
            raise BenchFailed(f"{function} was not asleep")
        samples.append(elapsed)
    return samples, depth


def measure(folder: Path, warm_count: int, cold_count: int) -> dict[str, Any]:
    table = (ROOT / "examples/regression/diabetes.json").read_bytes()
    with running_server(folder, "--auth", "off", keep_alive_s=KEEP_ALIVE_S) as server, bare_uvicorn(folder) as bare:
        for function in ("echo", "regression"):
            server.torpor("deploy", ROOT / "examples" / function, "--public")
        figures: dict[str, Any] = {}
        for function, body in (("echo", EVENT), ("regression", table)):
            samples, depth = cold(server, function, body, cold_count)
            figures[f"{function}, cold ({depth})"] = quantiles(samples)
        calls = {
            "bare uvicorn, echo": (bare, "/", EVENT),
            "echo, warm": (server.port, "/fn/echo/", EVENT),
        }
        warm = warm_in_turn(calls, warm_count)
        warm |= warm_in_turn({"regression, warm": (server.port, "/fn/regression/", table)}, max(10, warm_count // 10))
    figures |= {name: quantiles(samples) for name, samples in warm.items()}
    floor = figures["bare uvicorn, echo"]["p50"]
    return {name: {**figure, "ratio": round(figure["p50"] / floor, 2)} for name, figure in figures.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=ROOT / "build-out/bench/warm.json", metavar="FILE")
    parser.add_argument("--warm", type=int, default=2000, help="warm calls of each (default 2000)")
    parser.add_argument("--cold", type=int, default=10, help="cold calls of each (default 10)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="torpor-bench-") as folder:
        figures = measure(Path(folder), chosen.warm, chosen.cold)
    print(f"{'':28}{'p50 ms':>10}{'p99 ms':>10}{'calls':>8}{'x uvicorn':>11}")
    for name, figure in figures.items():
        print(f"{name:28}{figure['p50']:>10.3f}{figure['p99']:>10.3f}{figure['count']:>8}{figure['ratio']:>11.1f}")
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps({"machine": machine(), "figures_ms": figures}, indent=2) + "\n")
    print(f"\n{machine()}\nwritten to {chosen.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
