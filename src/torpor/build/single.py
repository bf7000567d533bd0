"""The same work asked for twice at once is done once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class SingleFlight(Generic[_T]):
    """Runs work by key; whoever asks while it runs gets its result. A caller that leaves does not stop the others'."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[_T]] = {}

    async def run(self, key: str, work: Callable[[], Awaitable[_T]]) -> _T:
        task = self._running.get(key)
        if task is None:
            task = self._running[key] = asyncio.create_task(_await(work))
            task.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(task)

    def keys(self) -> frozenset[str]:
        """What is being done now."""
        return frozenset(self._running)

    async def close(self) -> None:
        """Cancel what is running, and wait for it to end."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, key: str, done: asyncio.Task[_T]) -> None:
        del self._running[key]
        if not done.cancelled():
            done.exception()  # the callers have seen it; when all of them left, nobody must


async def _await(work: Callable[[], Awaitable[_T]]) -> _T:
    return await work()
