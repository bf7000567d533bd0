"""`torpor up`: the server itself, in the foreground."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from torpor.cli.context import Auth, Session, UpFlags
from torpor.cli.flags import AsJson, option


def up(
    *,
    context: typer.Context,
    host: Annotated[str | None, option(metavar="ADDRESS", text="Address to listen on. [default: 127.0.0.1]")] = None,
    port: Annotated[
        int | None,
        option(min=0, max=65535, metavar="PORT", text="Port to listen on; 0 takes a free one. [default: 7070]"),
    ] = None,
    data: Annotated[
        Path | None, option(metavar="DIR", text="Data folder; otherwise TORPOR_DATA, or the platform's own.")
    ] = None,
    auth: Annotated[
        Auth | None, option(text="off lets everyone in: for loopback development alone. [default: on]")
    ] = None,
    public_url: Annotated[
        str | None, option(metavar="URL", text="The address by which others reach this server, such as a proxy's.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the server until SIGTERM or Ctrl-C.

    Prints `ready http://HOST:PORT` on standard output once it serves. When told to stop, it finishes what is running
    within a grace period. A second `up` on the same data folder is refused.
    """
    session: Session = context.obj
    flags = UpFlags(host=host, port=port, data=data, auth=auth, public_url=public_url, as_json=as_json)
    raise typer.Exit(session.up(flags))
