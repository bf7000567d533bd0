"""`torpor logs`: what a function wrote."""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime
from typing import Annotated, Any

import typer

from torpor.cli import flags, output
from torpor.cli.connect import connect, function_path
from torpor.cli.failures import Unreachable
from torpor.cli.since import moment


def logs(
    *,
    context: typer.Context,
    name: flags.Name,
    follow: Annotated[
        bool, flags.option("-f", "--follow", text="Go on printing what is written, until Ctrl-C.")
    ] = False,
    since: Annotated[
        str | None,
        flags.option(metavar="WHEN", text="How long ago (90s, 10m, 2h, 7d) or when (2026-01-31T12:00)."),
    ] = None,
    request: Annotated[str | None, flags.option(metavar="ID", text="Only this invocation's lines.")] = None,
    limit: Annotated[int | None, flags.option(min=1, metavar="N", text="At most the last N lines.")] = None,
    url: flags.Url = None,
    data: flags.Data = None,
    as_json: flags.AsJson = False,
) -> None:
    """Print what a function wrote.

    Each line comes with its local time; with --json, each is an object of its own.
    """
    client = connect(context, url, data)
    since_ms = None if since is None else int(moment(since, now=time.time()) * 1000)
    query = {"since_ms": since_ms, "request": request, "limit": limit, "follow": int(follow)}
    for line in client.lines(function_path(name, below="logs"), query=query):
        output.result(line.decode().rstrip("\n") if as_json else _shown(json.loads(line)))
        if follow:
            sys.stdout.flush()
    if follow:
        raise Unreachable(f"{client.server.url} ended the log: the server is stopping", code="LogEnded")


def _shown(entry: dict[str, Any]) -> str:
    at = datetime.fromtimestamp(entry["at_ms"] / 1000).astimezone().isoformat(sep=" ", timespec="milliseconds")[:23]
    line = output.printable(str(entry["line"]).rstrip("\r\n"), sys.stdout)
    return f"{typer.style(at, dim=True) if sys.stdout.isatty() else at}  {line}"
