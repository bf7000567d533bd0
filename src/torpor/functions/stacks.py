"""Stacks: kept for those who deploy them, who see to it that what is written down is true."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from torpor.core.errors import InvalidValue, ResourceNotFound
from torpor.core.stack import Stack, StackChanged
from torpor.store.database import Database
from torpor.store.stack_table import StackTable

MAX_STACKS = 1000
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]{0,127}")


class Stacks:
    """Reads and writes go to the table, one at a time: a deployment takes seconds, and there are few."""

    def __init__(self, database: Database) -> None:
        self._table = StackTable(database)
        self._writing = asyncio.Lock()

    async def all(self) -> list[Stack]:
        """All stacks, in the order of their names."""
        return await asyncio.to_thread(self._table.read_all)

    async def get(self, name: str) -> Stack:
        """Raises ResourceNotFound."""
        stack = await asyncio.to_thread(self._table.read, name)
        if stack is None:
            raise ResourceNotFound(f"There is no stack {name[:128]!r}.")
        return stack

    async def put(self, name: str, revision: int, document: Mapping[str, Any]) -> Stack:
        """Store a document in the place of `revision`; 0 where there is none yet. Raises InvalidValue, StackChanged."""
        if _NAME.fullmatch(name) is None:
            raise InvalidValue(
                f"{name[:128]!r} is not a stack's name: a letter, then letters, digits and -, 128 at most."
            )
        stack = Stack(name, revision + 1, document)
        async with self._writing:
            if revision == 0 and len(await self.all()) >= MAX_STACKS:
                raise InvalidValue(f"This server has {MAX_STACKS} stacks, the most there can be: remove some.")
            await asyncio.shield(asyncio.to_thread(self._table.write, stack))
        return stack

    async def delete(self, name: str, revision: int) -> None:
        """Forget a stack, and nothing that belongs to it. Raises ResourceNotFound and StackChanged."""
        await self.get(name)
        async with self._writing:
            if not await asyncio.shield(asyncio.to_thread(self._table.delete, name, revision)):
                raise StackChanged
