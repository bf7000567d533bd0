"""The database: durable settings, and a schema that only goes forward."""

import os
import sqlite3
import subprocess
import sys

import pytest
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.schema import CreateTable

from torpor.store.database import HEAD, Database, DatabaseFailed, DatabaseTooNew, DatabaseUnreadable
from torpor.store.ledger import Ledger
from torpor.store.migrations.upgrade import scripts, upgrade
from torpor.store.role_table import RoleTable
from torpor.store.tables import metadata


def test_commits_are_durable(database):
    """Write-ahead log, synced at each commit, with a bounded wait for a busy database."""
    with database.begin() as connection:
        pragmas = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}


def test_the_files_are_their_owner_s_alone(tmp_path):
    """What holds the functions' variables is not readable to others, the write-ahead log included."""
    old = os.umask(0)
    try:
        with Database(tmp_path / "torpor.db"):
            assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
            assert len(list(tmp_path.iterdir())) == 3
    finally:
        os.umask(old)


def test_the_newest_migration_is_the_head_in_code():
    """The quick check at start compares with the migration that there is."""
    assert scripts().get_heads() == [HEAD]


def test_the_migrations_make_the_tables_of_the_code(database):
    """Columns, keys and their types are the same whichever way a database was made."""
    with sqlite3.connect(":memory:") as made:
        for table in metadata.sorted_tables:
            made.execute(str(CreateTable(table)))
        wanted = {table: _columns(made, table) for table in metadata.tables}
    with sqlite3.connect(database.path) as migrated:
        assert {table: _columns(migrated, table) for table in metadata.tables} == wanted
    with database.begin() as connection:
        assert set(inspect(connection).get_table_names()) - {"alembic_version"} == set(metadata.tables)


def _columns(connection, table):
    return connection.execute(f"SELECT name, type, \"notnull\", pk FROM pragma_table_info('{table}')").fetchall()  # noqa: S608 - our own table names


@pytest.mark.slow
def test_a_current_database_opens_without_alembic(database):
    """The usual start does not pay for importing the migrations' library."""
    code = (
        "import sys; from pathlib import Path; from torpor.store.database import Database;"
        "Database(Path(sys.argv[1])).close(); sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(database.path)], check=False).returncode == 0


def test_an_older_database_is_brought_forward_with_its_rows(tmp_path, usage):
    """A folder of the first revision opens under today's code, keeps its rows, and can be written."""
    path = tmp_path / "torpor.db"
    _at_revision(path, "r0001")
    with sqlite3.connect(path) as old:
        old.execute(
            "INSERT INTO usage (function, version, request_id, at, depth, init_ms, duration_ms, billed_ms, memory_mb,"
            " max_memory_mb, cpu_ms, result) VALUES ('f', '$LATEST', 'r', 5.0, 'warm', 0, 1, 2, 512, 40, 1, 'ok')"
        )
        old.execute("INSERT INTO roles VALUES ('r', '/', 'AROA', '{}', '', 3600, '{}', '2026-01-01T00:00:00+00:00')")
    old.close()
    database = Database(path)
    assert database.revision() == HEAD
    ledger = Ledger(database)
    ledger.record(usage())
    assert ledger.summary()["f"].invocations == 2
    ledger.close()
    roles = RoleTable(database)
    (role,) = roles.read_all()
    assert (role.name, role.attached, role.inline) == ("r", (), {})
    changed = role.evolve(attached=("arn:aws:iam::aws:policy/B", "arn:aws:iam::aws:policy/A"), inline={"p": '{"é": 1}'})
    roles.put(changed)
    assert roles.read_all() == [changed]
    database.close()


def _at_revision(path, revision):
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        upgrade(connection, revision)
    engine.dispose()


def test_a_migration_that_fails_leaves_the_old_schema(tmp_path, monkeypatch):
    """A migration is all or nothing."""
    from alembic import op

    path = tmp_path / "torpor.db"
    _at_revision(path, "r0001")
    create = op.create_table

    def fail(*args, **kwargs):
        create(*args, **kwargs)
        raise RuntimeError("power cut")

    monkeypatch.setattr(op, "create_table", fail)
    with pytest.raises(RuntimeError, match="power cut"):
        Database(path)
    with sqlite3.connect(path) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("r0001",)]
    connection.close()
    assert "usage_hours" not in tables
    monkeypatch.undo()
    Database(path).close()


def test_a_newer_database_is_refused(tmp_path):
    """What a newer torpor wrote is left alone, with what to do."""
    path = tmp_path / "torpor.db"
    Database(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'r9999'")
    connection.close()
    with pytest.raises(DatabaseTooNew, match=f"schema r9999.*{HEAD}.*newer version"):
        Database(path)


def test_what_is_no_database_is_named(tmp_path):
    """A file of something else gives one clear error, and stays as it is."""
    path = tmp_path / "torpor.db"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(DatabaseUnreadable, match=r"torpor\.db cannot be opened"):
        Database(path)
    assert path.read_bytes().startswith(b"not a database")


def test_what_the_database_refuses_is_our_fault_and_told(database):
    """A full disk or a broken statement reaches the caller as one kind of error, with the cause."""
    with pytest.raises(DatabaseFailed, match="no such table: nowhere"), database.begin() as connection:
        connection.execute(text("SELECT * FROM nowhere"))


def test_a_failed_transaction_is_rolled_back(database):
    """What raises inside a transaction leaves nothing of it."""
    with pytest.raises(RuntimeError), database.begin() as connection:
        connection.execute(text("INSERT INTO roles VALUES ('r', '/', 'A', '{}', '', 1, '{}', 'now', '[]', '{}')"))
        raise RuntimeError
    with database.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM roles")).scalar() == 0
