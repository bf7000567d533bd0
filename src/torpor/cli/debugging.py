"""What `torpor dev --debug` changes in a function's configuration, and what the editor is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

LONGEST_S = 86_400
_VERSION = "0.2.0"  # of the editor's file


def debugged(config: dict[str, Any], port: int) -> dict[str, Any]:
    """Settings in the place of a function's own: who stands at a breakpoint is not timed out."""
    way = f"localhost:{port}"
    return {
        "debug_port": port,
        "timeout_s": LONGEST_S,
        "max_concurrency": 1,
        "reach": [*[entry for entry in config["reach"] if entry != way], way],
    }


def configuration(name: str, port: int) -> dict[str, Any]:
    """VS Code's: it listens, and each new instance connects to it."""
    return {
        "name": f"torpor: {name}",
        "type": "debugpy",
        "request": "attach",
        "listen": {"host": "127.0.0.1", "port": port},
        "pathMappings": [{"localRoot": "${workspaceFolder}", "remoteRoot": "/var/task"}],
        "justMyCode": False,
    }


def write_launch(folder: Path, name: str, port: int) -> str:
    """Put the configuration into `.vscode/launch.json` of `folder`, beside what is there; returns what to tell.

    A file that is not plain JSON (with comments, say) is left as it is.
    """
    path, wanted = folder / ".vscode" / "launch.json", configuration(name, port)
    try:
        present = json.loads(path.read_text(encoding="utf-8"))
        others = [one for one in present.get("configurations", []) if one.get("name") != wanted["name"]]
        whole = {"version": _VERSION, **present, "configurations": [wanted, *others]}
    except FileNotFoundError:
        whole = {"version": _VERSION, "configurations": [wanted]}
    except (OSError, ValueError, AttributeError, TypeError):
        return f"{path} cannot be completed; add this to its configurations:\n{json.dumps(wanted, indent=2)}"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
    return f"start the debugger 'torpor: {name}' in the editor ({path}) before the function is called"
