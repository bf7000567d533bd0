"""Two hundred first requests at once to one sleeping function that takes a second: all answered, none refused."""

from __future__ import annotations

import shutil
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from harness import (
    HERE,
    BenchFailed,
    Connection,
    Plan,
    Row,
    Table,
    Target,
    at_least,
    instances,
    middle,
    torpor,
    wait_asleep,
)

from torpor.testing.serving import RunningServer

_WORK_S = 1.0


def measure(plan: Plan) -> Table:
    size = plan.count(200, 10)
    folder = plan.place("burst")
    shutil.copytree(HERE / "functions/sleeper", folder / "sleeper")
    with torpor(folder, keep_alive_s=2) as server:
        server.torpor("deploy", folder / "sleeper", "--public", "--memory", "128")
        runs = [_burst(server, size) for _ in range(plan.count(3, 1))]
    rates = [rate for rate, _, _ in runs]
    answered = min(count for _, count, _ in runs)
    cells: dict[str, float | int | str] = {
        "answered": f"{answered} of {size}",
        "instances/s": middle(rates, 0),
        "whole burst s": middle([whole for _, _, whole in runs]),
    }
    target = at_least(statistics.median(rates), 150, "all answered; ≥ 150 instances/s")
    if answered < size:
        target = Target(target.text, met=False)
    note = (
        "`instances/s`: requests ÷ (the last answer − the first request − the second that the handler itself takes). "
        "Every request comes over a connection of its own, from one Python process on the same processors."
    )
    return Table(f"Burst of {size} first requests of 1 s", [Row("torpor", cells, target)], [note])


def _burst(server: RunningServer, size: int) -> tuple[float, int, float]:
    """Instances a second, how many were answered, and seconds of the whole."""
    wait_asleep(server, "sleeper")
    with ThreadPoolExecutor(size) as threads:
        visitors = list(threads.map(lambda _: Connection(server.port, "/fn/sleeper/", b"{}"), range(size)))
        began = time.perf_counter()
        answered = sum(threads.map(_answered, visitors))
        whole = time.perf_counter() - began
    for visitor in visitors:
        visitor.close()
    if not answered:
        raise BenchFailed(f"nobody was answered; {instances(server, 'sleeper')} instances")
    return size / max(whole - _WORK_S, 0.001), answered, whole


def _answered(visitor: Connection) -> bool:
    try:
        visitor.call()
    except (BenchFailed, OSError):
        return False
    return True
