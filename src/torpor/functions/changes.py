"""Changes of what is deployed, one at a time: committed on the disk before they are seen or told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


class Changes:
    """A change that has begun is finished, even when its caller is cancelled."""

    def __init__(self) -> None:
        self._writing = asyncio.Lock()
        self._writes: set[asyncio.Task[Any]] = set()

    async def make(self, check: Callable[[], object], write: Callable[[], None], apply: Callable[[], object]) -> None:
        """Check, write in a thread, apply in memory, with no other change in between. `check` raises to refuse."""
        await self.replace(check, lambda _: write(), lambda _: apply())

    async def replace(
        self, prepare: Callable[[], _T], write: Callable[[_T], None], apply: Callable[[_T], object]
    ) -> _T:
        """The same for a value that is made of what is there at that moment; returns it."""

        async def change() -> _T:
            async with self._writing:
                value = prepare()
                await asyncio.to_thread(write, value)
                apply(value)
                return value

        return await self._finish(change())

    async def wait_written(self) -> None:
        """Wait for the changes that are being written, whose callers may have gone."""
        while self._writes:
            await asyncio.wait(self._writes)

    @property
    def writing(self) -> bool:
        """Whether a change is being written."""
        return bool(self._writes)

    async def _finish(self, work: Coroutine[Any, Any, _T]) -> _T:
        """A commit that has begun cannot be taken back: let memory follow it, whoever stopped waiting."""
        task = asyncio.ensure_future(work)
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        return await asyncio.shield(task)
