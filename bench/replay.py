"""What keep-alive costs and saves: a made-up day of arrivals replayed through the node's own policies.

No server runs and nothing is measured: the policies are asked what they would do, some hundred thousand times, so the
figures are the same on every machine. Four kinds of callers share one node: people (a day's tide), batches (bursts),
steady machines, and a crowd of functions that are hardly ever called.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torpor.policy import traces
from torpor.policy.keep_alive import Patience
from torpor.policy.simulate import Modelled, Scene, replay
from torpor.policy.traces import Arrival

HERE = Path(__file__).parent
KEEP_ALIVE_S = (0.0, 10.0, 60.0, 300.0, 900.0)
_GB_HOUR = 1024 * 3600
Made = Callable[..., Iterator[Arrival]]

# how arrivals come, how often in a second, how long a handler takes, how many such functions, MB, start in seconds
_KINDS: tuple[tuple[Made, float, float, int, int, float], ...] = (
    (traces.diurnal, 0.5, 0.05, 4, 256, 0.015),
    (traces.bursty, 10.0, 0.2, 4, 512, 2.0),
    (traces.poisson, 0.2, 0.02, 4, 128, 0.005),
    (traces.poisson, 1 / 1800, 0.1, 300, 192, 0.3),
)


def day(hours: float) -> tuple[list[Modelled], list[Arrival]]:
    """The functions, and all their arrivals in order."""
    models: list[Modelled] = []
    made: list[Iterator[Arrival]] = []
    for kind, per_s, duration_s, count, memory_mb, start_s in _KINDS:
        for _ in range(count):
            made.append(kind(len(models), per_s, duration_s, seed=len(models), until_s=hours * 3600))
            models.append(Modelled(memory_mb=memory_mb, start_s=start_s))
    return models, list(traces.together(made))


def compare(hours: float, memory_mb: int) -> dict[str, Any]:
    """The same day under each keep-alive, with the same memory for all instances together."""
    models, arrivals = day(hours)
    rows = []
    for keep_alive_s in KEEP_ALIVE_S:
        began = time.perf_counter()
        scene = Scene(patience=Patience(freeze_after_s=0.1, keep_alive_s=keep_alive_s), memory_mb=memory_mb)
        report = replay(models, arrivals, scene)
        took_s = time.perf_counter() - began
        rows.append({"keep_alive_s": keep_alive_s, "took_s": round(took_s, 1), **asdict(report)})
    return {"hours": hours, "memory_mb": memory_mb, "functions": len(models), "rows": rows}


def table(result: dict[str, Any]) -> str:
    """For people."""
    names = ("keep alive", "cold", "% cold", "throttled", "evicted", "GB-hours", "idle %", "frozen %", "mean wait")
    widths = (10, 8, 7, 9, 8, 9, 7, 8, 10)
    head = " ".join(f"{name:>{width}}" for name, width in zip(names, widths, strict=True))
    lines = [head]
    for row in result["rows"]:
        total = row["memory_mb_s"] or 1.0
        lines.append(
            f"{row['keep_alive_s']:>8.0f} s {row['cold']:>8} {100 * row['cold'] / max(1, row['served']):>7.2f} "
            f"{row['throttled']:>9} {row['evicted']:>8} {row['memory_mb_s'] / _GB_HOUR:>9.1f} "
            f"{100 * row['idle_mb_s'] / total:>7.1f} {100 * row['frozen_mb_s'] / total:>8.1f} "
            f"{1000 * row['waited_s'] / max(1, row['served']):>7.1f} ms"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--memory-mb", type=int, default=16 * 1024)
    parser.add_argument("--json", type=Path, default=HERE.parent / "build-out/bench/replay.json")
    chosen = parser.parse_args()
    result = compare(chosen.hours, chosen.memory_mb)
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps(result, indent=2) + "\n")
    first = result["rows"][0]
    sys.stdout.write(
        f"{first['arrivals']} arrivals at {result['functions']} functions in {result['hours']:g} hours, "
        f"{result['memory_mb']} MB for all instances\n{table(result)}\n"
    )


if __name__ == "__main__":
    main()
