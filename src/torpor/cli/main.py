"""The command line's entrance: commands, exit codes, and errors said in one place."""

from __future__ import annotations

import functools
import io
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer.main import get_command

from torpor import __version__
from torpor.cli import flags, output
from torpor.cli.commands import (
    deploy,
    dev,
    environment,
    functions,
    init,
    invoke,
    keys,
    layer,
    logs,
    secret,
    stack,
    up,
    upkeep,
    usage,
    versions,
)
from torpor.cli.context import ClientOptions, Finding, Measurement, Session, UpFlags
from torpor.cli.failures import INTERRUPTED, PIPE_CLOSED, Failure, WrongUse
from torpor.core.errors import UserError

_COMMANDS: tuple[tuple[str, Callable[..., None]], ...] = (
    ("up", up.up),
    ("init", init.init),
    ("deploy", deploy.deploy),
    ("dev", dev.dev),
    ("invoke", invoke.invoke),
    ("publish", versions.publish),
    ("ls", functions.list_functions),
    ("describe", functions.describe),
    ("logs", logs.logs),
    ("rm", functions.remove),
    ("usage", usage.usage),
    ("env", environment.env),
    ("run", environment.run),
    ("doctor", upkeep.doctor),
    ("gc", upkeep.gc),
)
_GROUPS: tuple[tuple[str, str, tuple[tuple[str, Callable[..., None]], ...]], ...] = (
    (
        "alias",
        "Names that lead to versions of a function.",
        (("set", versions.set_alias), ("ls", versions.list_aliases), ("rm", versions.remove_alias)),
    ),
    (
        "keys",
        "Keys for others: each may do what it was made for, and nothing else.",
        (("create", keys.create), ("ls", keys.list_keys), ("rm", keys.remove)),
    ),
    (
        "stack",
        "Stacks: what was deployed from templates.",
        (("ls", stack.list_stacks), ("describe", stack.describe), ("rm", stack.remove)),
    ),
    (
        "secret",
        "Secrets: values that functions and programs read, sealed where they are kept.",
        (("set", secret.set_secret), ("ls", secret.list_secrets), ("rm", secret.remove)),
    ),
    (
        "layer",
        "Layers: what several functions share, under /opt of each.",
        (("publish", layer.publish), ("ls", layer.list_layers), ("rm", layer.remove)),
    ),
)
# Words after a command's own first argument belong to that other command.
_OTHERS_WORDS = {"run"}
# A paragraph that begins with \b keeps its lines.
_HELP = """Serverless functions and models on your own machine, asleep until called.

\b
Start the server in one terminal:   torpor up
and call a function in another:     torpor init echo
                                    torpor deploy echo
                                    torpor invoke echo

\b
Exit codes: 0 done, 1 the function or its build failed, 2 wrong use,
3 the server cannot be reached, 4 the server refused.
"""


def run(
    argv: Sequence[str] | None,
    *,
    options: ClientOptions | Callable[[], ClientOptions],
    up: Callable[[UpFlags], int],
    doctor: Callable[[], Sequence[Finding]],
    bench: Callable[[], Sequence[Measurement]],
) -> int:
    """Carry out one command line (None: the process's own) and return its exit code.

    `options` says where the server is, or is called for that once a command asks; `up` runs the server and returns the
    exit code; `doctor` examines the machine, `bench` measures it.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a log's letters may be none of the terminal's
    words = list(sys.argv[1:] if argv is None else argv)
    command = get_command(application(only=words[0] if words else None))
    read_options = options if callable(options) else lambda: options
    session = Session(read_options=read_options, up=up, doctor=doctor, bench=bench)
    try:
        command(words, prog_name="torpor", obj=session)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return 0


def application(only: str | None = None) -> typer.Typer:
    """All commands, or the one named `only` where there is such a one: preparing the others takes longer than most run.

    Help is plain text: Rich's would take longer to import than anything else here.
    """
    app = typer.Typer(
        name="torpor",
        rich_markup_mode=None,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(help=_HELP)(_torpor)
    group = [one for one in _GROUPS if one[0] == only]
    if not group:
        for name, function in [one for one in _COMMANDS if one[0] == only] or _COMMANDS:
            settings = {"allow_interspersed_args": False} if name in _OTHERS_WORDS else {}
            app.command(name, context_settings=settings)(_answering(function))
    if group or only not in dict(_COMMANDS):
        for name, text, commands in group or _GROUPS:
            app.add_typer(_group(text, commands), name=name)
    return app


def _group(text: str, commands: tuple[tuple[str, Callable[..., None]], ...]) -> typer.Typer:
    """Commands that are two words."""
    group = typer.Typer(help=text, rich_markup_mode=None, no_args_is_help=True)
    for name, function in commands:
        group.command(name)(_answering(function))
    return group


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - Typer's callbacks take the value alone
    if wanted:
        output.result(__version__)
        raise typer.Exit


def _torpor(
    *,
    version: Annotated[
        bool, flags.option("--version", callback=_show_version, is_eager=True, text="Print the version and leave.")
    ] = False,
) -> None:
    """What stands before any command."""


def _answering(function: Callable[..., None]) -> Callable[..., None]:
    """The command with its failures said and turned into exit codes."""

    @functools.wraps(function)
    def answered(*args: Any, **kwargs: Any) -> None:
        try:
            function(*args, **kwargs)
            sys.stdout.flush()
        except Failure as failure:
            output.complain(failure.message, code=failure.code, as_json=bool(kwargs.get("as_json")))
            raise typer.Exit(failure.exit_code) from None
        except UserError as error:  # of what the composition root does for us
            output.complain(error.message, code=error.code, as_json=bool(kwargs.get("as_json")))
            raise typer.Exit(WrongUse.exit_code) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # Whoever read us has seen enough. Python would complain once more when it flushes at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(PIPE_CLOSED) from None

    return answered
