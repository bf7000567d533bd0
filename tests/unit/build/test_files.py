"""Durable files, locks that end with their holder, and work that is done once."""

import asyncio
import os
import stat

import pytest

from torpor.build.files import (
    Freed,
    locked,
    locked_nowait,
    remove_tree,
    scratch,
    size_of,
    sweep_scratch,
    sync_tree,
    write_durably,
)
from torpor.build.single import SingleFlight


def test_a_durable_file_replaces_the_old_one_whole(tmp_path):
    """Writing durably replaces the content, sets the mode whatever the umask, and leaves no other file."""
    old = os.umask(0o077)
    try:
        write_durably(tmp_path / "a", b"one")
        write_durably(tmp_path / "a", b"two")
    finally:
        os.umask(old)
    assert (tmp_path / "a").read_bytes() == b"two"
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_small_and_large_trees_are_synced(tmp_path, monkeypatch):
    """A small tree is synced file by file, a large one all at once, and links are left alone."""
    calls = []
    monkeypatch.setattr(os, "fsync", lambda _: calls.append("file"))
    monkeypatch.setattr(os, "sync", lambda: calls.append("all"))
    (tmp_path / "a").write_text("a")
    (tmp_path / "l").symlink_to("/nowhere")
    sync_tree(tmp_path)
    assert calls == ["file", "file"]
    for number in range(100):
        (tmp_path / f"f{number}").touch()
    sync_tree(tmp_path)
    assert calls == ["file", "file", "all"]


def test_read_only_trees_are_removed_and_links_not_followed(tmp_path):
    """A read-only tree goes; what its links point to stays as it is."""
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o500)
    (tmp_path / "t/a/b").mkdir(parents=True)
    (tmp_path / "t/a/b/f").touch()
    (tmp_path / "t/a/out").symlink_to(outside)
    (tmp_path / "t/a/b").chmod(0o555)
    (tmp_path / "t/a").chmod(0o555)
    remove_tree(tmp_path / "t")
    assert not (tmp_path / "t").exists()
    assert stat.S_IMODE(outside.stat().st_mode) == 0o500
    remove_tree(tmp_path / "t")


def test_shared_bytes_are_not_counted_as_freed(tmp_path):
    """Removing one of two hard links gives nothing back; a file of its own gives its blocks."""
    (tmp_path / "t").mkdir()
    (tmp_path / "t/own").write_bytes(b"x" * 10_000)
    (tmp_path / "t/shared").write_bytes(b"x" * 10_000)
    os.link(tmp_path / "t/shared", tmp_path / "other")
    assert 10_000 <= size_of(tmp_path / "t") < 20_000
    assert size_of(tmp_path / "missing") == 0
    assert Freed(1, 2) + Freed(3, 4) == Freed(4, 6)


async def test_a_lock_is_held_by_one_at_a_time(tmp_path):
    """Whoever waits for a lock gets it when the holder is done, even if the file was removed meanwhile."""
    order = []

    async def hold(name):
        async with locked(tmp_path / "l"):
            order.append(f"{name} in")
            with locked_nowait(tmp_path / "l") as had:
                assert not had
            (tmp_path / "l").unlink()
            order.append(f"{name} out")

    await asyncio.gather(hold("a"), hold("b"), hold("c"))
    assert [step.split()[1] for step in order] == ["in", "out"] * 3
    with locked_nowait(tmp_path / "l") as had:
        assert had


async def test_scratch_folders_go_away_and_are_left_alone_in_use(tmp_path):
    """A scratch folder is removed at its end; a sweep removes strays only while nobody works."""
    (tmp_path / "stray").mkdir()
    async with scratch(tmp_path) as one, scratch(tmp_path) as two:
        assert one != two
        sweep_scratch(tmp_path)
        assert one.is_dir()
        assert (tmp_path / "stray").is_dir()
    assert not one.exists()
    sweep_scratch(tmp_path)
    assert not (tmp_path / "stray").exists()


async def test_work_asked_for_twice_is_done_once():
    """Callers of one key share the result or the error; one that leaves does not stop the work."""
    flight, begun, go = SingleFlight(), [], asyncio.Event()

    async def work():
        begun.append(1)
        await go.wait()
        return len(begun)

    first, second = (asyncio.create_task(flight.run("k", work)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert flight.keys() == {"k"}
    go.set()
    assert await second == 1
    assert await flight.run("k", work) == 2

    async def fail():
        raise ValueError("no")

    results = await asyncio.gather(flight.run("f", fail), flight.run("f", fail), return_exceptions=True)
    assert [str(result) for result in results] == ["no", "no"]


async def test_closing_cancels_what_runs():
    """Closing ends the running work, and its callers are told."""
    flight = SingleFlight()
    caller = asyncio.create_task(flight.run("k", asyncio.Event().wait))
    await asyncio.sleep(0)
    await flight.close()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert not flight.keys()
