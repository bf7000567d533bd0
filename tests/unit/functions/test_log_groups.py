"""Retention on the disk, and groups that are no function's."""

import os

import pytest

from torpor.core.log_group import LogGroup, function_of, key_of
from torpor.functions.log_groups import LogGroups, Wanted
from torpor.store.database import Database
from torpor.store.log_group_table import LogGroupTable
from torpor.store.logs import LogOptions, LogStore

DAY = 86_400


class Nothing:
    """No functions."""

    def find(self, name):
        return None

    def records(self):
        return ()


class Clock:
    now = 1_000_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path):
    store = LogStore(tmp_path / "logs", LogOptions(group_s=0))
    yield store
    store.close()


@pytest.fixture
def groups(tmp_path, store, clock):
    with Database(tmp_path / "torpor.db") as database:
        yield LogGroups(LogGroupTable(database), Nothing(), store, clock)


async def everything(groups, name):
    return [event.line.line for event in (await groups.read(name, Wanted(), start=None, limit=100)).events]


async def test_old_segments_go_from_the_disk(groups, store, clock):
    """A day's lines are in segments of their own, and go when the last of them is too old."""
    await groups.create("app", {})
    await groups.change("app", lambda group: group.evolve(retention_days=3))

    def written():
        return b"".join(path.read_bytes() for path in sorted(store.files("=app").folder.iterdir()))

    for day in range(6):
        store.write("=app", "s", "", int(clock.now * 1000), f"day-{day}".encode())
        files = store.files("=app")
        os.utime(files.folder / f"{files.numbers()[-1]:08}.jsonl", (clock.now, clock.now))
        clock.now += DAY + 1
        await groups.sweep()
    assert b"day-5" in written()
    assert b"day-4" in written()
    assert b"day-3" not in written()
    assert await everything(groups, "app") == ["day-4", "day-5"]


async def test_a_made_group_outlives_the_server_and_garbage_collection(groups, store, tmp_path):
    """Read again at the next start, and kept by the sweep of deleted functions' logs."""
    await groups.create("/app/Web", {"k": "v"})
    store.write("=/app/Web", "s", "", 1, b"line")
    assert await everything(groups, "/app/Web") == ["line"]
    assert store.sweep({"f", *groups.kept()}) == 0
    assert await everything(groups, "/app/Web") == ["line"]
    again = LogGroups(groups._table, Nothing(), store)
    await again.open()
    assert again.get("/app/Web").tags == {"k": "v"}
    await again.close()
    assert store.sweep({"f"}) == 1


@pytest.mark.parametrize(
    ("group", "function", "key"),
    [
        ("/aws/lambda/f", "f", "f"),
        ("/aws/lambda/a/b", None, "=/aws/lambda/a/b"),
        ("f", None, "=f"),
        ("/app", None, "=/app"),
    ],
)
def test_a_group_and_a_function_never_share_a_log(group, function, key):
    """A group that has a function's bare name is another one."""
    assert (function_of(group), key_of(group)) == (function, key)
    assert LogGroup(name=group).name == group


async def test_long_and_odd_names_have_folders(groups, store):
    """Up to 512 characters, upper and lower case apart."""
    names = ["A" * 512, "a" * 512, "A" * 511 + "b", "../x", "."]
    for number, name in enumerate(names):
        await groups.create(name, {})
        store.write(key_of(name), "s", "", 1, f"{number}".encode())
    for number, name in enumerate(names):
        assert await everything(groups, name) == [f"{number}"]


@pytest.mark.parametrize("newest", [False, True])
async def test_a_long_search_goes_on_where_it_ended(groups, store, newest):
    """When the time is up, what was found is told, and the place to go on from; nothing is missed or told twice."""
    groups._scan_s = 0.0  # every line takes too long
    await groups.create("app", {})
    for number in range(6):
        store.write(key_of("app"), "s", "r", 1_000_000_000_000 + number, b"%d" % number)
    wanted, seen, place = Wanted(matches=lambda line: int(line) % 2 == 0), [], None
    while (page := await groups.read("app", wanted, start=place, limit=100, newest=newest)).more:
        seen += [event.line.line for event in page.events]
        place = page.before if newest else page.behind
    assert seen == (["4", "2", "0"] if newest else ["0", "2", "4"])
