"""From saving a file to an answer from the new code, under `torpor dev`, dependencies unchanged."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from pathlib import Path

from harness import BenchFailed, Plan, Row, Table, at_most, quantiles, torpor

from torpor.testing.serving import RunningServer

_CODE = "def lambda_handler(event, context):\n    return {version}\n"
_PAUSE_S = 0.3  # between an answer and the next save: nobody types faster


def measure(plan: Plan) -> Table:
    """One function of one file, saved again and again; each answer must be the new code's."""
    folder = plan.place("dev-loop")
    app = folder / "shown" / "app.py"
    app.parent.mkdir()
    app.write_text(_CODE.format(version=0))
    with torpor(folder) as server:
        taken = _saves(app, server, plan.count(40, 5))
    cells: dict[str, float | int | str] = {**quantiles(taken)}
    row = Row("a save, to the new code's answer", cells, at_most(statistics.median(taken), 300, "p50 ≤ 300 ms"))
    return Table("Development loop", [row], ["With its deployment, its instance's start and the call."])


def _saves(app: Path, server: RunningServer, count: int) -> list[float]:
    """Milliseconds of each."""
    with subprocess.Popen(
        [str(server.program), "dev", str(app.parent), "--data", str(server.data), "--json"],
        env=dict(server.environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as loop:
        try:
            _answer(loop)
            return [_save(app, loop, version) for version in range(1, count + 1)]
        finally:
            loop.terminate()


def _save(app: Path, loop: subprocess.Popen[str], version: int) -> float:
    time.sleep(_PAUSE_S)
    began = time.perf_counter()
    app.write_text(_CODE.format(version=version))
    answer = _answer(loop)
    taken = (time.perf_counter() - began) * 1000
    if answer != str(version):
        raise BenchFailed(f"version {version} was saved, and {answer} answered")
    return taken


def _answer(loop: subprocess.Popen[str]) -> str:
    line = loop.stdout.readline() if loop.stdout is not None else ""
    if not line:
        raise BenchFailed("torpor dev ended")
    return str(json.loads(line)["payload"])
