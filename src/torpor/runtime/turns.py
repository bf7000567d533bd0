"""Turns for what is better done by a few at a time: a start needs the processors, and hundreds at once only wait there.

Whoever has its turn comes to its end soon, whatever its time-out; what kinds there are take their turns in rotation, so
that the many of one do not keep the few of another waiting.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Hashable


class Turns:
    """`at_once` have their turn at a time. Belongs to one event loop."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}  # the kind whose turn is next comes first

    async def take(self, kind: Hashable) -> None:
        """Wait for a turn; whoever gets one has to `give_back` it."""
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(kind, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it had just come
                self.give_back()
            raise

    def give_back(self) -> None:
        """Let the next one begin. Who has left meanwhile is passed over."""
        while self._waiting:
            kind = next(iter(self._waiting))
            line = self._waiting.pop(kind)
            turn = line.popleft()
            if line:
                self._waiting[kind] = line  # behind the other kinds
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
