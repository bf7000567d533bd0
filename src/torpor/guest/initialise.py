"""Everything before the first invocation: search path, output, the handler's import, and a report of what it loaded."""

# ruff: noqa: TID252  # relative, since inside a sandbox this package is `_torpor_guest`

# ruff: noqa: PTH100, PTH118, PTH120  # importing pathlib would cost every start milliseconds

from __future__ import annotations

import os
import site
import sys
import time
from itertools import islice

from ..wire.messages import Ready
from . import output
from .handler import Handler, find_handler
from .settings import GuestSettings

_PUBLISHED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "published")  # last: the user's own wins
_MAX_REPORTED = 4000  # modules; the report is one bounded frame


def initialise(settings: GuestSettings) -> tuple[Handler, Ready]:
    """Load the handler. What goes wrong passes through: a Fault, or whatever the user's module raised."""
    output.set_up()
    _extend_path(settings)
    if settings.debug_port:
        from .debugger import attach

        attach(settings.debug_port)
    before = len(sys.modules)
    started = time.perf_counter()
    handler = find_handler(settings.handler)
    init_ms = (time.perf_counter() - started) * 1000
    return handler, Ready(init_ms, _loaded(before, settings))


def _extend_path(settings: GuestSettings) -> None:
    """Lambda's order: the code, the layers, the runtime, the interpreter's own library, the environment's packages."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    if settings.site_packages and settings.site_packages not in sys.path:
        site.addsitedir(settings.site_packages)
    first = [settings.task_root, f"/opt/python/lib/{version}/site-packages", "/opt/python"]
    sys.path[:] = [*first, *(path for path in sys.path if path not in first and path != _PUBLISHED), _PUBLISHED]


def _loaded(before: int, settings: GuestSettings) -> tuple[str, ...]:
    """Modules that were imported from the interpreter or the environment, in order, never the bundle's own.

    Of `sys.modules` only what came after the first `before` is looked at: in a forked process to look at an object is
    to write its reference count, and so to copy its page, and there may be thousands.
    """
    own = (settings.task_root + os.sep, "/opt/", "/tmp/")  # noqa: S108  # a prefix to compare with, nothing is written
    names = []
    for name in reversed(list(islice(reversed(sys.modules), max(0, len(sys.modules) - before)))):
        origin = getattr(getattr(sys.modules[name], "__spec__", None), "origin", None)
        if not isinstance(origin, str):
            continue
        # The environment itself may lie anywhere, below /tmp too.
        if not origin.startswith(own) or (settings.site_packages and origin.startswith(settings.site_packages)):
            names.append(name)
    return tuple(names[:_MAX_REPORTED])
