"""`torpor deploy`: a folder, a file or a zip becomes a function."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from torpor.cli import flags, output
from torpor.cli.commands.versions import lead, published
from torpor.cli.connect import connect, function_path
from torpor.cli.context import Session
from torpor.cli.deploying import put, wait_settled
from torpor.cli.failures import WrongUse
from torpor.cli.hints import curl_line, own_name
from torpor.cli.sam.names import is_template

if TYPE_CHECKING:
    from torpor.cli.project import Table
    from torpor.cli.source import Source

__all__ = ["deploy", "prepared", "put", "wait_settled"]


def deploy(
    *,
    context: typer.Context,
    path: Annotated[Path, flags.argument("PATH", "A folder, a Python file or a zip; or a template of AWS SAM.")],
    name: Annotated[
        str | None, flags.option(metavar="NAME", text="The function's name. [default: the folder's or file's]")
    ] = None,
    runtime: Annotated[
        str | None,
        flags.option(
            metavar="RUNTIME",
            text="Such as python3.12, or provided.al2023. [default: the Python that runs this command]",
        ),
    ] = None,
    handler: Annotated[
        str | None,
        flags.option(
            metavar="MODULE.FUNCTION",
            text="[default: lambda_function.lambda_handler, app.lambda_handler, or the only file's]",
        ),
    ] = None,
    memory: Annotated[int | None, flags.option(min=1, metavar="MB", text="Memory in MB. [default: 1024]")] = None,
    timeout: Annotated[
        int | None, flags.option(min=1, metavar="SECONDS", text="The longest an invocation may take. [default: 60]")
    ] = None,
    env: Annotated[
        list[str] | None, flags.option(metavar="KEY=VALUE", text="An environment variable; may be repeated.")
    ] = None,
    reach: Annotated[
        list[str] | None,
        flags.option(metavar="HOST:PORT", text='What it may connect to, or "*" for the web; may be repeated.'),
    ] = None,
    public: Annotated[
        bool | None,
        flags.option(
            "--public/--no-public", text="Open the function's URL to everyone, or close it. [default: as it is]"
        ),
    ] = None,
    source_builds: Annotated[
        bool, flags.option("--source-builds", text="Allow packages without a wheel: they are built in a sandbox.")
    ] = False,
    alias: Annotated[
        str | None,
        flags.option(metavar="ALIAS", text="Publish a version of what was deployed, and let this alias lead to it."),
    ] = None,
    no_wait: Annotated[
        bool, flags.option("--no-wait", text="Return once the code is accepted, without waiting for the build.")
    ] = False,
    stack: Annotated[
        str | None, flags.option(metavar="NAME", text="A template's stack. [default: the name of its folder]")
    ] = None,
    parameter: Annotated[
        list[str] | None, flags.option(metavar="KEY=VALUE", text="A template's parameter; may be repeated.")
    ] = None,
    dry_run: Annotated[
        bool, flags.option("--dry-run", "--plan", text="Show what a template would change, and change nothing.")
    ] = False,
    yes: Annotated[bool, flags.option("--yes", "-y", text="Apply a template's plan without asking.")] = False,
    partial: Annotated[
        bool, flags.option("--partial", text="Deploy what is supported of a template, and leave out the rest.")
    ] = False,
    url: flags.Url = None,
    data: flags.Data = None,
    as_json: flags.AsJson = False,
) -> None:
    """Deploy a function, or a whole application from its template.

    Of a function, the address is printed.

    Settings come from these flags, then from `torpor.toml`, `[tool.torpor]` in pyproject.toml or in the file's PEP 723
    block. The server installs the dependencies named in requirements.txt, pyproject.toml or the PEP 723 block.
    """
    given = {"name": name, "runtime": runtime, "handler": handler, "memory": memory, "timeout": timeout,
             "public": public, "reach": tuple(reach or ()) or None, "source_builds": source_builds or None}  # fmt: skip
    words = {**given, "env": env, "alias": alias, "no_wait": no_wait}
    choice = {"stack": stack, "parameters": tuple(parameter or ()), "dry_run": dry_run, "yes": yes, "partial": partial}
    if is_template(path):
        _refuse_words(words, "is for a single function: a template says it itself")
        _deploy_template(context, path, choice, url, data, as_json=as_json)
        return
    _refuse_words(choice, "is for a template")
    if alias is not None and no_wait:
        raise WrongUse("--alias does not go with --no-wait: only what is ready can be published")
    client = connect(context, url, data)
    called, config, archive = prepared(path, given, env or [])
    with output.progress(f"uploading {called} ({output.size(len(archive))})", quiet=as_json):
        description = put(client, called, config, archive)
    if no_wait:
        if not as_json:
            output.say(f"accepted: `{own_name()} describe {called}` says when it is ready")
    else:
        try:
            description = wait_settled(client, called, description, quiet=as_json)
        except KeyboardInterrupt:
            output.say(f"the build goes on without us: `{own_name()} describe {called}` says how it ended")
            raise
    if alias is not None:
        version = published(client, called)["Version"]
        lead(client, called, alias, version, {})
        description = client.call("GET", function_path(called), query={"qualifier": alias})
        if not as_json:
            output.say(f"{called}:{alias} leads to version {version}")
    address = str(description.get("url") or description.get("invoke_url") or "")
    curl = curl_line(client, description, address, data)
    if as_json:
        output.result_json({**description, "address": address, "curl": curl})
        return
    output.result(address)
    output.result(curl)


def _deploy_template(
    context: typer.Context, path: Path, choice: dict[str, Any], url: str | None, data: Path | None, *, as_json: bool
) -> None:
    from torpor.cli.commands.template import Choice, deploy_template

    session: Session = context.obj
    deploy_template(connect(context, url, data), session, path, Choice(**choice), as_json=as_json)


def _refuse_words(words: dict[str, Any], why: str) -> None:
    for name, value in words.items():
        if value is not None and value is not False and value not in ((), []):
            raise WrongUse(f"--{name.removesuffix('s').replace('_', '-')} {why}")


def prepared(path: Path, given: dict[str, Any], env: list[str]) -> tuple[str, dict[str, Any], bytes]:
    """The function's name, its configuration as the server takes it, and its packed code. Raises WrongUse."""
    from torpor.build.pack import pack
    from torpor.cli.project import read_table
    from torpor.cli.source import open_source
    from torpor.core.errors import UserError

    source = open_source(path)
    table = read_table(source)
    changes = {key: value for key, value in given.items() if value is not None}
    table = table.model_copy(update={**changes, "environment": {**table.environment, **_variables(env)}})
    name = table.name or source.default_name
    if not name:
        raise WrongUse(f"no name can be made from {path}: give one with --name, of letters, digits, - and _")
    function_path(name)  # a name that cannot be one is told before anything is packed
    handler = _handler(table, source)
    try:
        return name, _config(table, handler), pack(path)
    except (UserError, OSError) as error:
        raise WrongUse(str(error)) from error


