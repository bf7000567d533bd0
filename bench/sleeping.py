"""What functions cost that nobody calls: memory and start-up of the server, and the latency of one among many."""

from __future__ import annotations

import contextlib
import json
import statistics
import time
from pathlib import Path

from harness import EVENT, ROOT, BenchFailed, Connection, Plan, Row, Table, at_most, quantiles, torpor
from sqlalchemy import insert, select

from torpor.store.database import Database
from torpor.store.tables import function_urls, functions
from torpor.testing.serving import RunningServer

_TITLE = "Sleeping functions"
_NAME = "echo"


def measure(plan: Plan) -> Table:
    """One data folder, started again with more and more functions in it."""
    folder, counts = plan.place("sleeping"), [1, 100] if plan.quick else [1, 1000, 10_000]
    with torpor(folder) as server:
        server.torpor("deploy", ROOT / "examples/echo", "--public", "--name", _NAME)
    rows: list[Row] = []
    base_mb, base_s = 0.0, 0.0
    for count in counts:
        _fill(_database(folder), count)
        starts, memories, warm = [], [], []
        for _ in range(plan.count(3, 1)):
            began = time.monotonic()
            with torpor(folder) as server:
                starts.append(time.monotonic() - began)
                memories.append(_resident_mb(server))
                warm += _calls(server, f"{_NAME}-{count - 1}" if count > 1 else _NAME, plan.count(1000, 50))
        start_s, resident = statistics.median(starts), statistics.median(memories)
        cells: dict[str, float | int | str] = {
            "start s": round(start_s, 2),
            "server MB": round(resident, 1),
            "warm p50 ms": quantiles(warm)["p50 ms"],
        }
        if count == 1:
            base_mb, base_s = resident, start_s
            rows.append(Row("1 function", cells))
            continue
        more_mb, more_s = resident - base_mb, start_s - base_s
        cells |= {"more MB": round(more_mb, 1), "more s": round(more_s, 2)}
        met = at_most(max(more_mb / 200, more_s / 2), 1, "< 200 MB and < 2 s more") if count == counts[-1] else None
        rows.append(Row(f"{count} functions", cells, met))
    return Table(_TITLE, rows, ["`warm p50` is that of the last function in the list: flat, where cost is."])


def _database(folder: Path) -> Path:
    found = [path for path in (folder / "data").iterdir() if path.suffix == ".db"]
    if len(found) != 1:
        raise BenchFailed(f"which of these is the database? {found}")
    return found[0]


def _fill(file: Path, count: int) -> None:
    """Bring the data folder to `count` functions, copies of the one that was deployed."""
    with Database(file) as database, database.begin() as connection:
        deployed = dict(connection.execute(select(functions).where(functions.c.name == _NAME)).mappings().one())
        address = dict(connection.execute(select(function_urls).where(function_urls.c.name == _NAME)).mappings().one())
        present = {name for (name,) in connection.execute(select(functions.c.name))}
        names = [name for name in (f"{_NAME}-{number}" for number in range(1, count)) if name not in present]
        if not names:
            return
        connection.execute(insert(functions), [_renamed(deployed, name) for name in names])
        connection.execute(insert(function_urls), [{**address, "name": name} for name in names])


def _renamed(row: dict[str, object], name: str) -> dict[str, object]:
    config = json.loads(str(row["config"]))
    return {**row, "name": name, "config": json.dumps({**config, "name": name})}


def _resident_mb(server: RunningServer) -> float:
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise BenchFailed("the server's memory is not told")


def _calls(server: RunningServer, name: str, count: int) -> list[float]:
    with contextlib.closing(Connection(server.port, f"/fn/{name}/", EVENT)) as connection:
        connection.call()
        return [connection.call()[0] for _ in range(count)]
