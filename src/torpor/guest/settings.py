"""What the guest is told at its start: some of Lambda's own variables, and a private one that user code never sees."""

from __future__ import annotations

import json
import os
from typing import NamedTuple

PRIVATE_VARIABLE = "_TORPOR_GUEST"


class GuestSettings(NamedTuple):
    """`site_packages` is the environment's own; `max_response` in bytes; `concurrency` invocations run at a time.

    A `custom` function brings its own runtime. At `debug_port`, if any, a debugger listens.
    """

    handler: str
    task_root: str
    site_packages: str = ""
    max_response: int = 6291556
    concurrency: int = 1
    custom: bool = False
    debug_port: int = 0


def to_variable(*, site_packages: str, max_response: int, concurrency: int, custom: bool, debug_port: int = 0) -> str:
    """The private variable's text, written by the runtime."""
    private = {"site_packages": site_packages, "max_response": max_response, "concurrency": concurrency}
    return json.dumps({**private, "custom": custom, "debug_port": debug_port})


def take_settings() -> GuestSettings:
    """Read the settings and remove the private one, so that user code sees Lambda's variables only."""
    private = json.loads(os.environ.pop(PRIVATE_VARIABLE, "{}"))
    return GuestSettings(
        handler=os.environ.get("_HANDLER", ""),
        task_root=os.environ.get("LAMBDA_TASK_ROOT", "/var/task"),
        **private,
    )
