"""Finds the processes of a server by what they are, and kills some of them."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from threading import Event

# How often each is chosen. Commands (uv), the janitor and the sentinel are left alone.
WEIGHTS = {"worker": 6, "init": 3, "zygote": 1, "nest": 0.3, "keeper": 0.2}


@dataclass(frozen=True)
class Process:
    pid: int
    parent: int
    command: bytes
    inner: int  # its number in its own PID namespace


def processes() -> dict[int, Process]:
    """Every process of this machine, by number."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (process := _read(entry)) is not None:
            found[process.pid] = process
    return found


def _read(entry: Path) -> Process | None:
    try:
        fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
        numbers = next(x for x in (entry / "status").read_text().splitlines() if x.startswith("NSpid"))
        command = (entry / "cmdline").read_bytes()
    except (OSError, StopIteration):
        return None
    if fields[0] in "ZX":
        return None
    return Process(int(entry.name), int(fields[1]), command, int(numbers.split()[-1]))


def below(server: int) -> dict[int, str]:
    """What each process below the server is; `other` is what handlers started."""
    everything = processes()
    children: dict[int, list[Process]] = {}
    for process in everything.values():
        children.setdefault(process.parent, []).append(process)
    kinds: dict[int, str] = {}
    for child in children.get(server, []):
        kinds[child.pid] = "janitor" if b"janitor" in child.command else "sentinel"
        if kinds[child.pid] == "sentinel":
            for ordered in children.get(child.pid, []):
                _tell_order(ordered, child, children, kinds)
    waiting = list(kinds)
    while waiting:
        found = [one.pid for one in children.get(waiting.pop(), []) if kinds.setdefault(one.pid, "other") == "other"]
        waiting.extend(found)
    return kinds


def _tell_order(ordered: Process, sentinel: Process, children: dict[int, list[Process]], kinds: dict[int, str]) -> None:
    """A process that the sentinel forked, and what it forked in turn."""
    kinds[ordered.pid] = "order"
    for child in children.get(ordered.pid, []):
        if b"bootstrap.py" in child.command:
            kinds[ordered.pid], kinds[child.pid] = "init", "worker"
        elif child.command == sentinel.command and child.inner == 1:
            kinds[ordered.pid], kinds[child.pid] = "keeper", "nest"
            for one in children.get(child.pid, []):
                forked = b"torpor.runtime.zygote" in one.command
                kinds[one.pid] = "init" if one.inner == 1 else "worker" if forked and one.inner == 2 else "zygote"


def kill_one(server: int, chance: random.Random) -> str | None:
    """Kill a process of a kind chosen by weight, if there is one; returns its kind."""
    kinds = below(server)
    there = [kind for kind in WEIGHTS if kind in kinds.values()]
    if not there:
        return None
    (kind,) = chance.choices(there, [WEIGHTS[kind] for kind in there])
    pid = chance.choice(sorted(pid for pid, one in kinds.items() if one == kind))
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return None
    try:
        if below(server).get(pid) != kind:  # the number is another's by now
            return None
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return None
    finally:
        os.close(handle)
    return kind


def kill_until(stop: Event, server: int, chance: random.Random) -> Counter[str]:
    """Three in two seconds or so; returns how many of each kind."""
    killed: Counter[str] = Counter()
    while not stop.wait(chance.uniform(0.2, 1.1)):
        if kind := kill_one(server, chance):
            killed[kind] += 1
    return killed


def traces(server: int, groups: list[Path]) -> dict[str, int]:
    """What could be left behind, counted."""
    kinds = Counter(below(server).values())
    status = Path(f"/proc/{server}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in status)
    return {
        "descriptors": len(list(Path(f"/proc/{server}/fd").iterdir())),
        "threads": int(fields["Threads"]),
        "memory_mb": int(fields["VmRSS"].split()[0]) // 1024,
        "cgroups": sum(1 for root in groups for _ in os.walk(root)),  # which passes over what vanishes
        "mounts": len(Path(f"/proc/{server}/mountinfo").read_text().splitlines()),
        "processes": sum(kinds.values()),
        **kinds,
    }


def wait_for(condition: object, within_s: float) -> bool:
    """Poll, bounded."""
    assert callable(condition)
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True
