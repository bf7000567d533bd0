"""What this machine gives: the time that a fork, an interpreter, a sandbox, a hop and a commit take here."""

from __future__ import annotations

import asyncio
import json
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torpor.core.errors import TorporError
from torpor.runtime.launch import LaunchSpec, Mount, SandboxOptions, open_sandboxes
from torpor.runtime.link import bare_python

_ATTEMPTS = 20
_BOUND_S = 60
_DETAILS = {
    "fork": "a child of a small process, to its end",
    "start": "a bare Python interpreter, to its end",
    "sandbox": "an instance's namespaces, root, limits and door, from order to ready",
    "hop": "256 bytes to another process and back, over a pair of Unix sockets",
    "commit": "one row in SQLite, synced to the data folder's disk",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Milliseconds of `count` attempts; where there were none, `detail` says why."""

    name: str
    detail: str
    p50_ms: float | None
    p99_ms: float | None
    count: int


def gauge(data_dir: Path, attempts: int = _ATTEMPTS) -> list[Measurement]:
    """Measure everything; takes a few seconds. Commits are made beside the data folder, and nothing is left there."""
    place = next(folder for folder in (data_dir.absolute(), *data_dir.absolute().parents) if folder.exists())
    try:
        with tempfile.TemporaryDirectory(prefix=".torpor-gauge-", dir=place) as folder:
            return _measured(Path(folder), attempts)
    except PermissionError:  # not our place: measure on the disk of temporary files
        with tempfile.TemporaryDirectory(prefix="torpor-gauge-") as folder:
            return _measured(Path(folder), attempts)


def _measured(folder: Path, attempts: int) -> list[Measurement]:
    done = subprocess.run(
        bare_python("yardsticks", str(folder), str(attempts)),
        stdout=subprocess.PIPE,
        check=True,
        timeout=_BOUND_S,
        env={},
    )
    samples: dict[str, list[float]] = json.loads(done.stdout)
    try:
        sandbox = _measurement("sandbox", asyncio.run(_sandboxes(folder, attempts)))
    except TorporError as error:
        sandbox = Measurement(name="sandbox", detail=error.message, p50_ms=None, p99_ms=None, count=0)
    measured = {name: _measurement(name, taken) for name, taken in samples.items()} | {"sandbox": sandbox}
    return [measured[name] for name in _DETAILS]


async def _sandboxes(folder: Path, attempts: int) -> list[float]:
    """What the start of an instance takes without a function in it, one after the other."""
    sandboxes = await open_sandboxes(SandboxOptions(data_dir=folder / "data", run_dir=folder / "run"))
    taken = []
    try:
        for _ in range(attempts + 1):
            began = time.perf_counter()
            live = await sandboxes.start(_spec())
            taken.append((time.perf_counter() - began) * 1000)
            await live.close()
    finally:
        await sandboxes.close()
    return taken[1:]


def _spec() -> LaunchSpec:
    mounts = dict.fromkeys((sys.base_prefix, sys.prefix))
    return LaunchSpec(
        instance_id=secrets.token_hex(16),
        argv=(sys.executable, "-I", "-S", "-c", "import signal; signal.pause()"),
        env={},
        cwd="/",
        mounts=tuple(Mount(source=one, target=one) for one in mounts if not Path(one).is_relative_to("/usr")),
    )


def _measurement(name: str, taken: Sequence[float]) -> Measurement:
    ordered = sorted(taken)
    return Measurement(
        name=name,
        detail=_DETAILS[name],
        p50_ms=round(statistics.median(ordered), 4),
        p99_ms=round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 4),
        count=len(ordered),
    )
