"""Echoes a second at 32 connections beside bare uvicorn's, and where the processor time of one goes."""

from __future__ import annotations

import statistics

from harness import (
    EVENT,
    ROOT,
    Plan,
    Row,
    Table,
    at_least,
    bare_uvicorn,
    children,
    load,
    middle,
    torpor,
    tree,
    wake,
)

_CONNECTIONS = 32


def measure(plan: Plan) -> Table:
    """Pairs of runs, one beside the other; the ratio is the median of the pairs'."""
    folder, seconds = plan.place("throughput"), plan.seconds(4)
    pairs: list[tuple[dict[str, float], dict[str, float]]] = []
    with torpor(folder) as server, bare_uvicorn(folder) as bare:
        server.torpor("deploy", ROOT / "examples/echo", "--public")
        wake(server, "echo", EVENT, _CONNECTIONS)
        for _ in range(plan.count(5, 2)):
            floor = load(bare, "/", EVENT, connections=_CONNECTIONS, seconds=seconds)
            pairs.append((floor, _torpor(server.process.pid, server.port, seconds)))
    ratios = [ours["per_second"] / floor["per_second"] for floor, ours in pairs]
    target = at_least(statistics.median(ratios), 0.25, "≥ 0.25 × uvicorn")
    rows = [
        _row("bare uvicorn", [floor for floor, _ in pairs], [1.0]),
        _row("torpor", [ours for _, ours in pairs], ratios),
    ]
    rows[1] = Row(rows[1].name, rows[1].cells, target)
    split = " · ".join(
        f"{part} {statistics.median(ours[part] for _, ours in pairs):.0f} µs" for part in ("server", "instances")
    )
    return Table(
        "Warm echo at 32 connections",
        rows,
        [
            f"Processor time of one invocation: {split}.",
            "`client µs`: what the load generator itself used for a request; `client busy`: of one processor.",
        ],
    )


def _torpor(pid: int, port: int, seconds: float) -> dict[str, float]:
    """A run, with the processor time that the server and everything below it used for one request."""
    watch = {"server": [pid], "instances": [one for child in children(pid) for one in tree(child)]}
    return load(port, "/fn/echo/", EVENT, connections=_CONNECTIONS, seconds=seconds, watch=watch)


def _row(name: str, runs: list[dict[str, float]], ratios: list[float]) -> Row:
    cells: dict[str, float | int | str] = {
        "requests/s": middle([one["per_second"] for one in runs], 0),
        "p50 ms": round(statistics.median(one["p50_ms"] for one in runs), 2),
        "p99 ms": round(statistics.median(one["p99_ms"] for one in runs), 2),
        "x uvicorn": middle(ratios),
        "client µs": round(statistics.median(one["client_us"] for one in runs), 1),
        "client busy": round(statistics.median(one["client_busy"] for one in runs), 2),
    }
    return Row(name, cells)
