"""A run's tables for people, as JSON, and as the page that is kept in the documentation."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import Row, Table

_BEGIN, _END = "<!-- figures: written by `make bench KEEP=1` -->\n", "<!-- end of figures -->\n"


def machine() -> dict[str, Any]:
    """What the figures depend on: they compare within one machine only. Nothing here tells whose machine it is."""
    return {
        "processor": _processor(),
        "processors": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "root": os.geteuid() == 0,
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def machine_line(taken: dict[str, Any]) -> str:
    rights = "root" if taken["root"] else "no root"
    return (
        f"{taken['processor']}, {taken['processors']} processors, {taken['memory_gb']} GB, Linux {taken['kernel']}, "
        f"Python {taken['python']}, {rights}; load average before the run {taken['load_before']}"
    )


def as_text(table: Table) -> str:
    columns = _columns(table)
    lines = [["", *columns], *(_line(row, columns) for row in table.rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(lines[0]))]
    shown = ["  ".join(_aligned(cell, width, at) for at, (cell, width) in enumerate(zip(line, widths, strict=True)))
             for line in lines]  # fmt: skip
    notes = [f"  {note}" for note in table.notes]
    return "\n".join([table.title, *(line.rstrip() for line in shown), *notes, ""])


def as_markdown(table: Table) -> str:
    columns = _columns(table)
    head = [f"### {table.title}", "", f"| | {' | '.join(columns)} |", f"| --- |{' ---: |' * len(columns)}"]
    rows = [f"| {' | '.join(_line(row, columns))} |" for row in table.rows]
    notes = ["", *table.notes] if table.notes else []
    return "\n".join([*head, *rows, *notes, ""])


def as_json(table: Table) -> dict[str, Any]:
    return {
        "title": table.title,
        "rows": [
            {
                "name": row.name,
                "figures": dict(row.cells),
                "target": row.target and {"text": row.target.text, "met": row.target.met},
            }
            for row in table.rows
        ],
        "notes": table.notes,
    }


def keep(page: Path, tables: Sequence[Table], taken: dict[str, Any]) -> None:
    """Put the figures where the page has those of the last run."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    after = rest.partition(_END)[2]
    body = "\n".join([machine_line(taken), "", *(as_markdown(table) for table in tables)])
    page.write_text(f"{before}{_BEGIN}\n{body}\n{_END}{after}", encoding="utf-8")


def _columns(table: Table) -> list[str]:
    """In the order in which rows name them; the target stands beside its figures."""
    names = list(dict.fromkeys(name for row in table.rows for name in row.cells))
    return [*names, "target"] if any(row.target for row in table.rows) else names


def _line(row: Row, columns: Sequence[str]) -> list[str]:
    cells = {**row.cells, "target": _verdict(row)}
    return [row.name, *(str(cells.get(column, "")) for column in columns)]


def _verdict(row: Row) -> str:
    if row.target is None:
        return ""
    return f"{row.target.text}: {'met' if row.target.met else 'NOT met'}"


def _aligned(cell: str, width: int, at: int) -> str:
    return cell.rjust(width) if at else cell.ljust(width)
