"""`torpor usage`: what invocations cost."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from torpor.cli import flags, output
from torpor.cli.connect import connect
from torpor.cli.since import moment

_COLUMNS = ("FUNCTION", "INVOCATIONS", "ERRORS", "COLD", "DURATION", "BILLED", "INIT", "CPU", "GB-S", "MAX MB")


def usage(
    *,
    context: typer.Context,
    name: Annotated[str | None, flags.argument("NAME", "Only this function.")] = None,
    since: Annotated[
        str | None,
        flags.option(metavar="WHEN", text="How long ago (10m, 2h, 7d) or when (2026-01-31). [default: all there is]"),
    ] = None,
    url: flags.Url = None,
    data: flags.Data = None,
    as_json: flags.AsJson = False,
) -> None:
    """Sum up invocations: how many, how long, what is billed.

    Functions that were removed are in it too.
    """
    client = connect(context, url, data)
    start = None if since is None else moment(since, now=time.time())
    summary = client.call("GET", "/_torpor/usage", query={"since": start, "function": name})
    if as_json:
        output.result_json(summary)
        return
    rows = [_row(row, str(row["function"])) for row in summary["rows"]]
    if not rows:
        output.say("nothing was invoked" + (" in that time" if since else " yet"))
        return
    output.table(_COLUMNS, [*rows, _row(summary["total"], "TOTAL")], right=_COLUMNS[1:], footer=True)


def _row(row: dict[str, Any], title: str) -> tuple[str, ...]:
    return (
        title,
        f"{row.get('invocations', 0):,}",
        f"{row.get('errors', 0):,}",
        f"{row.get('cold_starts', 0):,}",
        *(output.elapsed(row.get(key) or 0) for key in ("duration_ms", "billed_ms", "init_ms", "cpu_ms")),
        f"{row.get('gb_seconds') or 0:.3f}",
        f"{row.get('max_memory_mb') or 0:.0f}",
    )
