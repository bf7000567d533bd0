"""`torpor doctor` and `gc`: what the machine allows, and what nothing needs any more."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from torpor.cli import flags, output
from torpor.cli.connect import connect
from torpor.cli.context import Finding, Measurement, Session
from torpor.cli.failures import Failed

_MARKS = {True: ("ok", "green"), False: ("no", "red"), None: ("--", "yellow")}


def doctor(
    *,
    context: typer.Context,
    bench: Annotated[
        bool, flags.option("--bench", text="Measure instead: what a fork, a sandbox, a hop and a commit take here.")
    ] = False,
    as_json: flags.AsJson = False,
) -> None:
    """Say what this machine allows, and how to allow more.

    Needs no server. The exit code is 1 when something is missing.
    """
    session: Session = context.obj
    if bench:
        _measure(session, as_json=as_json)
        return
    findings = list(session.doctor())
    if as_json:
        output.result_json([_plain(finding) for finding in findings])
    else:
        width = max((len(finding.name) for finding in findings), default=0)
        for finding in findings:
            _show(finding, width)
    if any(finding.ok is False for finding in findings):
        raise typer.Exit(Failed.exit_code)


def gc(
    *,
    context: typer.Context,
    url: flags.Url = None,
    data: flags.Data = None,
    as_json: flags.AsJson = False,
) -> None:
    """Free what no function refers to any more.

    That is code that was replaced or removed, environments of dependencies that nothing uses, and the logs of functions
    that are gone.
    """
    client = connect(context, url, data)
    with output.progress("collecting", quiet=as_json):
        freed = client.call("POST", "/_torpor/gc")
    if as_json:
        output.result_json(freed)
        return
    bundles = output.counted(freed["bundles"]["count"], "bundle")
    environments = output.counted(freed["environments"]["count"], "environment")
    logs = output.counted(freed.get("logs", 0), "log")
    output.result(f"freed {output.size(freed['bytes_freed'])}: {bundles}, {environments}, {logs}")


def _plain(finding: Finding) -> dict[str, Any]:
    return {"name": finding.name, "ok": finding.ok, "detail": finding.detail, "remedy": finding.remedy}


def _show(finding: Finding, width: int) -> None:
    mark, colour = _MARKS[finding.ok]
    shown = typer.style(mark, fg=colour, bold=True) if sys.stdout.isatty() else mark
    output.result(f"{shown}  {finding.name:<{width}}  {finding.detail}".rstrip())
    if finding.ok is not True and finding.remedy:
        for line in finding.remedy.splitlines():
            output.result(f"{'':<{width + 6}}{line}")


def _measure(session: Session, *, as_json: bool) -> None:
    with output.progress("measuring", quiet=as_json):
        measured = list(session.bench())
    if as_json:
        output.result_json([_figures(one) for one in measured])
    else:
        columns = ("what", "p50", "p99", "attempts", "")
        rows = [(one.name, _took(one.p50_ms), _took(one.p99_ms), str(one.count), one.detail) for one in measured]
        output.table(columns, rows, right=("p50", "p99", "attempts"))
    if any(one.p50_ms is None for one in measured):
        raise typer.Exit(Failed.exit_code)


def _figures(one: Measurement) -> dict[str, Any]:
    return {"name": one.name, "detail": one.detail, "p50_ms": one.p50_ms, "p99_ms": one.p99_ms, "count": one.count}


def _took(milliseconds: float | None) -> str:
    """Forks and hops take microseconds, which `output.elapsed` would round away."""
    if milliseconds is None:
        return "--"
    return f"{milliseconds * 1000:.0f} µs" if milliseconds < 1 else output.elapsed(milliseconds)
