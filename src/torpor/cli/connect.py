"""From a command's flags to a client; the client itself is imported when the first command needs one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import typer

from torpor.cli.context import Session
from torpor.cli.failures import WrongUse
from torpor.cli.locate import Server, find_server
from torpor.core.arn import is_function_name

if TYPE_CHECKING:
    from torpor.cli.client import Client


def connect(context: typer.Context, url: str | None, data: Path | None) -> Client:
    """A client of the server that this command line means. Raises Unreachable where there is none to be found."""
    from torpor.cli.client import Client

    return Client(server_of(context, url, data))


def server_of(context: typer.Context, url: str | None, data: Path | None) -> Server:
    """The server that this command line means. Raises Unreachable where there is none to be found."""
    session: Session = context.obj
    return find_server(session.read_options(), url=url, data=data)


def function_path(name: str, *, below: str = "functions") -> str:
    """Where our own interface keeps a function, or with `below` its log. Raises WrongUse for what can name none."""
    if not is_function_name(name):
        raise WrongUse(f"'{name}' is not a function's name: letters, digits, - and _, 64 at most")
    return f"/_torpor/{below}/{name}"


def split(name: str) -> tuple[str, str | None]:
    """NAME or NAME:QUALIFIER in its two parts. Raises WrongUse for what can name none."""
    base, colon, qualifier = name.partition(":")
    if colon and not qualifier:
        raise WrongUse(f"'{name}' names no version: write {base}, {base}:VERSION or {base}:ALIAS")
    function_path(base)
    return base, qualifier or None


def segment(text: str) -> str:
    """`text` as one segment of a path."""
    return quote(text, safe=":$")
