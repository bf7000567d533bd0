"""Bring a database to the newest schema. Imported only when there is something to do."""

from __future__ import annotations

from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

_HERE = Path(__file__).parent


def scripts() -> ScriptDirectory:
    """Every revision in this package, in order."""
    return ScriptDirectory(str(_HERE))


def upgrade(connection: Connection, target: str = "head") -> None:
    """Run the missing steps on `connection`, inside the caller's transaction."""
    directory = scripts()

    def steps(current: str, _context: MigrationContext) -> list[RevisionStep]:
        return list(directory._upgrade_revs(target, current))  # noqa: SLF001 - what Alembic's own command calls

    with EnvironmentContext(Config(), directory, fn=steps) as environment:
        environment.configure(connection=connection, transactional_ddl=False)  # the caller's transaction is the one
        environment.run_migrations()
