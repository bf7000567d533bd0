"""What a kill −9 may cost: nothing that was acknowledged, and of the ledger the last second at most."""

import asyncio
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from torpor.core.arn import Home
from torpor.functions.catalog import Catalog
from torpor.store.database import Database
from torpor.store.ledger import Ledger

RECORDING = """
import sys, time
from pathlib import Path
from torpor.core.invocation import Depth, Result, Usage
from torpor.store.database import Database
from torpor.store.ledger import Ledger

ledger = Ledger(Database(Path(sys.argv[1])))
number = 0
while True:
    for _ in range(20):
        ledger.record(Usage(
            function="f", version="$LATEST", request_id=str(number), at=time.time(), depth=Depth.WARM, init_ms=0,
            duration_ms=1, billed_ms=1, memory_mb=128, max_memory_mb=40, cpu_ms=1, result=Result.OK,
        ))
        number += 1
    print(number, time.monotonic(), flush=True)
    time.sleep(0.005)
"""

CREATING = """
import asyncio, sys
from pathlib import Path
from torpor.core.arn import Home
from torpor.core.function import Bundle, FunctionConfig
from torpor.functions import lifecycle
from torpor.functions.catalog import Catalog
from torpor.store.database import Database

async def main():
    catalog = await Catalog.open(Database(Path(sys.argv[1])), Home())
    for number in range(1_000_000):
        config = FunctionConfig(name=f"f{number}", handler="a.h")
        await catalog.add(lifecycle.created(config, Bundle("ab" * 32, 1)))
        print(number + 1, flush=True)

asyncio.run(main())
"""


def run_and_kill(code, path, seconds) -> tuple[list[list[bytes]], float]:
    """What it had printed when it was killed, and when that was."""
    Database(path).close()
    with subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE) as child:
        lines = [child.stdout.readline().split()]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            lines.append(child.stdout.readline().split())
        killed = time.monotonic()
        os.kill(child.pid, signal.SIGKILL)
        lines += [line.split() for line in child.stdout.read().splitlines(keepends=True) if line.endswith(b"\n")]
    return [line for line in lines if line], killed


def is_sound(path) -> bool:
    connection = sqlite3.connect(path)
    (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
    connection.close()
    return verdict == "ok"


@pytest.mark.slow
def test_the_ledger_loses_the_last_second_at_most(tmp_path):
    """Every row that was recorded a second before the kill is there, without a gap, and the database is sound."""
    path = tmp_path / "torpor.db"
    printed, killed = run_and_kill(RECORDING, path, seconds=2.5)
    due = max(int(count) for count, at in printed if float(at) <= killed - 1.0)
    database = Database(path)
    assert is_sound(path)
    ledger = Ledger(database)
    stored = [int(usage.request_id) for usage in ledger.recent("f", limit=1_000_000)][::-1]
    ledger.close()
    database.close()
    assert stored == list(range(len(stored)))
    assert len(stored) >= due > 0


@pytest.mark.slow
def test_an_acknowledged_function_survives(tmp_path):
    """Every function whose creation was answered is there after the kill."""
    path = tmp_path / "torpor.db"
    printed, _ = run_and_kill(CREATING, path, seconds=0.5)
    acknowledged = int(printed[-1][0])
    database = Database(path)
    assert is_sound(path)
    catalog = asyncio.run(Catalog.open(database, Home()))
    assert acknowledged <= len(catalog) <= acknowledged + 1
    assert all(catalog.find(f"f{number}") for number in range(acknowledged))
    database.close()


@pytest.mark.slow
def test_the_disk_is_synced_before_the_acknowledgement(tmp_path):
    """A kill alone proves nothing about the disk: between a change's last write and its answer there is a sync."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed, and nothing else shows the order of system calls")
    path, trace = tmp_path / "torpor.db", tmp_path / "trace"
    Database(path).close()
    command = ["strace", "-f", "-y", "-o", str(trace), "-e", "trace=write,pwrite64,fsync,fdatasync"]
    command += [sys.executable, "-c", CREATING.replace("1_000_000", "3"), str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if "ptrace" in done.stderr.lower():
        pytest.skip(f"this machine does not allow tracing: {done.stderr[:100]}")
    assert done.stdout.split() == ["1", "2", "3"]
    unsynced, acknowledged = False, 0
    for line in trace.read_text().splitlines():
        call = line.split(maxsplit=1)[1]
        if re.match(r"(write|pwrite64)\(\d+<[^>]*torpor\.db(-wal)?>", call):
            unsynced = True
        elif re.match(r"((fsync|fdatasync)\(\d+<[^>]*torpor\.db(-wal)?>\)|<... (fsync|fdatasync) resumed)", call):
            unsynced = False
        elif re.match(r'write\(1<[^>]*>, "\d', call):
            acknowledged += 1
            assert not unsynced, f"acknowledged before it was synced: {call}"
    assert acknowledged == 3
