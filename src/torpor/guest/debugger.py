"""Lets a debugger in that waits outside: the instance connects to it, as it may connect to nothing else unasked."""

from __future__ import annotations

import importlib
import sys
import threading
from typing import Any

_PATIENCE_S = 30.0


def attach(port: int) -> None:
    """Connect to the debugger at the door's `port`, and wait until it has set its breakpoints, with a bound.

    Where none listens, the code runs without.
    """
    try:
        debugpy = importlib.import_module("debugpy")  # of a debugged function's own environment
        debugpy.configure(subProcess=False)
        debugpy.connect(("127.0.0.1", port))
    except Exception as error:
        sys.stderr.write(f"no debugger listens at port {port} of this machine ({error}): the code runs without\n")
        return
    if not _is_let_in(debugpy):
        sys.stderr.write(f"the debugger at port {port} did not answer: the code runs without\n")


def _is_let_in(debugpy: Any) -> bool:
    """Debugpy itself would wait for ever."""
    waiting = threading.Thread(target=debugpy.wait_for_client, name="debugger", daemon=True)
    waiting.start()
    waiting.join(_PATIENCE_S)
    return not waiting.is_alive()
