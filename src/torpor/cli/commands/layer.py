"""`torpor layer`: what several functions share, under /opt of each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from torpor.cli import flags, output
from torpor.cli.connect import connect
from torpor.cli.failures import Refused, WrongUse

_LOOKED_AT = {"python", "bin", "lib", "bootstrap"}  # what anything looks at below /opt


def publish(
    *,
    context: typer.Context,
    path: Annotated[Path, flags.argument("PATH", "A folder or a zip, with python/, bin/ or lib/ in it.")],
    name: Annotated[
        str | None, flags.option(metavar="NAME", text="The layer's name. [default: the folder's or the zip's]")
    ] = None,
    description: Annotated[str, flags.option(metavar="TEXT", text="What the layer is for.")] = "",
    license_: Annotated[str, flags.option("--license", metavar="TEXT", text="Its license.")] = "",
    runtime: Annotated[
        list[str] | None,
        flags.option(metavar="RUNTIME", text="What it is made for, such as python3.12; may be repeated."),
    ] = None,
    architecture: Annotated[
        list[str] | None, flags.option(metavar="NAME", text="x86_64 or arm64; may be repeated.")
    ] = None,
    url: flags.Url = None,
    data: flags.Data = None,
    as_json: flags.AsJson = False,
) -> None:
    """Publish a new version of a layer, and print its ARN.

    A function names it in `layers`, in its table or by Lambda's interface. Python modules go into python/, programs
    into bin/, libraries into lib/.
    """
    from torpor.build.pack import pack
    from torpor.cli.source import open_source
    from torpor.core.errors import UserError

    source = open_source(path)
    called = name or source.default_name
    if not called:
        raise WrongUse(f"no name can be made from {path}: give one with --name, of letters, digits, - and _")
    if path.is_dir() and not _LOOKED_AT & {entry.name for entry in path.iterdir()}:
        output.say("warning: nothing is looked at in it: Python modules go into python/, programs into bin/")
    try:
        archive = pack(path)
    except (UserError, OSError) as error:
        raise WrongUse(str(error)) from error
    about = {
        "description": description,
        "license": license_,
        "runtimes": " ".join(runtime or ()),
        "architectures": " ".join(architecture or ()),
    }
    with output.progress(f"uploading {called} ({output.size(len(archive))})", quiet=as_json):
        version = connect(context, url, data).call(
            "PUT",
            f"/_torpor/layers/{quote(called, safe='')}",
            query={key: value for key, value in about.items() if value},
            body=archive,
            headers={"content-type": "application/zip"},
        )
    if as_json:
        output.result_json(version)
    else:
        output.result(version["arn"])


def list_layers(
    *, context: typer.Context, url: flags.Url = None, data: flags.Data = None, as_json: flags.AsJson = False
) -> None:
    """List the layers, every version of each, the newest first."""
    found = connect(context, url, data).call("GET", "/_torpor/layers")
    if as_json:
        output.result_json(found)
        return
    if not found["layers"]:
        output.say("no layers yet: `torpor layer publish PATH` makes one")
        return
    rows = [
        (
            f"{one['name']}:{one['version']}",
            output.size(one["code_size"]),
            output.size(one["unpacked_size"]),
            ", ".join(one["runtimes"]),
            one["created"][:10],
            one["description"],
        )
        for one in found["layers"]
    ]
    output.table(("LAYER", "SIZE", "UNPACKED", "RUNTIMES", "CREATED", "DESCRIPTION"), rows, right=("SIZE", "UNPACKED"))


def remove(
    *,
    context: typer.Context,
    layers: Annotated[list[str], flags.argument("NAME:VERSION", "The versions to remove.")],
    url: flags.Url = None,
    data: flags.Data = None,
    as_json: flags.AsJson = False,
) -> None:
    """Remove layer versions. Functions that use one keep it."""
    named = [_named(text) for text in layers]
    client = connect(context, url, data)
    removed = []
    for name, version in named:
        try:
            removed.append(client.call("DELETE", f"/_torpor/layers/{quote(name, safe='')}/{version}"))
        except Refused as refusal:  # the others are to go all the same
            output.complain(f"{name}:{version}: {refusal.message}", code=refusal.code, as_json=as_json)
            continue
        if not as_json:
            output.say(f"removed {name}:{version}")
    if as_json:
        output.result_json({"removed": removed})
    if len(removed) < len(named):
        raise typer.Exit(Refused.exit_code)


def _named(text: str) -> tuple[str, str]:
    name, _, version = text.rpartition(":")
    name = name.rpartition(":layer:")[2]
    if not name or not (version.isascii() and version.isdigit()):
        raise WrongUse(f"'{text}' names no version of a layer: write NAME:VERSION, such as tools:3, or its ARN")
    return name, version
