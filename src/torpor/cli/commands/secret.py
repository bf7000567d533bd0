"""`torpor secret`: values that functions and programs read. They are never given as words of a command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from torpor.cli import flags, output
from torpor.cli.connect import connect
from torpor.cli.failures import WrongUse

SecretName = Annotated[str, flags.argument("NAME", "The secret's name, such as prod/db.")]


def set_secret(
    *,
    context: typer.Context,
    name: SecretName,
    from_file: Annotated[
        Path | None, flags.option("--from-file", metavar="FILE", text="Take the value from a file, byte by byte.")
    ] = None,
    url: flags.Url = None,
    data: flags.Data = None,
    as_json: flags.AsJson = False,
) -> None:
    """Make a secret, or give it a new value.

    The value is read from standard input, without a newline at its end; a terminal asks for it and does not show it.
    """
    client = connect(context, url, data)
    secret = client.call("PUT", _path(name), body=_value(name, from_file))
    if as_json:
        output.result_json(secret)
    else:
        output.result(f"{secret['name']} is set (version {secret['version']})")


def list_secrets(
    *, context: typer.Context, url: flags.Url = None, data: flags.Data = None, as_json: flags.AsJson = False
) -> None:
    """List the secrets there are, without their values."""
    found = connect(context, url, data).call("GET", "/_torpor/secrets")
    if as_json:
        output.result_json(found)
        return
    rows = [
        (one["name"], one["type"], str(one["version"] or "-"), one["changed"], one["description"])
        for one in found["secrets"]
    ]
    output.table(("name", "type", "version", "changed", ""), rows, right=("version",))


def remove(
    *,
    context: typer.Context,
    name: SecretName,
    url: flags.Url = None,
    data: flags.Data = None,
    as_json: flags.AsJson = False,
) -> None:
    """Remove a secret and all its versions, for good."""
    secret = connect(context, url, data).call("DELETE", _path(name))
    if as_json:
        output.result_json(secret)
    else:
        output.result(f"removed the secret {secret['name']}")


def _path(name: str) -> str:
    if ".." in name.split("/") or not name.strip("/"):
        raise WrongUse(f"{name!r} cannot name a secret: letters, digits and -/_+=.@")
    return f"/_torpor/secrets/{quote(name, safe='/')}"


def _value(name: str, file: Path | None) -> bytes:
    if file is not None:
        try:
            value = file.read_bytes()
        except OSError as error:
            raise WrongUse(f"{file} cannot be read: {error.strerror}") from error
    elif sys.stdin.isatty():
        value = typer.prompt(f"{name}", hide_input=True, err=True).encode()
    else:
        value = sys.stdin.buffer.read()
        value = value.removesuffix(b"\n").removesuffix(b"\r")
    if not value:
        raise WrongUse("the value is empty: write it to standard input, or name a file with --from-file")
    return value
