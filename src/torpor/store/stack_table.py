"""Stacks as rows. Documents are sealed: what outputs and events hold may be meant for few."""

from __future__ import annotations

import msgspec
from sqlalchemy import delete, insert, select, update

from torpor.core.stack import Stack, StackChanged
from torpor.store.database import Database
from torpor.store.tables import stacks


class StackTable:
    """Each call is one synced commit, or one reading, and blocks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read_all(self) -> list[Stack]:
        with self._database.begin() as connection:
            rows = connection.execute(select(stacks).order_by(stacks.c.name)).all()
        return [self._opened(row.name, row.revision, row.sealed_document) for row in rows]

    def read(self, name: str) -> Stack | None:
        with self._database.begin() as connection:
            row = connection.execute(select(stacks).where(stacks.c.name == name)).first()
        return None if row is None else self._opened(row.name, row.revision, row.sealed_document)

    def write(self, stack: Stack) -> None:
        """Store a stack in the place of the revision before its own. Raises StackChanged where that is not there."""
        values = {
            "revision": stack.revision,
            "sealed_document": self._database.sealer.seal(msgspec.json.encode(stack.document), _context(stack.name)),
        }
        before = (stacks.c.name == stack.name) & (stacks.c.revision == stack.revision - 1)
        with self._database.begin() as connection:
            changed = connection.execute(update(stacks).where(before).values(values)).rowcount
            if changed:
                return
            there = connection.execute(select(stacks.c.revision).where(stacks.c.name == stack.name)).first()
            if there is not None or stack.revision != 1:
                raise StackChanged
            connection.execute(insert(stacks).values(name=stack.name, **values))

    def delete(self, name: str, revision: int) -> bool:
        """Whether this revision was there, and is gone now."""
        with self._database.begin() as connection:
            which = (stacks.c.name == name) & (stacks.c.revision == revision)
            return bool(connection.execute(delete(stacks).where(which)).rowcount)

    def _opened(self, name: str, revision: int, sealed: bytes) -> Stack:
        return Stack(name, revision, msgspec.json.decode(self._database.sealer.open(sealed, _context(name))))


def _context(name: str) -> bytes:
    return f"stack:{name}".encode()
