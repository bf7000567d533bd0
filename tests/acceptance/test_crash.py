"""kill -9 of the server under load, and how it comes back."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import threading
import time
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

STUBBORN = """
import ctypes, os, signal, subprocess, sys, time
for number in range(1, 32):
    if number not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN)
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)
def handler(event, context):
    time.sleep(event.get('s', 0))
    return 'here'
"""


def descendants(pid: int) -> set[int]:
    """Every process below this one, by the kernel's own list."""
    found: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found |= {child} | descendants(child)
    return found


def alive(pids: set[int]) -> set[int]:
    running = set()
    for pid in pids:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if state not in "ZX":
            running.add(pid)
    return running


def cgroups(data: Path) -> list[Path]:
    """Where this server keeps its cgroups, by its own record: other servers may run beside it."""
    return [Path(root) for root in json.loads((data / "run/cgroups.json").read_text())]


def mounts() -> set[str]:
    return set(Path("/proc/self/mountinfo").read_text().splitlines())


@pytest.mark.slow
def test_nothing_outlives_a_killed_server_and_everything_comes_back(start_server, create, eventually):
    """Processes are gone within a second, cgroups by the janitor; at restart every function is there and answers."""
    mounts_before = mounts()
    server = start_server()
    client = create(server, "stubborn", STUBBORN)
    create(server, "other", "def handler(event, context):\n    return event\n")
    for _ in range(3):
        assert json.loads(client.invoke(FunctionName="stubborn")["Payload"].read()) == "here"
    tree = eventually(lambda: descendants(server.process.pid))
    groups = cgroups(server.data)
    stop = threading.Event()

    def load() -> None:
        mine = server.client("lambda")
        while not stop.is_set():
            try:
                mine.invoke(FunctionName="stubborn", Payload=b'{"s": 0.01}')
            except (BotoCoreError, ClientError):
                return

    threads = [threading.Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    eventually(lambda: server.status()["instances"] >= 2)
    tree |= descendants(server.process.pid)
    os.kill(server.process.pid, signal.SIGKILL)
    killed = time.monotonic()
    server.process.wait()
    eventually(lambda: not {p for p in alive(tree) if not _is_janitor(p)}, bound_s=1.0, every_s=0.01)
    assert time.monotonic() - killed < 2
    stop.set()
    for thread in threads:
        thread.join(30)
    eventually(lambda: not alive(tree), bound_s=10)
    eventually(lambda: not [group for group in groups if group.exists()], bound_s=10)
    assert mounts() == mounts_before

    again = start_server(data=server.data)
    client = again.client("lambda")
    assert {f["FunctionName"] for f in client.list_functions()["Functions"]} == {"stubborn", "other"}
    assert json.loads(client.invoke(FunctionName="stubborn")["Payload"].read()) == "here"
    assert json.loads(client.invoke(FunctionName="other", Payload=b"7")["Payload"].read()) == 7
    groups = cgroups(again.data)
    again.stop()
    assert not [group for group in groups if group.exists()]
    assert mounts() == mounts_before


def _is_janitor(pid: int) -> bool:
    try:
        return b"janitor" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


@pytest.mark.slow
def test_an_orderly_stop_finishes_what_runs_and_leaves_a_complete_ledger(start_server, create, eventually):
    """On SIGTERM a running invocation is answered, every invocation is in the ledger, and nothing is left behind."""
    server = start_server()
    client = create(server, "slow", "import time\ndef handler(e, c):\n    time.sleep(e['s'])\n    return 'done'\n")
    for _ in range(5):
        client.invoke(FunctionName="slow", Payload=b'{"s": 0}')
    answers = []
    caller = threading.Thread(
        target=lambda: answers.append(client.invoke(FunctionName="slow", Payload=b'{"s": 1.5}')["Payload"].read())
    )
    caller.start()
    eventually(lambda: json.loads(server.owner("GET", "/_torpor/functions/slow")[2])["instances"]["busy"] == 1)
    tree = descendants(server.process.pid)
    assert server.stop() == 0
    caller.join(10)
    assert answers == [b'"done"']
    assert not alive(tree)
    assert not (server.data / "server.json").exists()
    with sqlite3.connect(server.data / "torpor.db") as database:
        tables = [row[0] for row in database.execute("select name from sqlite_master where type = 'table'")]
        ledger = next(name for name in tables if "ledger" in name or "invocation" in name or "usage" in name)
        assert database.execute(f"select count(*) from {ledger}").fetchone() == (6,)  # noqa: S608 - the name is ours
    database.close()


def test_a_second_up_on_the_same_data_is_refused(server, start_server):
    """The second server says who holds the data folder, and leaves with a code that says so."""
    import subprocess
    import sys

    torpor = str(Path(sys.executable).with_name("torpor"))
    second = subprocess.run(
        [torpor, "up", "--port", "0", "--data", str(server.data)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode not in {0, None}
    assert str(server.process.pid) in second.stderr
    assert server.status()["pid"] == server.process.pid


def test_binding_elsewhere_without_authentication_is_refused(tmp_path):
    """--auth off is for loopback alone."""
    import subprocess
    import sys

    torpor = str(Path(sys.executable).with_name("torpor"))
    done = subprocess.run(
        [torpor, "up", "--host", "0.0.0.0", "--port", "0", "--auth", "off", "--data", str(tmp_path)],  # noqa: S104 - refused
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "auth" in done.stderr
