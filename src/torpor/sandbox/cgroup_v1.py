"""One group in a version 1 hierarchy, with whichever of memory, pids, cpu and cpuacct are mounted there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_PEAK = "memory.max_usage_in_bytes"
_SHARES_OF_A_CORE = 1024


class V1Part:
    """Implements cgroups.Part."""

    def __init__(self, folder: Path, controllers: frozenset[str]) -> None:
        self.folder = folder
        self.limits = controllers
        self._kept: dict[str, int] = {}  # open statistics: read on every invocation

    def bound(self, memory: int, processes: int, cpu: float) -> None:
        if "memory" in self.limits:
            self._bound_memory(memory)
        if "pids" in self.limits:
            self._write("pids.max", processes)
        if "cpu" in self.limits:
            self._write("cpu.shares", max(2, round(cpu * _SHARES_OF_A_CORE)))

    def _bound_memory(self, memory: int) -> None:
        """The limit with swap is never below that without: it is raised first, and lowered last."""
        with_swap = (self.folder / "memory.memsw.limit_in_bytes").exists()  # else the kernel does not account for it
        try:
            self._write("memory.limit_in_bytes", memory)
        except OSError as error:
            if error.errno != errno.EINVAL or not with_swap:
                raise
            self._write("memory.memsw.limit_in_bytes", memory)
            self._write("memory.limit_in_bytes", memory)
            return
        if with_swap:
            self._write("memory.memsw.limit_in_bytes", memory)

    def entry(self) -> int:
        """By this file a process with one thread moves itself without waiting for RCU, unlike by cgroup.procs."""
        return os.open(self.folder / "tasks", os.O_WRONLY | os.O_CLOEXEC)

    def peak(self) -> int | None:
        return int(self._read(_PEAK)) if "memory" in self.limits else None

    def reset_peak(self) -> None:
        if "memory" in self.limits:
            os.pwrite(self._open(_PEAK), b"0", 0)

    def cpu_ns(self) -> int | None:
        return int(self._read("cpuacct.usage")) if "cpuacct" in self.limits else None

    def oom_kills(self) -> int | None:
        if "memory" not in self.limits:
            return None
        rows = (line.split() for line in self._read("memory.oom_control").splitlines())
        return next((int(row[1]) for row in rows if row[0] == b"oom_kill"), 0)

    def oom_alarm(self) -> int | None:
        """An eventfd that the kernel counts up when the limit is met, shortly before the victim is ended."""
        if "memory" not in self.limits:
            return None
        alarm = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        try:
            self._write("cgroup.event_control", f"{alarm} {self._open('memory.oom_control')}")
        except OSError:
            os.close(alarm)
            return None
        return alarm

    def freeze(self, *, frozen: bool) -> bool:  # noqa: ARG002 -- never: a task frozen here would ignore SIGKILL
        return False

    def close(self) -> None:
        for fd in self._kept.values():
            os.close(fd)
        self._kept.clear()

    def _write(self, name: str, value: object) -> None:
        fd = os.open(self.folder / name, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, str(value).encode())
        finally:
            os.close(fd)

    def _open(self, name: str) -> int:
        if name not in self._kept:
            writable = os.O_RDWR if name == _PEAK else os.O_RDONLY
            self._kept[name] = os.open(self.folder / name, writable | os.O_CLOEXEC)
        return self._kept[name]

    def _read(self, name: str) -> bytes:
        return os.pread(self._open(name), 4096, 0)
