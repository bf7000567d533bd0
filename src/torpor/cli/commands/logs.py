"""`torpor logs`: what a function wrote."""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any

import typer

from torpor.cli import flags, output
from torpor.cli.commands.versions import resolved
from torpor.cli.connect import connect, function_path, split
from torpor.cli.failures import Unreachable
from torpor.cli.since import moment


def logs(
    *,
    context: typer.Context,
    name: flags.Qualified,
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
    """Print what a function wrote, or one of its versions.

    Each line comes with its local time; with --json, each is an object of its own.
    """
    client = connect(context, url, data)
    since_ms = None if since is None else int(moment(since, now=time.time()) * 1000)
    base, qualifier = split(name)
    stream = "" if qualifier is None else f"[{resolved(client, base, qualifier)}]"
    query = {"since_ms": since_ms, "request": request, "limit": None if stream else limit, "follow": int(follow)}
    lines: Iterable[bytes] = client.lines(function_path(base, below="logs"), query=query)
    if stream:
        lines = (line for line in lines if stream in json.loads(line)["stream"])
        lines = lines if limit is None or follow else deque(lines, limit)
    for line in lines:
        output.result(line.decode().rstrip("\n") if as_json else _shown(json.loads(line)))
        if follow:
            sys.stdout.flush()
    if follow:
        raise Unreachable(f"{client.server.url} ended the log: the server is stopping", code="LogEnded")


def _shown(entry: dict[str, Any]) -> str:
    at = datetime.fromtimestamp(entry["at_ms"] / 1000).astimezone().isoformat(sep=" ", timespec="milliseconds")[:23]
    line = output.printable(str(entry["line"]).rstrip("\r\n"), sys.stdout)
    return f"{typer.style(at, dim=True) if sys.stdout.isatty() else at}  {line}"
