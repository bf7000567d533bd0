"""Warm scikit-learn instances in a gigabyte: by how much MemAvailable falls while they live."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from environments import Missing, iris_function
from harness import (
    HERE,
    BenchFailed,
    Connection,
    Plan,
    Row,
    Table,
    at_least,
    instances,
    processor_s,
    torpor,
    tree,
    wait_until,
)
from platforms import FLOWER

from torpor.testing.serving import RunningServer

_CALLS = 20
_REST_S = 2.0  # longer than a zygote is put off for more to be learned
_TITLE = "Density: warm scikit-learn instances"


def measure(plan: Plan) -> Table:
    folder, size = plan.place("density"), plan.count(40, 4)
    try:
        function = iris_function(folder)
    except Missing as reason:
        return Table(_TITLE, [Row("torpor", {"missing": str(reason)})])
    shutil.copy(HERE / "functions/dense/app.py", function / "app.py")
    with torpor(folder, keep_alive_s=300) as server:
        server.torpor("deploy", function, "--public", "--name", "dense", "--memory", "512")
        _all_at_once(server, 1, wait_s=0, collect=True)
        wait_until(lambda: _at_rest(server), "the zygote is not built", 180)  # or all others would be spawned
        one_mb, one, one_pss = _available_mb(), instances(server, "dense"), _proportional_mb(server)
        started = time.monotonic()
        _all_at_once(server, size, wait_s=2.0 if plan.quick else 0.05 * size + 2, collect=False)
        wait_until(lambda: instances(server, "dense") >= size, "not every instance came up", 300)
        waking_s = time.monotonic() - started
        for turn in range(_CALLS):
            _all_at_once(server, size, wait_s=0.5, collect=turn == _CALLS - 1)
        many_mb, many, many_pss = _available_mb(), instances(server, "dense"), _proportional_mb(server)
    each = max((one_mb - many_mb) / (many - one), 0.001)
    cells: dict[str, float | int | str] = {
        "instances": many,
        "MB each": round(each, 2),
        "PSS MB each": round((many_pss - one_pss) / (many - one), 2),
        "instances per GB": round(1024 / each),
        "all awake after s": round(waking_s, 1),
    }
    target = at_least(1024 / each, 120, "≥ 120 per GB")
    note = (
        f"Each after {_CALLS} requests and a collection; everything that belongs to an instance is counted, its "
        "server's part and the kernel's too. What else the machine does meanwhile is counted, too: where `PSS` (the "
        "processes' own pages and their share of common ones) is far from it, the machine was not quiet."
    )
    return Table(_TITLE, [Row("torpor", cells, target)], [note])


def _at_rest(server: RunningServer) -> bool:
    before = processor_s(tree(server.process.pid))
    time.sleep(_REST_S)
    return processor_s(tree(server.process.pid)) - before < 0.1


def _all_at_once(server: RunningServer, size: int, *, wait_s: float, collect: bool) -> None:
    """As many requests as instances: the handler waits, so that each falls to another one."""
    body = json.dumps({"features": FLOWER, "wait_s": wait_s, "collect": collect}).encode()

    def call(_: int) -> None:
        connection = Connection(server.port, "/fn/dense/", body)
        connection.call()
        connection.close()

    with ThreadPoolExecutor(size) as threads:
        list(threads.map(call, range(size)))


def _available_mb() -> float:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) / 1024
    raise BenchFailed("/proc/meminfo does not say what is available")


def _proportional_mb(server: RunningServer) -> float:
    """Of the server and everything below it; 0 where we may not look."""
    total = 0
    for pid in tree(server.process.pid):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total / 1024
