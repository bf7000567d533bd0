"""The machine's own limits, measured as `torpor doctor --bench` does: no platform is faster than these."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from harness import BenchFailed, Plan, Row, Table


def measure(plan: Plan) -> Table:
    command = [str(Path(sys.executable).with_name("torpor")), "doctor", "--bench", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise BenchFailed(f"doctor --bench: {done.stderr.strip()[-500:]}")
    rows = [
        Row(
            f"{one['name']}: {one['detail']}",
            {"p50 ms": one["p50_ms"], "p99 ms": one["p99_ms"], "count": one["count"]},
        )
        for one in json.loads(done.stdout)
    ]
    del plan
    return Table("What the machine gives", rows)
