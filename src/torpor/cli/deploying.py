"""Handing code over to the server, and waiting for what it makes of it."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

from torpor.cli import output
from torpor.cli.connect import function_path
from torpor.cli.failures import Failed

if TYPE_CHECKING:
    from torpor.cli.client import Client

WAIT_S = 20  # one long poll; a build may take many
ASKED_EVERY_S = 0.05


def put(client: Client, name: str, config: dict[str, Any], archive: bytes) -> dict[str, Any]:
    """Hand the code over. Raises Refused with the server's reason."""
    header = base64.b64encode(json.dumps(config).encode()).decode()
    sent = {"content-type": "application/zip", "x-torpor-config": header}
    accepted: dict[str, Any] = client.call("PUT", function_path(name), body=archive, headers=sent)
    return accepted


def wait_settled(
    client: Client, name: str, description: dict[str, Any], *, quiet: bool, checked: bool = True
) -> dict[str, Any]:
    """Wait for the build, however long, and with `checked` for its deployment check.

    Raises Failed with the reason that the server gives.
    """
    query: dict[str, object] = {"wait_s": WAIT_S} | ({} if checked else {"until": "built"})
    begun = time.monotonic()
    with output.progress(f"building {name}", quiet=quiet):
        while not settled(description):
            asked = time.monotonic()
            description = client.call("GET", function_path(name), query=query)
            # A server that is stopping answers at once: it is not to be asked without end.
            time.sleep(max(0.0, ASKED_EVERY_S - (time.monotonic() - asked)))
    if description.get("state") == "Failed":
        raise Failed(
            f"{name} was not built: {description.get('state_reason') or 'the server gave no reason'}",
            code=str(description.get("state_reason_code") or "BuildFailed"),
        )
    if description.get("update_status") == "Failed":
        raise Failed(
            f"{name} was not updated, and the previous code still runs: "
            f"{description.get('update_reason') or 'the server gave no reason'}",
            code=str(description.get("update_reason_code") or "BuildFailed"),
        )
    if not quiet:
        output.say(
            f"{name} is ready after {output.elapsed((time.monotonic() - begun) * 1000)}: {description.get('handler')}, "
            f"{description.get('runtime')}, {description.get('memory_mb')} MB, {description.get('timeout_s')} s"
        )
    check = description.get("check") or {}
    if check.get("state") == "failed":
        output.say(f"warning: it does not initialise, and calls of it will fail: {check.get('error')}")
    return description


def settled(description: dict[str, Any]) -> bool:
    """Whether nothing is being built any more."""
    return description.get("state") != "Pending" and description.get("update_status") != "InProgress"
