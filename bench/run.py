"""Runs the benchmarks, or those chosen, and shows their figures beside the design's targets.

    python bench/run.py [--only NAMES] [--peers NAMES|all|none] [--quick] [--json FILE] [--keep]

Figures of different machines or runs do not compare; ratios within a run do.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

from environments import Missing
from harness import BUILT, ROOT, BenchFailed, Plan, Row, Table
from platforms import PLATFORMS
from report import as_json, as_text, keep, machine

from torpor.testing.serving import CommandFailed, ServerFailed

BENCHMARKS = (
    "limits",
    "cold",
    "snapshots",
    "warm",
    "throughput",
    "predict",
    "burst",
    "density",
    "sleeping",
    "dev_loop",
)
_PAGE = ROOT / "docs/benchmarks.md"


def main() -> int:
    chosen = _arguments()
    taken = {**machine(), "load_before": round(os.getloadavg()[0], 1), "quick": chosen.quick}
    tables: dict[str, Table] = {}
    with tempfile.TemporaryDirectory(prefix="torpor-bench-") as folder:
        plan = Plan(folder=Path(folder), quick=chosen.quick, peers=chosen.peers)
        for name in chosen.only:
            tables[name] = _run(name, plan)
            print(as_text(tables[name]), flush=True)
    written = {"machine": taken, "benchmarks": {name: as_json(table) for name, table in tables.items()}}
    chosen.json.parent.mkdir(parents=True, exist_ok=True)
    chosen.json.write_text(json.dumps(written, indent=2, ensure_ascii=False) + "\n")
    print(f"written to {chosen.json}")
    if chosen.keep:
        keep(_PAGE, list(tables.values()), taken)
        print(f"kept in {_PAGE}")
    return int(any("failed" in row.cells for table in tables.values() for row in table.rows))


def _run(name: str, plan: Plan) -> Table:
    """One benchmark; that it failed is a figure too, and does not keep the others from being taken."""
    print(f"… {name}", file=sys.stderr, flush=True)
    began = time.monotonic()
    try:
        table: Table = importlib.import_module(name).measure(plan)
    except (BenchFailed, Missing, ServerFailed, CommandFailed, OSError) as error:
        traceback.print_exc()
        return Table(name, [Row("torpor", {"failed": " ".join(str(error).split())[:500]})])
    print(f"  {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return table


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", type=_names(BENCHMARKS), default=BENCHMARKS, metavar="NAMES", help=", ".join(BENCHMARKS)
    )
    parser.add_argument("--peers", type=_names(tuple(PLATFORMS)), metavar="NAMES", help=", ".join(PLATFORMS))
    parser.add_argument("--quick", action="store_true", help="few calls and no peers: whether it measures, not what")
    parser.add_argument("--json", type=Path, default=BUILT / "figures.json", metavar="FILE")
    parser.add_argument("--keep", action="store_true", help=f"write the tables into {_PAGE.relative_to(ROOT)}")
    chosen = parser.parse_args()
    if chosen.peers is None:
        chosen.peers = () if chosen.quick else tuple(PLATFORMS)
    return chosen


class _names:  # noqa: N801 -- argparse shows it in its messages
    """A list such as `warm,cold`, of names that there are; `all` and `none` are two more."""

    def __init__(self, known: tuple[str, ...]) -> None:
        self._known = known

    def __call__(self, text: str) -> tuple[str, ...]:
        if text in ("all", "none", ""):
            return () if text == "none" else self._known
        names = tuple(text.replace(",", " ").split())
        if unknown := [name for name in names if name not in self._known]:
            raise argparse.ArgumentTypeError(f"no {', '.join(unknown)}; there are: {', '.join(self._known)}")
        return names


if __name__ == "__main__":
    sys.exit(main())
