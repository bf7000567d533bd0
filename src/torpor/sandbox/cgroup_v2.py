"""One group in the version 2 hierarchy, with whichever of memory, pids and cpu are delegated to us.

Tried on real kernels only without controllers (the hybrid layout); with them, against a
folder of plain files that stands for the kernel's.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

FREEZER = "cgroup.freeze"  # needs no controller
_WEIGHT_OF_A_CORE = 100  # the kernel's default
_MANAGED = frozenset({"memory", "pids", "cpu"})


def prepare(own: Path, root: Path, available: frozenset[str]) -> frozenset[str]:
    """Let groups below `root` have the controllers of our own group; returns those they got.

    A group whose children have controllers may hold no process, so the server first moves into a leaf of its own. That
    is done only where it is alone in its group: other programs are not ours to move.
    """
    wanted = available & _MANAGED
    if not wanted:
        return frozenset()
    words = " ".join(f"+{name}" for name in sorted(wanted))
    try:
        if not _writes(own / "cgroup.subtree_control", words):
            _move_into_leaf(own, own / f"{root.name}-server")
            (own / "cgroup.subtree_control").write_text(words, encoding="ascii")
        (root / "cgroup.subtree_control").write_text(words, encoding="ascii")
    except OSError:
        return frozenset()
    return wanted


def by_threads(folder: Path) -> bool:
    """Make this a group that threads may enter, below one that is: who has one then need not wait for RCU to do so.

    False where the kernel or the layout forbids it, and always with controllers, which take whole processes.
    """
    return _writes(folder / "cgroup.type", "threaded")


def _below_threads(folder: Path) -> bool:
    """Anywhere else a group that threads enter is closed to those outside."""
    with contextlib.suppress(OSError):
        return (folder.parent / "cgroup.type").read_text(encoding="ascii").strip() == "threaded"
    return False


def _move_into_leaf(own: Path, leaf: Path) -> None:
    present = (own / "cgroup.procs").read_text(encoding="ascii").split()
    if present != [str(os.getpid())]:
        raise OSError("other processes share this control group")
    leaf.mkdir()
    (leaf / "cgroup.procs").write_text(present[0], encoding="ascii")


def _writes(path: Path, text: str) -> bool:
    try:
        path.write_text(text, encoding="ascii")
    except OSError:
        return False
    return True


class V2Part:
    """Implements cgroups.Part."""

    def __init__(self, folder: Path, controllers: frozenset[str]) -> None:
        self.folder = folder
        self.limits = controllers
        self._kept: dict[str, int] = {}
        self._entry = "cgroup.threads" if _below_threads(folder) and by_threads(folder) else "cgroup.procs"

    def bound(self, memory: int, processes: int, cpu: float) -> None:
        if "memory" in self.limits:
            self._write("memory.max", memory)
            self._write("memory.oom.group", 1)  # the kernel then ends the whole instance, not one of its processes
            with contextlib.suppress(FileNotFoundError):  # kernels without swap
                self._write("memory.swap.max", 0)
        if "pids" in self.limits:
            self._write("pids.max", processes)
        if "cpu" in self.limits:
            self._write("cpu.weight", min(10_000, max(1, round(cpu * _WEIGHT_OF_A_CORE))))

    def entry(self) -> int:
        return os.open(self.folder / self._entry, os.O_WRONLY | os.O_CLOEXEC)

    def peak(self) -> int | None:
        if "memory" not in self.limits:
            return None
        try:
            return int(self._read("memory.peak", os.O_RDWR))
        except FileNotFoundError:  # before Linux 5.19
            return int(self._read("memory.current"))

    def reset_peak(self) -> None:
        """From Linux 6.12 on, for this open file alone; before, the peak stays that of the whole life."""
        if "memory" in self.limits:
            with contextlib.suppress(OSError):
                os.pwrite(self._open("memory.peak", os.O_RDWR), b"0", 0)

    def cpu_ns(self) -> int | None:
        try:
            return self._field("cpu.stat", b"usage_usec") * 1000  # counted with or without the controller
        except FileNotFoundError:
            return None

    def oom_kills(self) -> int | None:
        return self._field("memory.events", b"oom_kill") if "memory" in self.limits else None

    def oom_alarm(self) -> int | None:
        return None  # memory.oom.group does it

    def freeze(self, *, frozen: bool) -> bool:
        """False on a kernel before Linux 5.2. Raises OSError when a frozen group is gone."""
        try:
            self._write(FREEZER, int(frozen))
        except FileNotFoundError:
            if not frozen:
                raise
            return False
        return True

    def close(self) -> None:
        for fd in self._kept.values():
            os.close(fd)
        self._kept.clear()

    def _field(self, name: str, wanted: bytes) -> int:
        rows = (line.split() for line in self._read(name).splitlines())
        return next((int(row[1]) for row in rows if row[0] == wanted), 0)

    def _write(self, name: str, value: object) -> None:
        fd = os.open(self.folder / name, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, str(value).encode())
        finally:
            os.close(fd)

    def _open(self, name: str, mode: int = os.O_RDONLY) -> int:
        if name not in self._kept:
            self._kept[name] = os.open(self.folder / name, mode | os.O_CLOEXEC)
        return self._kept[name]

    def _read(self, name: str, mode: int = os.O_RDONLY) -> bytes:
        return os.pread(self._open(name, mode), 4096, 0)
