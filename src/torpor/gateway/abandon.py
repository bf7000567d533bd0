"""When a client leaves, what has not begun for it never will."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from torpor.gateway.asgi import Scope


@contextmanager
def abandonable(scope: Scope) -> Iterator[None]:
    """While inside, a client that leaves cancels this task. Needs a `protocol.Connection` underneath."""
    connection, task = scope.get("torpor.connection"), asyncio.current_task()
    if connection is None or task is None:
        yield
        return

    def abandon() -> None:
        scope["torpor.abandoned"] = True
        task.cancel()

    connection.on_lost = abandon
    try:
        yield
    finally:
        connection.on_lost = None


def was_abandoned(scope: Scope) -> bool:
    """Whether this request's task was cancelled because its client left, and not by somebody else."""
    return bool(scope.get("torpor.abandoned"))
