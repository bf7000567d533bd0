"""How options and arguments are written, and those that many commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def option(*names: str, text: str, **more: Any) -> Any:
    """An option whose help says itself what happens without it."""
    return typer.Option(*names, help=text, show_default=False, **more)


def argument(metavar: str, text: str) -> Any:
    """An argument; `metavar` is how the help calls it."""
    return typer.Argument(metavar=metavar, help=text, show_default=False)


Name = Annotated[str, argument("NAME", "The function's name.")]
Qualified = Annotated[str, argument("NAME", "The function's name, with or without :VERSION or :ALIAS.")]
Url = Annotated[
    str | None,
    option("--url", metavar="URL", text="The server's address; otherwise TORPOR_URL, or the data folder's record."),
]
Data = Annotated[
    Path | None,
    option("--data", metavar="DIR", text="The server's data folder; otherwise TORPOR_DATA, or the platform's own."),
]
AsJson = Annotated[bool, option("--json", text="Print JSON on standard output.")]
