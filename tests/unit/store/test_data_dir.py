"""The data folder: its lock, format, key and record."""

import json
import os
import re
import stat
import subprocess
import sys

import pytest

from torpor.store import data_dir
from torpor.store.data_dir import (
    DataDirInUse,
    DataDirUnusable,
    ServerRecord,
    open_data_dir,
    read_key,
    read_server_record,
)


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def record(pid: int) -> ServerRecord:
    return ServerRecord(url="http://127.0.0.1:7070", pid=pid, host="127.0.0.1", port=7070, started=1.0, version="0.1.0")


def test_everything_is_private(tmp_path):
    """Folders and files are their owner's alone, whatever the umask."""
    old = os.umask(0)
    try:
        with open_data_dir(tmp_path / "a" / "data") as data:
            data.write_server_record(record(os.getpid()))
            assert mode(data.path) == 0o700
            for folder in (data.artifacts, data.code, data.environments, data.logs, data.run):
                assert mode(folder) == 0o700
            for name in ("key.json", "server.json", "lock", "format"):
                assert mode(data.path / name) == 0o600
    finally:
        os.umask(old)


def test_the_key_is_made_once(tmp_path):
    """The key has the form clients expect, and is the same at the next start."""
    with open_data_dir(tmp_path / "d") as data:
        first = data.key
    with open_data_dir(tmp_path / "d") as data:
        assert data.key == first == read_key(tmp_path / "d")
    assert re.fullmatch(r"TORPOR[A-Z0-9]{14}", first.access_key_id)
    assert len(first.secret_access_key) == 40
    assert len(first.token) >= 40
    with open_data_dir(tmp_path / "other") as other:
        assert other.key.token != first.token


def test_a_key_that_was_copied_openly_is_closed_again(tmp_path):
    """A restored backup does not leave the key readable to others."""
    open_data_dir(tmp_path / "d").close()
    (tmp_path / "d" / "key.json").chmod(0o644)
    with open_data_dir(tmp_path / "d"):
        assert mode(tmp_path / "d" / "key.json") == 0o600


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"access_key_id": 1, "secret_access_key": "", "token": "t"}'])
def test_a_damaged_key_is_not_replaced_silently(tmp_path, text):
    """A key that cannot be read stops the start, names the file, and lets go of the lock."""
    open_data_dir(tmp_path / "d").close()
    (tmp_path / "d" / "key.json").write_text(text)
    with pytest.raises(DataDirUnusable, match=r"key\.json"):
        open_data_dir(tmp_path / "d")
    (tmp_path / "d" / "key.json").unlink()
    open_data_dir(tmp_path / "d").close()


def test_a_second_server_is_refused_and_told_of_the_first(tmp_path):
    """Who comes second learns the process and address of the first, at once."""
    with open_data_dir(tmp_path / "d") as data:
        data.write_server_record(record(os.getpid()))
        with pytest.raises(DataDirInUse, match=rf"process {os.getpid()}, http://127\.0\.0\.1:7070"):
            open_data_dir(tmp_path / "d")
        assert read_server_record(tmp_path / "d") == record(os.getpid())
    assert read_server_record(tmp_path / "d") is None
    open_data_dir(tmp_path / "d").close()


def test_a_lock_without_a_record_is_waited_for_then_refused(tmp_path):
    """Where the holder has not said who it is, it may be a dying one: wait a little, then refuse."""
    with open_data_dir(tmp_path / "d"), pytest.raises(DataDirInUse, match="has not said yet where it serves"):
        open_data_dir(tmp_path / "d", wait_s=0.05)


HOLDER = """
import sys
from pathlib import Path
from torpor.store.data_dir import open_data_dir
data = open_data_dir(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_the_remains_of_a_killed_server_are_waited_for(tmp_path, monkeypatch):
    """While a dead server's children still hold the lock, the next one waits instead of giving up."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "d")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        gone = subprocess.Popen(["true"])
        gone.wait()
        (tmp_path / "d" / "server.json").write_text(json.dumps(_plain(gone.pid)))
        polls = []

        def poll(_seconds):
            polls.append(1)
            if len(polls) == 3:  # the last of the dead server's children ends
                holder.communicate()

        monkeypatch.setattr(data_dir.time, "sleep", poll)
        with open_data_dir(tmp_path / "d", wait_s=10) as data:
            assert read_server_record(data.path) is None
    assert len(polls) >= 3


def _plain(pid: int) -> dict:
    return {"url": "http://x", "pid": pid, "host": "x", "port": 1, "started": 1.0, "version": "0"}


def test_a_stranger_s_folder_is_left_alone(tmp_path):
    """A folder with other things in it is refused untouched."""
    (tmp_path / "thesis.tex").write_text("precious")
    tmp_path.chmod(0o755)
    with pytest.raises(DataDirUnusable, match=r"thesis\.tex"):
        open_data_dir(tmp_path)
    assert mode(tmp_path) == 0o755
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_way_is_named(tmp_path):
    """A path that cannot be a folder gives one clear error."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DataDirUnusable, match="file"):
        open_data_dir(tmp_path / "file" / "data")


def test_a_newer_format_is_refused(tmp_path):
    """What a newer torpor wrote is not touched by an older one."""
    open_data_dir(tmp_path / "d").close()
    (tmp_path / "d" / "format").write_text("99\n")
    with pytest.raises(DataDirUnusable, match=r"data format 99.*newer version"):
        open_data_dir(tmp_path / "d")
    (tmp_path / "d" / "format").write_text("one\n")
    with pytest.raises(DataDirUnusable, match="no format number"):
        open_data_dir(tmp_path / "d")


def test_an_older_format_is_brought_forward_step_by_step(tmp_path, monkeypatch):
    """Each step runs once, in order, and the format is written after each."""
    open_data_dir(tmp_path / "d").close()
    done = []
    file = tmp_path / "d" / "format"
    steps = {1: lambda path: done.append((1, file.read_text())), 2: lambda path: done.append((2, file.read_text()))}
    monkeypatch.setattr(data_dir, "FORMAT", 3)
    monkeypatch.setattr(data_dir, "_MIGRATIONS", steps)
    open_data_dir(tmp_path / "d").close()
    open_data_dir(tmp_path / "d").close()
    assert done == [(1, "1\n"), (2, "2\n")]
    assert file.read_text() == "3\n"


def test_a_half_made_folder_is_finished(tmp_path):
    """A first start that was killed before it had written the format is completed by the next."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "lock").touch()
    (tmp_path / "d" / ".format.123").touch()
    with open_data_dir(tmp_path / "d") as data:
        assert data.key.token


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_an_unreadable_record_is_none(tmp_path, text):
    """A torn record of a server is the same as none."""
    (tmp_path / "server.json").write_text(text)
    assert read_server_record(tmp_path) is None
    assert read_key(tmp_path) is None


def test_closing_twice_is_harmless(tmp_path):
    """The second close does nothing, not even to a record that the next server wrote."""
    first = open_data_dir(tmp_path / "d")
    first.close()
    with open_data_dir(tmp_path / "d") as second:
        second.write_server_record(record(1))
        first.close()
        assert read_server_record(tmp_path / "d") == record(1)
