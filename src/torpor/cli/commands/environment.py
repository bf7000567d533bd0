"""`torpor env` and `run`: the variables that point boto3 and the aws command line at this server."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterable, Mapping
from typing import Annotated

import typer

from torpor.cli import flags, output
from torpor.cli.connect import server_of
from torpor.cli.failures import Unreachable, WrongUse
from torpor.cli.locate import Server

NOT_FOUND = 127  # as shells, env and timeout say it
# What would lead an SDK elsewhere although the endpoint is set.
_MISLEADING = (
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
)
_ONE_SERVICE = "AWS_ENDPOINT_URL_"  # wins over AWS_ENDPOINT_URL for its service


def env(
    *,
    context: typer.Context,
    token: Annotated[bool, flags.option("--token", text="Print the command line's token alone.")] = False,
    header: Annotated[
        bool, flags.option("--header", text="Print the HTTP header that carries the token, for `curl -H @-`.")
    ] = False,
    url: flags.Url = None,
    data: flags.Data = None,
    as_json: flags.AsJson = False,
) -> None:
    """Print the variables that point boto3 and aws at this server.

    In a shell: eval "$(torpor env)"
    """
    server = server_of(context, url, data)
    if token or header:
        secret = _token(server)
        text = f"Authorization: Bearer {secret}" if header else secret
        output.result_json({"header": text} if header else {"token": text}) if as_json else output.result(text)
        return
    variables = pointing_here(server, region(server))
    if as_json:
        output.result_json({"set": variables, "unset": misleading(os.environ)})
        return
    for name, value in variables.items():
        output.result(f"export {name}={shlex.quote(value)}")
    output.result(f"unset {' '.join(misleading(os.environ))}")


def run(
    *,
    context: typer.Context,
    command: Annotated[
        list[str], flags.argument("COMMAND", "What to run, with its arguments; a -- may stand in front.")
    ],
    url: flags.Url = None,
    data: flags.Data = None,
    as_json: flags.AsJson = False,
) -> None:
    """Run a command with this server in the place of AWS.

    Its exit code is passed on. AWS's configuration files are hidden from it, so that a missed variable reaches nobody's
    cloud.
    """
    server = server_of(context, url, data)
    # The environment is handed on here, not read for settings of ours.
    surroundings = surrounded(os.environ, pointing_here(server, region(server)))
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        # The command takes this process's place: signals, the terminal and the exit code are its own.
        os.execvpe(command[0], command, surroundings)  # noqa: S606 - no shell is wanted in between
    except FileNotFoundError:
        output.complain(f"{command[0]}: no such command", code="CommandNotFound", as_json=as_json)
        raise typer.Exit(NOT_FOUND) from None
    except OSError as error:
        raise WrongUse(f"{command[0]} cannot be run: {error.strerror}") from None


def pointing_here(server: Server, home: str) -> dict[str, str]:
    """The variables that an AWS SDK obeys. Raises Unreachable where the server's key is not at hand."""
    if server.key is None:
        raise Unreachable(
            f"the key of {server.url} is not at hand: it lies in key.json of the server's data folder. "
            "Name that folder with --data, or run this where the server runs.",
            code="NoKey",
        )
    return {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": server.key.access_key_id,
        "AWS_SECRET_ACCESS_KEY": server.key.secret_access_key,
        "AWS_REGION": home,
        "AWS_DEFAULT_REGION": home,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def region(server: Server) -> str:
    """The region that the server speaks as."""
    from torpor.cli.client import Client

    return str(Client(server).call("GET", "/_torpor/status")["region"])


def misleading(environ: Iterable[str]) -> list[str]:
    """Names of variables that must not be there, with those of single services that are."""
    return [*_MISLEADING, *sorted(name for name in environ if name.startswith(_ONE_SERVICE))]


def surrounded(environ: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command that must not reach any cloud but this."""
    unwanted = set(misleading(environ))
    kept = {name: value for name, value in environ.items() if name not in unwanted}
    hidden = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return {**kept, **variables, **hidden}


def _token(server: Server) -> str:
    if server.token is None:
        raise Unreachable(
            f"no token for {server.url} is at hand: name the server's data folder with --data, or set TORPOR_TOKEN",
            code="NoKey",
        )
    return server.token
