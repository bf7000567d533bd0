"""`torpor ls`, `describe` and `rm`: what is deployed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from torpor.cli import flags, output
from torpor.cli.commands.versions import aliases_of, versions_of
from torpor.cli.connect import connect, function_path, split
from torpor.cli.failures import Refused

if TYPE_CHECKING:
    from torpor.cli.client import Client

_PAGE = 200
_LABELS = {"memory_mb": "memory", "timeout_s": "timeout", "tmp_mb": "tmp", "url_auth": "url auth"}
_UNITS = {"memory_mb": " MB", "timeout_s": " s", "tmp_mb": " MB", "keep_alive_s": " s"}


def list_functions(
    *,
    context: typer.Context,
    name: Annotated[str | None, flags.argument("[NAME]", "List this function's versions instead.")] = None,
    url: flags.Url = None,
    data: flags.Data = None,
    as_json: flags.AsJson = False,
) -> None:
    """List the functions, or the versions of one."""
    client = connect(context, url, data)
    if name is not None:
        _list_versions(client, name, as_json=as_json)
        return
    functions = list(all_functions(client))
    if as_json:
        output.result_json(functions)
    elif functions:
        columns = ("NAME", "STATE", "RUNTIME", "MEMORY", "TIMEOUT", "IDLE", "BUSY", "ADDRESS")
        output.table(columns, [_row(one) for one in functions], right=("MEMORY", "TIMEOUT", "IDLE", "BUSY"))
    else:
        output.say("no functions yet: `torpor deploy PATH` makes one, `torpor init` writes one to start from")


def describe(
    *,
    context: typer.Context,
    name: flags.Qualified,
    url: flags.Url = None,
    data: flags.Data = None,
    as_json: flags.AsJson = False,
) -> None:
    """Show everything about one function or version."""
    client = connect(context, url, data)
    base, qualifier = split(name)
    description = client.call("GET", function_path(base), query={"qualifier": qualifier})
    if as_json:
        output.result_json(description)
        return
    told = {_LABELS.get(key, key.replace("_", " ")): _shown(key, value) for key, value in description.items()}
    told = {key: output.printable(value, sys.stdout) for key, value in told.items() if value}
    width = max(len(key) for key in told)
    for key, value in told.items():
        indented = value.replace("\n", "\n" + " " * (width + 2))
        output.result(f"{key:<{width}}  {indented}")


def remove(
    *,
    context: typer.Context,
    names: Annotated[list[str], flags.argument("NAME", "The functions to remove, or NAME:VERSION.")],
    url: flags.Url = None,
    data: flags.Data = None,
    as_json: flags.AsJson = False,
) -> None:
    """Remove functions. What they alone used is freed by `torpor gc`."""
    client = connect(context, url, data)
    removed = []
    for name, (base, qualifier) in [(name, split(name)) for name in names]:
        try:
            if qualifier is None:
                client.call("DELETE", function_path(base))
            else:
                client.call("DELETE", f"/2015-03-31/functions/{base}", query={"Qualifier": qualifier})
        except Refused as refusal:  # the others are to go all the same
            output.complain(refusal.message, code=refusal.code, as_json=as_json)
            continue
        removed.append(name)
        if not as_json:
            output.say(f"removed {name}")
    if as_json:
        output.result_json({"removed": removed})
    if len(removed) < len(names):
        raise typer.Exit(Refused.exit_code)


def all_functions(client: Client) -> Iterator[dict[str, Any]]:
    """Every function's description, page after page."""
    after: str | None = None
    while True:
        page = client.call("GET", "/_torpor/functions", query={"after": after, "limit": _PAGE})
        yield from page["functions"]
        after = page.get("next")
        if after is None:
            return


def _list_versions(client: Client, name: str, *, as_json: bool) -> None:
    versions, aliases = versions_of(client, name), aliases_of(client, name)
    if as_json:
        output.result_json(versions)
        return
    rows = [
        (
            one["Version"],
            one["State"],
            ", ".join(alias["Name"] for alias in aliases if alias["FunctionVersion"] == one["Version"]),
            one["LastModified"][:19].replace("T", " "),
            one["Description"],
        )
        for one in versions
    ]
    output.table(("VERSION", "STATE", "ALIASES", "MADE", "DESCRIPTION"), rows)


def _row(description: dict[str, Any]) -> tuple[str, ...]:
    instances = description.get("instances") or {}
    state = str(description.get("state", ""))
    if description.get("update_status") == "InProgress" and state == "Active":
        state = "Active (updating)"
    elif description.get("update_status") == "Failed" and state == "Active":
        state = "Active (update failed)"
    return (
        str(description.get("name", "")),
        state,
        str(description.get("runtime", "")),
        f"{description.get('memory_mb', '')} MB",
        f"{description.get('timeout_s', '')} s",
        str(instances.get("idle", 0)),
        str(instances.get("busy", 0)),
        str(description.get("url") or description.get("invoke_url") or ""),
    )


def _shown(key: str, value: Any) -> str:
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, dict):
        return ", ".join(f"{name} {inner}" for name, inner in value.items())
    if isinstance(value, list):
        return ", ".join(str(inner) for inner in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return output.size(value) if key == "code_size" else f"{value}{_UNITS.get(key, '')}"
