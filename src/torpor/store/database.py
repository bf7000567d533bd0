"""The metadata database: SQLite in WAL mode, synced before a commit is acknowledged, its schema migrated forward."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import structlog
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from torpor.core.errors import PlatformFault, UserError
from torpor.store.data_dir import SEALING_KEY
from torpor.store.sealing import Sealer, open_sealer

HEAD = "r0014"  # the newest revision under migrations/versions; a test holds the two together
_BUSY_MS = 10_000
_log = structlog.get_logger(__name__)


class DatabaseTooNew(UserError):
    """The database was written by a newer torpor."""


class DatabaseFailed(PlatformFault):
    """The database refused: its disk is full, or its file damaged."""


class DatabaseUnreadable(PlatformFault):
    """The database file cannot be opened."""


class Database:
    """One SQLite file. `begin()` commits at its end or rolls back; safe from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch(mode=0o600)  # it holds functions' variables; SQLite gives its other files the same mode
        self._engine = create_engine(f"sqlite:///{path}", pool_size=4, max_overflow=4)
        event.listen(self._engine, "connect", _prepare)
        event.listen(self._engine, "begin", _begin)
        try:
            self._migrate()
        except DatabaseFailed as error:
            self.close()
            raise DatabaseUnreadable(
                f"{path} cannot be opened as torpor's database: {error}. Put a backup in its place, or move the "
                "file away to start without any functions."
            ) from error
        except BaseException:
            self.close()
            raise

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction. It takes the write lock with its first writing statement, so write before you read.

        Raises DatabaseFailed, and then nothing of it is stored.
        """
        try:
            with self._engine.begin() as connection:
                yield connection
        except DBAPIError as error:
            raise DatabaseFailed(f"the database refused: {error.orig}") from error

    def revision(self) -> str | None:
        """The schema's revision, or None for an empty database."""
        with self.begin() as connection:
            present = connection.execute(
                text("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'")
            ).first()
            if present is None:
                return None
            row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
            return None if row is None else str(row[0])

    @cached_property
    def sealer(self) -> Sealer:
        """Encrypts what a copy of this file must not reveal; its key lies beside the file. Raises DataDirUnusable."""
        return open_sealer(self.path.with_name(SEALING_KEY))

    @property
    def scrubbed(self) -> bool:
        """Whether `scrub` has run on this file."""
        with self.begin() as connection:
            return bool(connection.exec_driver_sql("PRAGMA user_version").scalar())

    def scrub(self) -> None:
        """Write the file anew without what was deleted or overwritten in it, and empty the write-ahead log."""
        connection = self._engine.raw_connection()
        try:
            for statement in ("VACUUM", "PRAGMA user_version=1", "PRAGMA wal_checkpoint(TRUNCATE)"):
                connection.cursor().execute(statement).close()
        except sqlite3.Error as error:
            raise DatabaseFailed(f"the database refused: {error}") from error
        finally:
            connection.close()

    def close(self) -> None:
        """Give back every connection; the last one folds the write-ahead log into the file."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def _migrate(self) -> None:
        revision = self.revision()
        if revision == HEAD:  # the usual start: Alembic, slow to import, is not needed
            return
        if revision is not None and revision > HEAD:
            raise DatabaseTooNew(
                f"{self.path} has schema {revision}, this torpor knows {HEAD} at most: it was written by a newer "
                "version. Start that version, or use another data folder."
            )
        from torpor.store.migrations.upgrade import upgrade

        _log.info("migrating the database", action="database.migrate", old=revision, new=HEAD)
        with self.begin() as connection:
            upgrade(connection)


def _prepare(connection: Any, _record: object) -> None:
    # Without this, sqlite3 would begin transactions by itself, and not at all for the statements of a migration.
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout={_BUSY_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "journal_size_limit=67108864",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
