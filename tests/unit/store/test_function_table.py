"""Functions as rows: variables are sealed, those of older databases too, and a lost key is told."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import update

from torpor.core.function import Bundle, Function, FunctionConfig
from torpor.store.data_dir import SEALING_KEY
from torpor.store.database import Database
from torpor.store.function_table import FunctionRecord, FunctionTable
from torpor.store.sealing import SealBroken, SealingKeyLost
from torpor.store.tables import functions

SECRET = "very-secret-value"


@pytest.fixture
def record():
    config = FunctionConfig(name="echo", handler="app.h", variables={"TOKEN": SECRET})
    return FunctionRecord(function=Function(config=config, bundle=Bundle("aa", 1), revision_id="r"))


def stored(folder) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("torpor.db*"))


def store_openly(database, record, **more) -> None:
    """As torpor did before variables were sealed."""
    with database.begin() as connection:
        connection.exec_driver_sql("PRAGMA user_version=0")
        connection.execute(update(functions).values(config=json.dumps(record.function.config.as_json()), **more))


def test_a_record_comes_back_as_it_was(database, record):
    """Versions and what serves are rows like any other."""
    table = FunctionTable(database)
    version = record.evolve(function=record.function.evolve(version="3", source="s"))
    table.put(record, version)
    assert table.read_all() == [record, version]
    assert table.numbers() == {"echo": 3}
    table.delete("echo")
    assert (table.read_all(), table.numbers()) == ([], {"echo": 3})


def test_variables_cannot_be_read_in_the_files(database, record, tmp_path):
    """Neither in the database nor in its write-ahead log."""
    FunctionTable(database).put(record)
    assert SECRET.encode() not in stored(tmp_path)


def test_what_an_older_torpor_stored_is_sealed_at_the_first_start(database, record, tmp_path):
    """Nothing of it is left, not in free pages either; what serves is sealed too."""
    table = FunctionTable(database)
    table.put(record)
    environment = {"digest": "d", "python": "p", "site_packages": "s", "mounts": []}
    bundle = {"digest": "aa", "size": 1}
    serving = {"config": record.function.config.as_json(), "bundle": bundle, "environment": environment}
    store_openly(database, record, serving=json.dumps(serving))
    assert SECRET.encode() in stored(tmp_path)
    (read,) = table.read_all()
    assert read.function.config.variables == read.serving.config.variables == {"TOKEN": SECRET}
    assert SECRET.encode() not in stored(tmp_path)
    assert table.read_all() == [read]


def test_a_lost_key_is_told_and_nothing_is_overwritten(tmp_path, record):
    """A database under another key says what is missing; with the key put back it opens."""
    file, key = tmp_path / "torpor.db", tmp_path / SEALING_KEY
    with Database(file) as database:
        FunctionTable(database).put(record)
    kept = key.read_bytes()
    key.unlink()
    with Database(file) as database, pytest.raises(SealingKeyLost, match="backup"):
        FunctionTable(database).read_all()
    key.write_bytes(kept)
    with Database(file) as database:
        assert FunctionTable(database).read_all() == [record]


def test_variables_do_not_open_for_another_function(database, record):
    """Who can write the database cannot hand one function's variables to another."""
    table = FunctionTable(database)
    table.put(record)
    with database.begin() as connection:
        row = connection.execute(functions.select()).mappings().one()
        moved = json.dumps({**json.loads(row["config"]), "name": "thief"})
        connection.execute(functions.insert().values({**row, "name": "thief", "config": moved}))
    with pytest.raises(SealBroken, match="thief"):
        table.read_all()
