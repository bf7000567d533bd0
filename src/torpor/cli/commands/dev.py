"""`torpor dev`: every saved change runs at once, with the last event."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from torpor.cli import flags, output
from torpor.cli.commands.deploy import prepared, put, wait_settled
from torpor.cli.commands.invoke import error_text, read_event
from torpor.cli.connect import connect, function_path, segment
from torpor.cli.dev_loop import Answered, Loop, follow_log, happenings, here

_PLATFORM = ("START ", "END ", "REPORT ", "INIT_START ")


def dev(
    *,
    context: typer.Context,
    path: Annotated[Path, flags.argument("PATH", "A folder or a Python file.")],
    name: Annotated[
        str | None, flags.option(metavar="NAME", text="The function's name. [default: the folder's or file's]")
    ] = None,
    payload: Annotated[
        str | None,
        flags.option(
            "-d",
            "--payload",
            metavar="JSON|@FILE|-",
            text="The first event, or a file that holds it. [default: {}]",
        ),
    ] = None,
    runtime: Annotated[str | None, flags.option(metavar="RUNTIME", text="Such as python3.12.")] = None,
    handler: Annotated[str | None, flags.option(metavar="MODULE.FUNCTION", text="[default: looked for]")] = None,
    env: Annotated[
        list[str] | None, flags.option(metavar="KEY=VALUE", text="An environment variable; may be repeated.")
    ] = None,
    reach: Annotated[
        list[str] | None,
        flags.option(metavar="HOST:PORT", text='What it may connect to, or "*" for the web; may be repeated.'),
    ] = None,
    url: flags.Url = None,
    data: flags.Data = None,
    as_json: flags.AsJson = False,
) -> None:
    """Deploy at every save, and call the function again with the last event.

    Enter or r calls it again, JSON calls it with that event, q leaves; what the function logs is shown as it comes.
    Errors name the file and line on this machine. The function stays deployed.
    """
    client = connect(context, url, data)
    path = path.resolve()
    given: dict[str, Any] = {"name": name, "runtime": runtime, "handler": handler, "reach": tuple(reach or ()) or None}
    event = read_event(payload)
    called, _, _ = prepared(path, given, env or [])
    folder = path.parent if path.is_file() else path
    stop = threading.Event()

    def deploy() -> None:
        _, config, archive = prepared(path, given, env or [])
        wait_settled(client, called, put(client, called, config, archive), quiet=True)

    def call(sent: bytes) -> Answered:
        began = time.monotonic()
        target = f"/2015-03-31/functions/{segment(called)}/invocations"
        answer = client.request("POST", target, body=sent, headers={"content-type": "application/json"})
        client.check(answer)
        return Answered(
            answer.body,
            answer.headers.get("x-amz-function-error", ""),
            answer.headers.get("x-torpor-start", ""),
            (time.monotonic() - began) * 1000,
            None,
        )

    def show(answered: Answered) -> None:
        if as_json:
            output.result_json(
                {
                    "payload": answered.payload.decode(errors="replace"),
                    "function_error": answered.fault or None,
                    "start": answered.start,
                    "call_ms": round(answered.took_ms, 1),
                    "since_save_ms": None if answered.since_ms is None else round(answered.since_ms, 1),
                }
            )
            sys.stdout.flush()
            return
        if answered.fault:
            output.complain(here(error_text(answered.payload, answered.fault), folder), code=answered.fault)
        else:
            output.result_bytes(answered.payload if answered.payload.endswith(b"\n") else answered.payload + b"\n")
        after = "" if answered.since_ms is None else f" · {output.elapsed(answered.since_ms)} after the save"
        output.say(typer.style(f"{answered.start or 'warm'} · {output.elapsed(answered.took_ms)}{after}", dim=True))

    def show_line(entry: dict[str, Any]) -> None:
        line = str(entry["line"]).rstrip("\r\n")
        if not as_json and not line.startswith(_PLATFORM):
            output.say(typer.style(output.printable(here(line, folder), sys.stderr), dim=True))

    if not as_json:
        output.say(f"watching {path}: Enter or r calls {called} again, JSON calls it with that event, q leaves")
    follow_log(client, function_path(called, below="logs"), stop, show_line)
    try:
        Loop(deploy=deploy, call=call, event=event, show=show).run(happenings(path, stop))
    finally:
        stop.set()
