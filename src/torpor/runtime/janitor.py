"""The janitor: outlives the server by a moment, to delete what the kernel does not.

It blocks on a pipe whose other end only the server has. When that is closed it removes the cgroups and paths it was
started with, after everything in them has ended, and leaves. After an orderly stop it finds nothing to do.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

from torpor.sandbox.cgroups import end_tree, remove_tree, restore

_PATIENCE_S = 10.0


def main() -> NoReturn:
    """Wait for the end of the server, then clean."""
    lifeline, duties = int(sys.argv[1]), json.loads(sys.argv[2])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the server decides when it ends, by ending
    os.read(lifeline, 1)
    clean(duties)
    os._exit(0)


def clean(duties: dict[str, list[str]]) -> None:
    """Remove the groups below `cgroups`, killing who is still there, and the files and folders in `paths`."""
    groups = [Path(path) for path in duties["cgroups"]]
    deadline = time.monotonic() + _PATIENCE_S
    # First let the kernel end the sentinel's namespace: usually everything is gone by then.
    while (left := [group for group in groups if not remove_tree(group)]) and time.monotonic() < deadline:
        for group in left:
            end_tree(group)
        time.sleep(0.02)
    for group in groups:
        restore(group.parent, group.name)
    for path in map(Path, duties["paths"]):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
