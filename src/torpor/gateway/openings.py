"""What the server serves on an instance's listeners: the door, then the function's declared ways to other hosts."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Protocol

from torpor.core.function import Revision
from torpor.gateway.reach import Reach
from torpor.policy.reach import ways


class Opened(Protocol):
    async def close(self) -> None: ...


OpenDoor = Callable[[Revision, Sequence[socket.socket]], Awaitable[Opened]]


class Openings:
    """Opens all of an instance's listeners; most functions have the door alone."""

    def __init__(self, open_door: OpenDoor, reach: Reach) -> None:
        self._open_door = open_door
        self._reach = reach

    async def __call__(self, revision: Revision, log_stream: str, listeners: Sequence[socket.socket]) -> Opened:
        """Take over `listeners`: the first is the door's."""
        door = await self._open_door(revision, listeners[:1])
        declared = ways(revision.config.reach)
        if not declared:
            return door
        async with AsyncExitStack() as stack:
            stack.push_async_callback(door.close)
            opened = await self._reach.open(revision.name, log_stream, declared, listeners[1:])
            stack.push_async_callback(opened.close)
            return _Both(stack.pop_all())
        raise AssertionError  # the stack suppresses nothing


class _Both:
    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def close(self) -> None:
        await self._stack.aclose()
