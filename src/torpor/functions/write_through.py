"""Changes to what is kept in memory: one at a time, on the disk before they are seen, finished whoever waits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


class WriteThrough:
    """Orders the changes of one store."""

    def __init__(self) -> None:
        self._writing = asyncio.Lock()
        self._writes: set[asyncio.Task[Any]] = set()

    async def change(self, prepare: Callable[[], _T], write: Callable[[_T], None], apply: Callable[[_T], object]) -> _T:
        """Prepare a change, which may raise; write it, in a thread; let memory follow. Returns what was prepared."""

        async def change() -> _T:
            async with self._writing:
                prepared = prepare()
                await asyncio.to_thread(write, prepared)
                apply(prepared)
                return prepared

        return await self._finish(change())

    async def wait_written(self) -> None:
        """Wait for the changes that are being written, whose callers may have gone."""
        while self._writes:
            await asyncio.wait(self._writes)

    async def _finish(self, work: Coroutine[Any, Any, _T]) -> _T:
        """A commit that has begun cannot be taken back."""
        task = asyncio.ensure_future(work)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        return await asyncio.shield(task)
