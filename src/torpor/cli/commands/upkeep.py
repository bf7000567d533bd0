"""`torpor doctor` and `gc`: what the machine allows, and what nothing needs any more."""

from __future__ import annotations

import sys
from typing import Any

import typer

from torpor.cli import flags, output
from torpor.cli.connect import connect
from torpor.cli.context import Finding, Session
from torpor.cli.failures import Failed

_MARKS = {True: ("ok", "green"), False: ("no", "red"), None: ("--", "yellow")}


def doctor(*, context: typer.Context, as_json: flags.AsJson = False) -> None:
    """Say what this machine allows, and how to allow more.

    Needs no server. The exit code is 1 when something is missing.
    """
    session: Session = context.obj
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