def _handler(table: Table, source: Source) -> str:
    """The handler, named or found; a warning where the source shows that it, or the bootstrap, is not there."""
    from torpor.cli.discover import check_bootstrap, check_handler, find_handler
    from torpor.core.function import is_custom

    if is_custom(table.runtime or ""):
        handler, warning = table.handler or "bootstrap", check_bootstrap(source)
    else:
        handler = table.handler or find_handler(source)
        warning = check_handler(source, handler)
    if warning:
        output.say(f"warning: {warning}")
    return handler


def _config(table: Table, handler: str) -> dict[str, Any]:
    config: dict[str, Any] = {
        "handler": handler,
        "runtime": table.runtime or f"python{sys.version_info.major}.{sys.version_info.minor}",
        "memory_mb": table.memory,
        "timeout_s": table.timeout,
        "tmp_mb": table.tmp,
        "variables": table.environment,
        "reach": list(table.reach),
        "permissions": list(table.permissions),
        "secrets": list(table.secrets),
        "layers": list(table.layers),
        "source_builds": table.source_builds,
        "max_concurrency": table.max_concurrency,
        "keep_alive_s": table.keep_alive,
        "description": table.description,
        "tags": table.tags,
    }
    as_it_is = {
        "public": table.public,
        "streaming": table.streaming,
        "reserved_concurrency": table.reserved_concurrency,
    }
    return config | {key: value for key, value in as_it_is.items() if value is not None}


def _variables(env: list[str]) -> dict[str, str]:
    variables = {}
    for text in env:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise WrongUse(f"--env takes KEY=VALUE, not '{text}'")
        variables[key] = value
    return variables
