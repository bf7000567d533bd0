"""The catalog: everything in memory, committed before it is told, in order of names."""

import asyncio
import sqlite3

import pytest

from torpor.core.errors import Conflict, FunctionNotFound
from torpor.core.function import Bundle, Environment
from torpor.functions import lifecycle

BUNDLE = Bundle("ab" * 32, 7)
ENVIRONMENT = Environment("cd" * 32, "/py", "/site", ("/env", "/py"))


@pytest.fixture
def record(config):
    return lambda name="echo", **changes: lifecycle.created(config(name, **changes), BUNDLE)


def stored_names(world) -> list[str]:
    with sqlite3.connect(world.database.path) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM functions ORDER BY name")]
    connection.close()
    return names


async def test_what_is_told_is_on_the_disk(world, record):
    """When a change is answered, another process finds it in the database."""
    await world.catalog.add(record())
    assert stored_names(world) == ["echo"]
    await world.catalog.remove("echo")
    assert stored_names(world) == []


async def test_a_failed_write_changes_nothing(world, record):
    """What could not be stored is not in memory either, and the error reaches the caller."""

    def refuse(_record):
        raise OSError("disk full")

    world.catalog.function_table.put = refuse
    with pytest.raises(OSError, match="disk full"):
        await world.catalog.add(record())
    with pytest.raises(FunctionNotFound):
        world.catalog.get("echo")


async def test_pages_follow_names_whatever_changes_between_them(world, record):
    """Paging by the last name misses and repeats nothing, though functions come and go."""
    for name in ("b", "d", "a", "c"):
        await world.catalog.add(record(name))
    first = world.catalog.list(limit=2)
    assert ([function.name for function in first.functions], first.next) == (["a", "b"], "b")
    await world.catalog.remove("b")
    await world.catalog.add(record("bb"))
    second = world.catalog.list(after=first.next, limit=2)
    assert ([function.name for function in second.functions], second.next) == (["bb", "c"], "c")
    last = world.catalog.list(after=second.next, limit=2)
    assert ([function.name for function in last.functions], last.next) == (["d"], None)
    assert world.catalog.list(after="z").functions == ()
    assert len(world.catalog) == 4


async def test_of_two_changes_from_one_state_the_second_conflicts(world, record):
    """Nobody overwrites what he has not seen."""
    old = await world.catalog.add(record())
    built = lifecycle.succeeded(old, ENVIRONMENT)
    results = await asyncio.gather(
        world.catalog.replace(old, built),
        world.catalog.replace(old, lifecycle.failed(old, OSError())),
        return_exceptions=True,
    )
    assert results[0] is built
    assert isinstance(results[1], Conflict)
    assert world.catalog.record("echo") is built


async def test_everything_survives_a_restart(world, config):
    """A record read back equals the one written, with all it says and what serves."""
    changes = {
        "variables": {"KEY": "ü"},
        "tags": {"a": "b"},
        "reach": ("a.com:443",),
        "permissions": ("sqs:*",),
        "keep_alive_s": 1.5,
    }
    created = await world.catalog.add(lifecycle.created(config(**changes), BUNDLE))
    built = await world.catalog.replace(created, lifecycle.succeeded(created, ENVIRONMENT))
    assert (await world.reopened()).catalog.record("echo") == built
    updating = lifecycle.updating(built, built.function.config.evolve(memory_mb=512), Bundle("ef" * 32, 9))
    await world.catalog.replace(built, updating)
    read = (await world.reopened()).catalog.record("echo")
    assert read == updating
    assert read.serving == built.serving


async def test_a_qualifier_other_than_latest_is_not_found(world, record):
    """There are no versions yet, and their ARN is named."""
    await world.catalog.add(record())
    assert world.catalog.get("echo", "$LATEST").name == "echo"
    with pytest.raises(FunctionNotFound, match=r":function:echo:7$"):
        world.catalog.get("echo", "7")
