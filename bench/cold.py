"""Cold starts of an echo and of a scikit-learn regression, byte to byte over HTTP, in the states that there are.

    python bench/cold.py [--json FILE] [--calls N]

A blank ready; only a zygote ready; nothing but the disk's cache. Sandbox, metering and logs on, authentication off;
every call goes to a function that is asleep. Beside them, in the same run, what no start can beat: a fork alone, and
the start of a bare interpreter.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import BenchFailed, Connection, describe, machine, quantiles, wait_asleep, wait_until

from torpor.testing.serving import RunningServer, running_server

ROOT = Path(__file__).parents[1]
KEEP_ALIVE_S = 0.05
REFILLED_S = 0.25  # after the function fell asleep: blanks are made within a few milliseconds of that
BODIES = {"echo": b'{"hello": "world"}', "regression": (ROOT / "examples/regression/diabetes.json").read_bytes()}
# A state is what the server may use: (the setting for zygotes, that for blanks, the depth that a start then reports).
STATES = {"blank": ("true", 2, "zygote"), "zygote": ("true", 0, "zygote"), "spawn": ("false", 0, "spawn")}


def call(server: RunningServer, function: str) -> tuple[float, str]:
    with contextlib.closing(Connection(server.port, "POST", f"/fn/{function}/", BODIES[function])) as connection:
        elapsed, headers, _ = connection.call()
    return elapsed, headers["x-torpor-start"]


def first_after(server: RunningServer, function: str) -> tuple[float, str]:
    wait_asleep(server, function)
    time.sleep(REFILLED_S)
    return call(server, function)


def await_depth(server: RunningServer, function: str, depth: str) -> None:
    """Call until it starts like that: a zygote is built after the first start has told what to load."""
    wait_until(lambda: first_after(server, function)[1] == depth, f"{function} does not start by {depth}")
    first_after(server, function)


def state(folder: Path, name: str, count: int) -> dict[str, list[float]]:
    zygotes, blanks, depth = STATES[name]
    samples: dict[str, list[float]] = {}
    with running_server(folder, "--auth", "off", keep_alive_s=KEEP_ALIVE_S, zygotes=zygotes, blanks=blanks) as server:
        for function in BODIES:
            server.torpor("deploy", ROOT / "examples" / function, "--public")
            await_depth(server, function, depth)
            samples[f"{function}, {name}"] = taken = []
            for _ in range(count):
                elapsed, seen = first_after(server, function)
                if seen != depth:
                    raise BenchFailed(f"{function} started by {seen}: {describe(server, function)['start']}")
                taken.append(elapsed)
            warm = [call(server, function)[0] for _ in range(2)]  # the second finds the first one's instance
            samples.setdefault(f"{function}, warm on a new connection", []).append(warm[1])
    return samples


def fork_alone() -> float:
    began = time.perf_counter()
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return (time.perf_counter() - began) * 1000


def bare_interpreter() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-I", "-S", "-c", ""], check=True)
    return (time.perf_counter() - began) * 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=ROOT / "build-out/bench/cold.json", metavar="FILE")
    parser.add_argument("--calls", type=int, default=50, help="cold calls of each (default 50)")
    parser.add_argument("--states", nargs="+", choices=STATES, default=list(STATES))
    chosen = parser.parse_args()
    samples: dict[str, list[float]] = {"fork alone": [fork_alone() for _ in range(chosen.calls)]}
    samples["bare interpreter"] = [bare_interpreter() for _ in range(chosen.calls)]
    for name in chosen.states:
        with tempfile.TemporaryDirectory(prefix="torpor-bench-") as folder:
            samples |= state(Path(folder), name, chosen.calls)
    report({name: quantiles(taken) for name, taken in samples.items()}, chosen.json)
    return 0


def report(figures: dict[str, dict[str, Any]], file: Path) -> None:
    floor = figures["bare interpreter"]["p50"]
    print(f"{'':36}{'p50 ms':>10}{'p99 ms':>10}{'calls':>8}{'x bare':>9}")
    for name, figure in figures.items():
        figure["ratio"] = round(figure["p50"] / floor, 2)
        print(f"{name:36}{figure['p50']:>10.2f}{figure['p99']:>10.2f}{figure['count']:>8}{figure['ratio']:>9.2f}")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"machine": machine(), "figures_ms": figures}, indent=2) + "\n")
    print(f"\n{machine()}\nwritten to {file}")


if __name__ == "__main__":
    sys.exit(main())
