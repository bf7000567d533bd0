"""`torpor keys`: who else may use this server, and for what."""

from __future__ import annotations

import json
from typing import Annotated
from urllib.parse import quote

import typer

from torpor.cli import flags, output
from torpor.cli.connect import connect
from torpor.cli.failures import WrongUse

KeyName = Annotated[str, flags.argument("NAME", "The key's name, such as who it is for.")]


def create(
    *,
    context: typer.Context,
    name: KeyName,
    allow: Annotated[
        list[str],
        flags.option(
            "--allow", metavar="RIGHT", text="What its holder may do: an action such as lambda:InvokeFunction."
        ),
    ],
    function: Annotated[
        list[str] | None,
        flags.option("--function", metavar="PATTERN", text="On which functions only, such as 'spam-*'."),
    ] = None,
    url: flags.Url = None,
    data: flags.Data = None,
    as_json: flags.AsJson = False,
) -> None:
    """Make a key that may do what is allowed, and nothing else.

    Its secret is shown now and never again.
    """
    permissions = [right for entry in allow for right in _bound(entry, function or ())]
    body = json.dumps({"name": name, "permissions": permissions}).encode()
    key = connect(context, url, data).call("POST", "/_torpor/keys", body=body)
    if as_json:
        output.result_json(key)
        return
    output.say(f"{key['name']} may do: {', '.join(key['permissions'])}. The secret is shown only now:")
    output.result(f"export AWS_ACCESS_KEY_ID={key['access_key_id']}")
    output.result(f"export AWS_SECRET_ACCESS_KEY={key['secret_access_key']}")
    output.result(f"export TORPOR_TOKEN={key['token']}")


def list_keys(
    *, context: typer.Context, url: flags.Url = None, data: flags.Data = None, as_json: flags.AsJson = False
) -> None:
    """List the keys there are, without their secrets."""
    found = connect(context, url, data).call("GET", "/_torpor/keys")
    if as_json:
        output.result_json(found)
        return
    columns = ("name", "access key id", "created", "may do")
    rows = [
        (key["name"], key["access_key_id"], key["created"][:10], ", ".join(key["permissions"])) for key in found["keys"]
    ]
    output.table(columns, rows)


def remove(
    *,
    context: typer.Context,
    name: Annotated[str, flags.argument("NAME", "The key's name, or its access key id.")],
    url: flags.Url = None,
    data: flags.Data = None,
    as_json: flags.AsJson = False,
) -> None:
    """Remove a key: whoever holds it is refused from now on, sessions made with it too."""
    key = connect(context, url, data).call("DELETE", f"/_torpor/keys/{quote(name, safe='')}")
    if as_json:
        output.result_json(key)
    else:
        output.result(f"removed the key {key['name']} ({key['access_key_id']})")


def _bound(right: str, functions: tuple[str, ...] | list[str]) -> list[str]:
    """A right as it is, or on these functions only where it says nothing itself; logs have names of their own."""
    if "/" in right or not functions:
        return [right]
    service = right.partition(":")[0]
    if service not in {"lambda", "logs"}:
        raise WrongUse(
            f"--function is for rights on functions, and {right} is none: write the resource behind it, such as "
            f"{right}/NAME"
        )
    prefix = "/aws/lambda/" if service == "logs" else ""
    return [f"{right}/{prefix}{function}" for function in functions]
