"""`torpor publish` and `torpor alias`: versions that stay, and names that lead to them."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from torpor.cli import flags, output
from torpor.cli.connect import connect, function_path
from torpor.cli.failures import Failed, Refused, WrongUse

if TYPE_CHECKING:
    from torpor.cli.client import Client

ASKED_EVERY_S = 0.05
_NOT_FOUND = 404
Alias = Annotated[str, flags.argument("ALIAS", "The alias, such as live.")]


def publish(
    *,
    context: typer.Context,
    name: flags.Name,
    description: Annotated[str | None, flags.option(metavar="TEXT", text="What is special about this version.")] = None,
    alias: Annotated[str | None, flags.option(metavar="ALIAS", text="Let this alias lead to the version.")] = None,
    url: flags.Url = None,
    data: flags.Data = None,
    as_json: flags.AsJson = False,
) -> None:
    """Make a version of a function as it is now, and print its number.

    A function that did not change since its last version gets no new one.
    """
    client = connect(context, url, data)
    version = published(client, name, description=description)
    if alias is not None:
        lead(client, name, alias, version["Version"], {})
    if as_json:
        output.result_json(version)
        return
    output.result(version["Version"])


def set_alias(
    *,
    context: typer.Context,
    name: flags.Name,
    alias: Alias,
    version: Annotated[str, flags.argument("VERSION", "A version's number, or $LATEST.")],
    weight: Annotated[
        str | None,
        flags.option(metavar="VERSION=SHARE", text="Send a share (0 to 1) of the calls to another version: 3=0.1."),
    ] = None,
    url: flags.Url = None,
    data: flags.Data = None,
    as_json: flags.AsJson = False,
) -> None:
    """Let an alias lead to a version: how one goes live, and how it is rolled back."""
    moved = lead(connect(context, url, data), name, alias, version, _weights(weight))
    if as_json:
        output.result_json(moved)
    else:
        output.say(f"{name}:{alias} leads to {_leads_to(moved)}")


def list_aliases(
    *,
    context: typer.Context,
    name: flags.Name,
    url: flags.Url = None,
    data: flags.Data = None,
    as_json: flags.AsJson = False,
) -> None:
    """List a function's aliases."""
    found = aliases_of(connect(context, url, data), name)
    if as_json:
        output.result_json(found)
    elif found:
        output.table(("ALIAS", "VERSION"), [(one["Name"], _leads_to(one)) for one in found])
    else:
        output.say(f"{name} has no aliases yet: `torpor alias set {name} live VERSION` makes one")


def remove_alias(
    *,
    context: typer.Context,
    name: flags.Name,
    alias: Alias,
    url: flags.Url = None,
    data: flags.Data = None,
    as_json: flags.AsJson = False,
) -> None:
    """Remove an alias, and its URL with it. The version stays."""
    client = connect(context, url, data)
    path = _path(name, f"aliases/{_alias(alias)}")
    client.call("GET", path)  # to say so where there is none
    client.call("DELETE", path)
    if as_json:
        output.result_json({"removed": f"{name}:{alias}"})
    else:
        output.say(f"removed {name}:{alias}")


def published(client: Client, name: str, *, description: str | None = None) -> dict[str, Any]:
    """A version of the function as it stands, once it is ready. Raises Failed where it does not get so."""
    body = {} if description is None else {"Description": description}
    version: dict[str, Any] = client.call("POST", _path(name, "versions"), body=json.dumps(body).encode())
    while version["State"] == "Pending":
        time.sleep(ASKED_EVERY_S)
        version = client.call("GET", _path(name, "configuration"), query={"Qualifier": version["Version"]})
    if version["State"] == "Failed":
        raise Failed(
            f"{name}:{version['Version']} was not built: {version.get('StateReason', '')}",
            code=version.get("StateReasonCode", "BuildFailed"),
        )
    return version


def lead(client: Client, name: str, alias: str, version: str, weights: dict[str, float]) -> dict[str, Any]:
    """Move the alias, or make it."""
    wanted = {"FunctionVersion": version, "RoutingConfig": {"AdditionalVersionWeights": weights}}
    try:
        path = _path(name, f"aliases/{_alias(alias)}")
        client.call("GET", path)
    except Refused as refusal:
        if refusal.status != _NOT_FOUND:
            raise
        made: dict[str, Any] = client.call(
            "POST", _path(name, "aliases"), body=json.dumps({"Name": alias, **wanted}).encode()
        )
        return made
    moved: dict[str, Any] = client.call("PUT", path, body=json.dumps(wanted).encode())
    return moved


def aliases_of(client: Client, name: str) -> list[dict[str, Any]]:
    """All aliases of a function, page after page."""
    return _pages(client, _path(name, "aliases"), "Aliases")


def versions_of(client: Client, name: str) -> list[dict[str, Any]]:
    """`$LATEST` and all versions of a function, page after page."""
    return _pages(client, _path(name, "versions"), "Versions")


def resolved(client: Client, name: str, qualifier: str) -> str:
    """The version that a qualifier stands for; of an alias with weights, the first."""
    found: dict[str, Any] = client.call("GET", _path(name, "configuration"), query={"Qualifier": qualifier})
    return str(found["Version"])


def _pages(client: Client, path: str, key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    marker: str | None = None
    while True:
        page = client.call("GET", path, query={"Marker": marker})
        found += page[key]
        marker = page.get("NextMarker")
        if not marker:
            return found


def _path(name: str, below: str) -> str:
    function_path(name)  # raises WrongUse for what can name no function
    return f"/2015-03-31/functions/{name}/{below}"


def _alias(alias: str) -> str:
    if not alias.isascii() or not alias.replace("-", "").replace("_", "").isalnum() or alias.isdigit():
        raise WrongUse(f"'{alias}' is not an alias's name: letters, digits, - and _, and not a number alone")
    return alias


def _weights(text: str | None) -> dict[str, float]:
    if text is None:
        return {}
    version, equals, share = text.partition("=")
    try:
        if version and equals:
            return {version: float(share)}
    except ValueError:
        pass
    raise WrongUse(f"--weight takes VERSION=SHARE, such as 3=0.1, not '{text}'")


def _leads_to(alias: dict[str, Any]) -> str:
    weights = (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights") or {}
    rest = "".join(f", {share:.0%} to {version}" for version, share in weights.items())
    return f"{alias['FunctionVersion']}{rest}"
