"""Logs: taken without waiting, bounded, read back and followed."""

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor.core.errors import InvalidValue
from torpor.store.log_files import LogFiles, LogLine, Position, decode_line, encode_line, folder_name
from torpor.store.logs import LogOptions, LogStore, LogUnavailable

QUICK = LogOptions(group_s=0)


@pytest.fixture
def logs(tmp_path):
    store = LogStore(tmp_path / "logs", QUICK)
    yield store
    store.close()


def say(store, *lines, function="f", request_id="r", at_ms=1000) -> None:
    for line in lines:
        store.write(function, "stdout", request_id, at_ms, line.encode())


async def texts(store, function="f", **filters) -> list[str]:
    return [line.line for line in await store.read(function, **filters)]


async def test_what_is_written_is_read_at_once(logs):
    """A reader sees every line that was written before, as it was, and each function's own only."""
    logs.write("f", "stderr", "r-1", 1234, "héllo\t\x00".encode())
    logs.write("g", "stdout", "r-2", 1, b"other")
    assert await logs.read("f") == [LogLine(at_ms=1234, stream="stderr", request_id="r-1", line="héllo\t\x00")]
    assert await logs.read("never") == []


async def test_several_lines_may_be_one_record(logs):
    """Read, each is a line by itself: the first with its own time, and in order, also when the newest are asked for."""
    logs.write("f", "s", "r-1", 50, b"START\nEND\nREPORT", start_ms=40)
    lines = await logs.read("f")
    assert [(line.at_ms, line.line) for line in lines] == [(40, "START"), (50, "END"), (50, "REPORT")]
    assert [line.line for line in await logs.read("f", limit=2)] == ["END", "REPORT"]
    assert await logs.read("f", request_id="r-2") == []


async def test_filters(logs):
    """By time, by request, and the newest so many, oldest first."""
    for number in range(10):
        say(logs, f"line {number}", request_id=f"r-{number % 2}", at_ms=number * 1000)
    assert await texts(logs, limit=2) == ["line 8", "line 9"]
    assert await texts(logs, since_ms=7000) == ["line 7", "line 8", "line 9"]
    assert await texts(logs, request_id="r-1", limit=2) == ["line 7", "line 9"]
    assert await texts(logs, request_id="r") == []
    assert await texts(logs, limit=0) == []


async def test_a_request_id_in_the_text_is_not_a_match(logs):
    """A line that only mentions a request is not of that request."""
    say(logs, "mentions r-1", request_id="r-2")
    assert await texts(logs, request_id="r-1") == []


async def test_bytes_that_are_no_text_are_kept_readable(logs):
    """Broken UTF-8 does not break the log."""
    logs.write("f", "stdout", "r", 1, b"\xff\xfeok")
    assert await texts(logs) == ["\ufffd\ufffdok"]


async def test_long_lines_are_cut_into_pieces(tmp_path):
    """A line without end does not become one piece without end."""
    store = LogStore(tmp_path, LogOptions(group_s=0, line_bytes=10))
    say(store, "x" * 25)
    assert await texts(store) == ["x" * 10, "x" * 10, "x" * 5]
    store.close()


async def test_the_log_of_a_function_is_bounded(tmp_path):
    """Old segments go when new ones come; what is there is the newest, without a gap."""
    store = LogStore(tmp_path, LogOptions(group_s=0, segment_bytes=1000, segments=3))
    for number in range(200):
        say(store, f"line {number:05}")
    lines = await texts(store)
    assert lines == [f"line {number:05}" for number in range(200 - len(lines), 200)]
    sizes = [path.stat().st_size for path in (tmp_path / "f").iterdir()]
    assert len(sizes) == 3
    assert all(size <= 1000 for size in sizes)
    store.close()


async def test_the_log_goes_on_after_a_restart(tmp_path):
    """A new store appends to what the last one left, also when that was killed in mid-line."""
    first = LogStore(tmp_path, QUICK)
    say(first, "one")
    first.close()
    segment = next((tmp_path / "f").iterdir())
    with segment.open("ab") as file:
        file.write(b'{"at_ms":1,"stre')
    second = LogStore(tmp_path, QUICK)
    assert await texts(second) == ["one"]
    say(second, "two")
    assert await texts(second) == ["one", "two"]
    second.close()


