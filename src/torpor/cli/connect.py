"""From a command's flags to a client; the client itself is imported when the first command needs one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import typer

from torpor.cli.context import Session
from torpor.cli.locate import Server, find_server

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


def function_path(name: str) -> str:
    """Where our own interface keeps a function."""
    return f"/_torpor/functions/{segment(name)}"


def segment(text: str) -> str:
    """`text` as one segment of a path."""
    return quote(text, safe=":$")
