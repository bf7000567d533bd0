"""Where the guest lies on the host, and where a sandbox must see it: for the runtime, never used inside."""

from __future__ import annotations

from functools import cache
from pathlib import Path

RUNTIME_DIR = "/var/runtime"
PROGRAM = RUNTIME_DIR + "/bootstrap.py"
PACKAGE = RUNTIME_DIR + "/_torpor_guest"
WORKER = "_torpor_guest.guest.worker"  # as a module inside
REHEARSAL = "_torpor_guest.guest.rehearsal"  # likewise

SNAPSHOT = "_torpor_guest.guest.snapshot"  # likewise


@cache  # asked for on the way of every start
def files() -> tuple[tuple[str, str], ...]:
    """Pairs of host path and path in the sandbox, parents first, all to be mounted read-only.

    The guest is mounted as `_torpor_guest`, so that a package `torpor` of the user's own is not shadowed.
    """
    here = Path(__file__).absolute().parent
    return (
        (str(here / "bootstrap.py"), PROGRAM),
        (str(here / "package.py"), PACKAGE + "/__init__.py"),
        (str(here), PACKAGE + "/guest"),
        (str(here.parent / "wire"), PACKAGE + "/wire"),
    )
