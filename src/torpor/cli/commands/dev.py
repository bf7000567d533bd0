"""`torpor dev`: every saved change runs at once, with the last event."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from torpor.cli import flags, output
from torpor.cli.commands.deploy import prepared, put, wait_settled
from torpor.cli.commands.invoke import error_text, read_event
from torpor.cli.connect import connect, function_path, segment
from torpor.cli.debugging import LONGEST_S, debugged, write_launch
from torpor.cli.dev_loop import Answered, Loop, follow_log, happenings, here

if TYPE_CHECKING:
    from torpor.cli.client import Client

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
    debug: Annotated[
        bool, flags.option("--debug", text="Let the editor's debugger in, and write its launch configuration.")
    ] = False,
    debug_port: Annotated[
        int, flags.option(min=1024, max=65535, metavar="PORT", text="Where the editor listens. [default: 5678]")
    ] = 5678,
    url: flags.Url = None,
    data: flags.Data = None,
    as_json: flags.AsJson = False,
) -> None:
    """Run every saved change at once, with the last event.

    Enter or r calls it again, JSON calls it with that event, q leaves; what the function logs is shown as it comes.
    Errors name the file and line on this machine. The function stays deployed.
    """
    client = connect(context, url, data)
    given: dict[str, Any] = {"name": name, "runtime": runtime, "handler": handler, "reach": tuple(reach or ()) or None}
    bench = Bench(client, path.resolve(), given, env or [], debug_port=debug_port if debug else 0, as_json=as_json)
    stop = threading.Event()
    bench.begin(stop)
    loop = Loop(deploy=bench.deploy, call=bench.call, event=read_event(payload), show=bench.show)
    try:
        loop.run(happenings(bench.path, stop))
    finally:
        stop.set()


class Bench:
    """One function under development: how it is deployed and called, and how what comes of it is shown."""

    def __init__(
        self, client: Client, path: Path, given: dict[str, Any], env: list[str], *, debug_port: int, as_json: bool
    ) -> None:
        self._client = client
        self.path = path
        self._given = given
        self._env = env
        self._debug_port = debug_port
        self._as_json = as_json
        self._folder = path.parent if path.is_file() else path
        self._name = prepared(path, given, env)[0]
        if debug_port:
            client.answer_s = LONGEST_S

    def begin(self, stop: threading.Event) -> None:
        """Say what is done, and show the function's log from now on."""
        if self._debug_port:
            output.say(write_launch(self._folder, self._name, self._debug_port))
        if not self._as_json:
            output.say(
                f"watching {self.path}: Enter or r calls {self._name} again, JSON calls it with that event, q leaves"
            )
            follow_log(self._client, function_path(self._name, below="logs"), stop, self._show_line)

    def deploy(self) -> None:
        """Put the code on the server, and wait until it runs. Raises Failure."""
        name, config, archive = prepared(self.path, self._given, self._env)
        if self._debug_port:
            config |= debugged(config, self._debug_port)
        wait_settled(self._client, name, put(self._client, name, config, archive), quiet=True, checked=False)

    def call(self, event: bytes) -> Answered:
        """Invoke the function. Raises Failure."""
        began = time.monotonic()
        target = f"/2015-03-31/functions/{segment(self._name)}/invocations"
        answer = self._client.request("POST", target, body=event, headers={"content-type": "application/json"})
        self._client.check(answer)
        took_ms = (time.monotonic() - began) * 1000
        fault, start = answer.headers.get("x-amz-function-error", ""), answer.headers.get("x-torpor-start", "")
        return Answered(answer.body, fault, start, took_ms, None)

    def show(self, answered: Answered) -> None:
        """Print an answer, or an error with the places on this machine."""
        if self._as_json:
            self._show_json(answered)
            return
        if answered.fault:
            output.complain(here(error_text(answered.payload, answered.fault), self._folder), code=answered.fault)
        else:
            output.result_bytes(answered.payload if answered.payload.endswith(b"\n") else answered.payload + b"\n")
        after = "" if answered.since_ms is None else f" · {output.elapsed(answered.since_ms)} after the save"
        output.say(typer.style(f"{answered.start or 'warm'} · {output.elapsed(answered.took_ms)}{after}", dim=True))

    def _show_json(self, answered: Answered) -> None:
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

    def _show_line(self, entry: dict[str, Any]) -> None:
        line = str(entry["line"]).rstrip("\r\n")
        if not line.startswith(_PLATFORM):
            output.say(typer.style(output.printable(here(line, self._folder), sys.stderr), dim=True))
