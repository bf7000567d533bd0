"""What belongs to functions by a name of its own, in memory and written through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

from torpor.functions.changes import Changes

V = TypeVar("V")


class Table(Protocol[V]):
    """Where the values lie; each call blocks."""

    def read_all(self) -> dict[str, dict[str, V]]: ...

    def put(self, name: str, key: str, value: V, /) -> None: ...

    def delete(self, name: str, key: str) -> None: ...


def _unheard(_: str) -> None:
    """Nobody wants to know."""


class Attached(Generic[V]):
    """Values by the function's name and a key: reading never waits, changes are made one at a time."""

    def __init__(self, table: Table[V], changes: Changes, changed: Callable[[str], None] = _unheard) -> None:
        """`changed` is told the function's name after a change."""
        self._table = table
        self._changes = changes
        self._changed = changed
        self._values: dict[str, dict[str, V]] = {}

    def load(self) -> None:
        """Read everything that is stored. Blocks."""
        self._values = self._table.read_all()

    def get(self, name: str, key: str) -> V | None:
        of = self._values.get(name)
        return None if of is None else of.get(key)

    def names(self) -> tuple[str, ...]:
        """Functions that have any."""
        return tuple(self._values)

    def of(self, name: str) -> Mapping[str, V]:
        """All of a function's, in order of their keys."""
        return dict(sorted(self._values.get(name, {}).items()))

    async def save(self, name: str, key: str, value: V, *, check: Callable[[], object]) -> None:
        """Store a value. `check` raises when it may not be, and runs when no other change can come between."""
        await self.save_made(name, key, lambda: value, check=check)

    async def save_made(self, name: str, key: str, made: Callable[[], V], *, check: Callable[[], object]) -> None:
        """The same for a value that `check` makes of what is there: `made` gives it after that."""

        def apply() -> None:
            self._values.setdefault(name, {})[key] = made()
            self._changed(name)

        await self._changes.make(check, lambda: self._table.put(name, key, made()), apply)

    async def remove(self, name: str, key: str, *, check: Callable[[], object]) -> None:
        def apply() -> None:
            self.forget(name, key)
            self._changed(name)

        await self._changes.make(check, lambda: self._table.delete(name, key), apply)

    def forget(self, name: str, key: str | None = None) -> None:
        """Drop a function's values from memory, or one of them: what is stored went with the function."""
        values = self._values.get(name, {})
        if key is not None:
            values.pop(key, None)
        if key is None or not values:
            self._values.pop(name, None)
