"""A gate that many may pass together, or one alone: deployments share it, collecting garbage does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager


class Gate:
    """Who waits to be alone holds back newcomers, so it is never starved."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._inside = 0
        self._wanting_alone = 0
        self._alone = False

    @asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """Inside together with others."""
        await self._until(lambda: not self._alone and not self._wanting_alone)
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1
            self._tell()

    @asynccontextmanager
    async def alone(self, timeout_s: float) -> AsyncIterator[None]:
        """Inside with nobody else. Raises TimeoutError when the others do not leave in time."""
        self._wanting_alone += 1
        try:
            async with asyncio.timeout(timeout_s):
                await self._until(lambda: not self._alone and not self._inside)
            self._alone = True
        finally:
            self._wanting_alone -= 1
            self._tell()
        try:
            yield
        finally:
            self._alone = False
            self._tell()

    async def _until(self, free: Callable[[], bool]) -> None:
        while not free():
            await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()  # wakes who waits now; who comes later waits for the next
        self._changed = asyncio.Event()