async def test_following_gives_the_past_then_the_present(logs, within):
    """A follower sees what there was and each line as it comes, once and in order, and only what it asked for."""
    say(logs, "old", "older request", request_id="r-1")
    lines = logs.follow("f", request_id="r-1", limit=1)
    assert (await within(anext(lines))).line == "older request"
    waiting = asyncio.ensure_future(anext(lines))
    say(logs, "not mine", request_id="r-2")
    say(logs, "new", request_id="r-1")
    assert (await within(waiting)).line == "new"
    for number in range(50):
        say(logs, f"{number}", request_id="r-1")
    assert [(await within(anext(lines))).line for _ in range(50)] == [str(number) for number in range(50)]
    await lines.aclose()
    assert not logs._followers


async def test_a_slow_follower_misses_nothing_that_is_kept(tmp_path, within):
    """A follower reads from the files, over their rotation, at its own pace."""
    store = LogStore(tmp_path, LogOptions(group_s=0, segment_bytes=500, segments=1000))
    say(store, "first")
    lines = store.follow("f")
    assert (await within(anext(lines))).line == "first"
    for number in range(300):
        say(store, str(number))
    assert [(await within(anext(lines))).line for _ in range(300)] == [str(number) for number in range(300)]
    await lines.aclose()
    store.close()


async def test_a_follower_outlives_its_function_s_deletion(logs, within):
    """When a function is deleted and made again, its follower goes on with the new one."""
    say(logs, *(f"long line number {number}" for number in range(50)))
    lines = logs.follow("f", limit=1)
    assert (await within(anext(lines))).line == "long line number 49"
    following = asyncio.ensure_future(anext(lines))
    await logs.delete("f")
    say(logs, "born again")
    assert (await within(following)).line == "born again"
    await lines.aclose()


async def test_closing_ends_followers_after_the_last_line(tmp_path, within):
    """An orderly stop gives followers everything, and then their end."""
    store = LogStore(tmp_path, LogOptions(group_s=3600))
    say(store, "hello")
    lines = store.follow("f")
    assert (await within(anext(lines))).line == "hello"
    following = asyncio.ensure_future(anext(lines))
    say(store, "goodbye")
    await asyncio.to_thread(store.close)
    assert (await within(following)).line == "goodbye"
    with pytest.raises(StopAsyncIteration):
        await within(anext(lines))
    store.close()


async def test_delete_removes_what_is_on_its_way_too(logs):
    """After a deletion nothing of the function is left, on the disk or coming to it."""
    say(logs, *map(str, range(100)))
    await logs.delete("f")
    assert await texts(logs) == []
    await logs.delete("f")


async def test_a_deletion_that_fails_is_told(logs, monkeypatch):
    """When the disk refuses to delete, the caller learns it."""
    say(logs, "x")
    await texts(logs)

    def refuse(_self):
        raise PermissionError("no")

    monkeypatch.setattr(LogFiles, "delete", refuse)
    with pytest.raises(LogUnavailable, match="no"):
        await logs.delete("f")


async def test_a_stuck_disk_costs_lines_not_memory(tmp_path, monkeypatch):
    """While the disk does not answer, what exceeds the bound is dropped at once, and counted where it is missing."""
    release, entered = threading.Event(), threading.Event()
    append = LogFiles.append

    def stuck(self, data, **bounds):
        entered.set()
        assert release.wait(10)
        append(self, data, **bounds)

    monkeypatch.setattr(LogFiles, "append", stuck)
    store = LogStore(tmp_path, LogOptions(group_s=0, queue_bytes=10_000))
    say(store, "first")
    await asyncio.to_thread(entered.wait, 10)
    say(store, *("x" * 800 for _ in range(50)))
    release.set()
    lines = await texts(store)
    kept = lines.count("x" * 800)
    assert 5 <= kept <= 12
    assert lines[-1] == f"{50 - kept} lines are missing here: they came faster than the disk took them"
    store.close()


