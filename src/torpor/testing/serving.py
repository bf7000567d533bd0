"""A real `torpor up` for the length of a `with` block: for tests of functions, for the demo and for benchmarks.

with running_server(folder, keep_alive_s=5) as server:
server.torpor("deploy", "my_function", "--public")
urlopen(f"{server.url}/fn/my_function/")
"""

from __future__ import annotations

import selectors
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from torpor.settings import environment

_READY_WITHIN_S = 60
_LEAVES_WITHIN_S = 60  # longer than the default grace period
_COMMAND_WITHIN_S = 900


class ServerFailed(Exception):
    """`torpor up` did not get ready, or did not leave; the message has the end of what it wrote."""


class CommandFailed(Exception):
    """A command of torpor's ended with something other than 0; the message has what it wrote."""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that is ready. `log` is the file with its standard error."""

    process: subprocess.Popen[bytes]
    url: str
    data: Path
    log: Path
    program: Path
    environ: Mapping[str, str]

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 80

    def torpor(self, *arguments: str | Path) -> str:
        """Run a command of torpor's against this server; returns its standard output. Raises CommandFailed."""
        variables = {**self.environ, "TORPOR_DATA": str(self.data), "TORPOR_URL": self.url}
        command = [str(word) for word in (self.program, *arguments)]
        done = subprocess.run(
            command, env=variables, capture_output=True, text=True, timeout=_COMMAND_WITHIN_S, check=False
        )
        if done.returncode:
            said = f"{done.stdout}{done.stderr}".strip()
            raise CommandFailed(f"`torpor {' '.join(command[1:])}` ended with {done.returncode}:\n{said}")
        return done.stdout


@contextmanager
def running_server(
    folder: Path,
    *flags: str,
    program: Path | None = None,
    environ: Mapping[str, str] | None = None,
    **settings: object,
) -> Iterator[RunningServer]:
    """`torpor up` on a free port with its data and log in `folder`; whatever happens inside, it has ended afterwards.

    `settings` become `TORPOR_*` variables; `program` is the command to run, by default the one beside this interpreter.
    Raises ServerFailed.
    """
    program = program or Path(sys.executable).with_name("torpor")
    environ = environment() if environ is None else environ
    data, log = folder / "data", folder / "up.log"
    variables = {**environ, **{f"TORPOR_{name.upper()}": str(value) for name, value in settings.items()}}
    command = [str(program), "up", "--port", "0", "--data", str(data), *flags]
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=sink, env=variables)
    try:
        yield RunningServer(process, _ready(process, log), data, log, program, environ)
    finally:
        _end(process, log)


def _ready(process: subprocess.Popen[bytes], log: Path) -> str:
    """The address it says it serves at."""
    line = ""
    if process.stdout is not None:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            line = process.stdout.readline().decode() if selector.select(_READY_WITHIN_S) else ""
    word, _, url = line.strip().partition(" ")
    if word != "ready":
        raise ServerFailed(f"`torpor up` did not get ready: {line!r}\n{_last(log)}")
    return url


def _end(process: subprocess.Popen[bytes], log: Path) -> None:
    """Let it leave in its orderly way; where it does not, end it, and say so."""
    process.terminate()
    try:
        process.wait(_LEAVES_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise ServerFailed(f"`torpor up` was still there {_LEAVES_WITHIN_S} s after SIGTERM\n{_last(log)}") from None
    finally:
        if process.stdout:
            process.stdout.close()


def _last(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]
