"""What an instance uses: told by its control groups, or, where there are none for memory, sampled from /proc."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from torpor.sandbox.cgroups import Group

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_KIB = 1024


class Meter(Protocol):
    """Bytes at the most, nanoseconds of processor time, and whether the memory ran out."""

    def peak(self) -> int: ...
    def reset_peak(self) -> None: ...
    def cpu_ns(self) -> int: ...
    def out_of_memory(self) -> bool: ...
    def close(self) -> None: ...


class GroupMeter:
    """Asks the kernel's own accounts."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._last = (0, 0, False)

    def close(self) -> None:
        """Keep the last figures: the groups are about to be removed."""
        self._last = self.peak(), self.cpu_ns(), self.out_of_memory()
        self._group = Group(())

    def peak(self) -> int:
        return self._group.peak() or self._last[0]

    def reset_peak(self) -> None:
        self._group.reset_peak()

    def cpu_ns(self) -> int:
        return self._group.cpu_ns() or self._last[1]

    def out_of_memory(self) -> bool:
        return self._group.oom_kills() > 0 or self._last[2]


class SampledMeter:
    """Adds up the instance's processes now and then: between two samples an instance can overshoot its limit.

    `roots` are its init and, where that is not init's child, its worker. Of what a forked worker was born with nothing
    is counted, not even what it has changed since: the kernel tells nobody without rights which pages those are.
    """

    def __init__(self, roots: Sequence[int], limit: int) -> None:
        self._roots = tuple(roots)
        self._limit = limit
        self._inherited = _memory(roots[-1])[0] if len(roots) > 1 else 0
        self._peak = 0
        self._cpu_ns = 0
        self._exceeded = False

    def sample(self) -> bool:
        """Look at every process inside; True when together they use more than they may."""
        private, shared, cpu_ns = 0, 0, 0
        for pid in (pid for root in self._roots for pid in _tree(root)):
            own, common = _memory(pid)
            private += own - (self._inherited if own >= self._inherited else 0)
            shared = max(shared, common)
            cpu_ns += _processor_time(pid)
        used = private + shared
        self._peak = max(self._peak, used)
        self._cpu_ns = max(self._cpu_ns, cpu_ns)
        self._exceeded = self._exceeded or used > self._limit
        return used > self._limit

    def peak(self) -> int:
        self.sample()
        return self._peak

    def reset_peak(self) -> None:
        self._peak = 0

    @property
    def seen_cpu_ns(self) -> int:
        """Processor time at the last sample."""
        return self._cpu_ns

    def cpu_ns(self) -> int:
        self.sample()
        return self._cpu_ns

    def out_of_memory(self) -> bool:
        return self._exceeded

    def close(self) -> None:
        """What was seen is kept."""


def host_pid(handle: int) -> int:
    """The process id, as we see it, of the process behind a pidfd; -1 when it is gone."""
    for line in Path(f"/proc/self/fdinfo/{handle}").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == "Pid":
            return int(value)
    return -1


def anonymous(handle: int) -> int:
    """Bytes of the process behind a pidfd and of all below it, but for pages of files. Reads /proc: not on a loop."""
    return sum(sum(_memory(pid)) for pid in _tree(host_pid(handle)))


def _tree(pid: int) -> list[int]:
    """A process and all below it. Every orphan inside an instance is its init's child, so none is missed."""
    found, seen = [pid], 0
    while seen < len(found):
        found += _children(found[seen])
        seen += 1
    return found


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        texts = [(task / "children").read_text(encoding="ascii") for task in tasks]
    except OSError:  # it ended meanwhile
        return []
    return [int(child) for text in texts for child in text.split()]


def _memory(pid: int) -> tuple[int, int]:
    """(private, shared) bytes: anonymous pages, and shared memory, which processes inside have in common."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0, 0
    fields = dict(line.split(":", 1) for line in text.splitlines() if line.startswith("Rss"))
    sizes = {name: int(value.split()[0]) * _KIB for name, value in fields.items()}
    return sizes.get("RssAnon", 0), sizes.get("RssShmem", 0)


def _processor_time(pid: int) -> int:
    """Of the process and of its children that it has buried."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return sum(map(int, text.rpartition(")")[2].split()[11:15])) * _TICK_NS


def meter_of(group: Group, handles: Sequence[int], limit: int) -> Meter:
    """The accounts of an instance with this group, and these pidfds: of its init and, if forked, of its worker.

    `limit` in bytes.
    """
    return GroupMeter(group) if group.limits_memory else SampledMeter([host_pid(one) for one in handles], limit)
