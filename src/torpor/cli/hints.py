"""Commands to paste: what deploying and making a project print for the next step."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torpor.cli.client import Client


def own_name() -> str:
    """How the reader can call this program: `torpor` where the shell finds it, else the path it was started by."""
    started = Path(sys.argv[0])
    if started.name != "torpor":
        return f"{shlex.quote(sys.executable)} -m torpor"
    found = shutil.which("torpor")
    same = found is not None and Path(found).resolve() == started.resolve()
    return "torpor" if same else shlex.quote(str(started))


def curl_line(client: Client, description: dict[str, Any], address: str, data: Path | None) -> str:
    """A line that calls the function when pasted.

    Where the server wants to know who calls, curl reads the header from a pipe: on its command line, every user of the
    machine could read the token.
    """
    # Said to be JSON, a body reaches the function as text; what curl says by itself would reach it in base64.
    call = f"-H 'content-type: application/json' -d '{{}}' {shlex.quote(address)}"
    if description.get("url_auth") == "NONE" or client.call("GET", "/_torpor/status").get("auth") == "off":
        return f"curl {call}"
    folder = f" --data {shlex.quote(str(data))}" if data is not None else ""
    elsewhere = "" if folder or client.server.key is not None else f" --url {shlex.quote(client.server.url)}"
    return f"{own_name()} env --header{elsewhere}{folder} | curl -H @- {call}"