async def test_a_hanging_disk_holds_up_nobody_for_ever(tmp_path, monkeypatch):
    """Who reads gets what there is, who deletes an error, when the disk does not answer in time."""
    release, entered = threading.Event(), threading.Event()
    append = LogFiles.append

    def stuck(self, data, **bounds):
        entered.set()
        assert release.wait(10)
        append(self, data, **bounds)

    monkeypatch.setattr(LogFiles, "append", stuck)
    store = LogStore(tmp_path, LogOptions(group_s=0, patience_s=0.01))
    say(store, "stuck")
    await asyncio.to_thread(entered.wait, 10)
    assert await texts(store) == []
    with pytest.raises(LogUnavailable, match="the disk does not answer"):
        await store.delete("f")
    store.close()
    release.set()
    store.close()
    store._thread.join(10)


async def test_a_failing_disk_is_survived(tmp_path, monkeypatch):
    """Lines that could not be written are counted when writing works again; the store goes on."""
    append = LogFiles.append
    failing = True

    def sometimes(self, data, **bounds):
        if failing:
            raise OSError("disk full")
        append(self, data, **bounds)

    monkeypatch.setattr(LogFiles, "append", sometimes)
    store = LogStore(tmp_path, QUICK)
    say(store, "lost")
    assert await texts(store) == []
    failing = False
    say(store, "kept")
    lines = await texts(store)
    assert lines[0].startswith("1 lines are missing here")
    assert lines[1] == "kept"
    store.close()


def test_sweep_keeps_what_it_is_told_to(logs, tmp_path):
    """Logs of functions that are gone are removed, also of those whose names differ in case only."""
    for function in ("keep", "Keep", "gone"):
        say(logs, "x", function=function)
    logs._order(lambda: None).done.wait(10)
    assert logs.sweep({"keep", "Keep"}) == 1
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == ["+keep", "keep"]


@pytest.mark.parametrize("name", ["../up", "a/b", "", ".", "x" * 65, "a\0"])
async def test_names_never_leave_the_folder(logs, tmp_path, name):
    """What is no function's name is refused by readers, and never becomes a path."""
    with pytest.raises(InvalidValue):
        await logs.read(name)
    logs.write(name, "stdout", "r", 1, b"x")
    await logs.read("f")
    assert not (tmp_path / "logs").exists()


@given(st.lists(st.text("abAB01_-", min_size=1, max_size=6), min_size=2, unique=True))
def test_every_function_has_a_folder_of_its_own(names):
    """Names stay apart even on a file system that ignores case."""
    folders = [folder_name(name).lower() for name in names]
    assert len(set(folders)) == len(names)


@given(st.integers(0, 2**53), st.text(), st.text(), st.text())
def test_lines_survive_their_encoding(at_ms, stream, request_id, line):
    """Any text comes back as it was, on one line."""
    try:
        encoded = encode_line(LogLine(at_ms=at_ms, stream=stream, request_id=request_id, line=line))
    except UnicodeEncodeError:
        return
    assert encoded.count(b"\n") == 1
    assert decode_line(encoded[:-1]) == LogLine(at_ms=at_ms, stream=stream, request_id=request_id, line=line)


def test_reading_on_from_a_place(tmp_path):
    """Places are between lines, and a torn last line is not given out."""
    files = LogFiles(tmp_path, "f")
    assert files.end() == Position()
    assert files.after(Position()) == ([], Position())
    files.append(b"1\n2\n", segment_bytes=4, segments=9)
    middle = files.end()
    files.append(b"3\n", segment_bytes=4, segments=9)
    with (files.folder / "00000002.jsonl").open("ab") as file:
        file.write(b"torn")
    assert files.after(middle) == ([b"3"], Position(2, 2))
    assert files.after(Position(2, 2)) == ([], Position(2, 2))
    assert list(files.lines_backwards(files.end())) == [b"3", b"2", b"1"]
