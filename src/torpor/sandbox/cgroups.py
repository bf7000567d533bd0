"""Control groups of instances behind one interface: version 1, version 2, or both at once (hybrid).

Groups are made below the server's own group in every hierarchy, never at a hierarchy's root, so that what limits the
server limits everything it starts, and so that a delegated subtree is enough. The version 1 freezer is never used: a
task frozen there ignores SIGKILL.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torpor.sandbox.cgroup_v1 import V1Part
from torpor.sandbox.cgroup_v2 import FREEZER, V2Part, by_threads, prepare

CONTROLLERS = frozenset({"memory", "pids", "cpu", "cpuacct"})


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one instance may use. `memory` in bytes, `/tmp` included; processor time goes by `cpu` (1.0: one core)."""

    memory: int
    processes: int
    cpu: float


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One mounted hierarchy: our own group's folder in it, the controllers it can limit with, and its version."""

    version: int
    folder: Path
    controllers: frozenset[str]


class Part(Protocol):
    """An instance's group in one hierarchy."""

    folder: Path
    limits: frozenset[str]

    def bound(self, memory: int, processes: int, cpu: float) -> None: ...
    def entry(self) -> int: ...
    def peak(self) -> int | None: ...
    def reset_peak(self) -> None: ...
    def cpu_ns(self) -> int | None: ...
    def oom_kills(self) -> int | None: ...
    def oom_alarm(self) -> int | None: ...
    def freeze(self, *, frozen: bool) -> bool: ...
    def close(self) -> None: ...


class Group:
    """The groups of one instance in all hierarchies, as one."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._parts = tuple(parts)

    @property
    def limits_memory(self) -> bool:
        return any("memory" in part.limits for part in self._parts)

    def bound(self, bounds: Bounds) -> None:
        """Change its limits."""
        for part in self._parts:
            part.bound(bounds.memory, bounds.processes, bounds.cpu)

    def entries(self) -> Iterator[int]:
        """Descriptors: a process of one thread that writes "0" to one joins, with the rights of us, who opened it.

        One at a time, so that none is lost when the next cannot be opened.
        """
        for part in self._parts:
            yield part.entry()

    def peak(self) -> int | None:
        """Bytes charged at the most, or None where nothing counts them."""
        return self._first(lambda part: part.peak())

    def reset_peak(self) -> None:
        for part in self._parts:
            part.reset_peak()

    def cpu_ns(self) -> int | None:
        return self._first(lambda part: part.cpu_ns())

    def oom_kills(self) -> int:
        """How many processes of the group the kernel ended for want of memory."""
        return self._first(lambda part: part.oom_kills()) or 0

    def oom_alarm(self) -> int | None:
        """A descriptor, readable about when memory runs out, where the kernel does not end the whole group itself."""
        return self._first(lambda part: part.oom_alarm())

    def freeze(self) -> bool:
        """Stop all of its processes until `thaw`, or their end; False where there is no version 2 hierarchy for it."""
        return any(part.freeze(frozen=True) for part in self._parts)

    def thaw(self) -> None:
        """Let them run on. Raises OSError when the group is gone."""
        for part in self._parts:
            part.freeze(frozen=False)

    def remove(self) -> None:
        """Close what is open and delete the groups, which must be empty by now."""
        for part in self._parts:
            part.close()
            remove_tree(part.folder)

    def _first(self, ask: Callable[[Part], int | None]) -> int | None:
        return next((answer for part in self._parts if (answer := ask(part)) is not None), None)


class Cgroups:
    """Our folder in every hierarchy where we may make one; `refused` says why there is none in the others."""

    def __init__(self, hierarchies: Sequence[Hierarchy], name: str) -> None:
        self.roots: list[tuple[Hierarchy, Path]] = []
        self.refused: list[tuple[Hierarchy, OSError]] = []
        self._name = name
        for hierarchy in hierarchies:
            self._enter(hierarchy)

    def _enter(self, hierarchy: Hierarchy) -> None:
        root = hierarchy.folder / self._name
        try:
            root.mkdir()
        except OSError as error:
            self.refused.append((hierarchy, error))
            return
        if hierarchy.version == 2:
            enabled = prepare(hierarchy.folder, root, hierarchy.controllers)
            if not enabled:
                by_threads(root)
            hierarchy = Hierarchy(2, hierarchy.folder, enabled)
        self.roots.append((hierarchy, root))

    @property
    def limits(self) -> frozenset[str]:
        """The controllers that instances will be limited with."""
        return frozenset[str]().union(*(hierarchy.controllers for hierarchy, _ in self.roots))

    @property
    def can_freeze(self) -> bool:
        """Whether instances can be frozen."""
        return any(version.version == 2 and (root / FREEZER).exists() for version, root in self.roots)

    def create(self, name: str, bounds: Bounds) -> Group:
        """An empty group, limited. Raises OSError, leaving nothing."""
        parts: list[Part] = []
        try:
            for hierarchy, root in self.roots:
                kind = V1Part if hierarchy.version == 1 else V2Part
                (root / name).mkdir()
                part = kind(root / name, hierarchy.controllers)
                parts.append(part)
                part.bound(bounds.memory, bounds.processes, bounds.cpu)
        except OSError:
            Group(parts).remove()
            raise
        return Group(parts)

    def close(self) -> None:
        for hierarchy, root in self.roots:
            remove_tree(root)
            if hierarchy.version == 2:
                restore(hierarchy.folder, self._name)
        self.roots.clear()


def discover(cgroup: str | None = None, mountinfo: str | None = None) -> list[Hierarchy]:
    """The hierarchies we are in, as /proc/self/cgroup and /proc/self/mountinfo tell, as far as they are of use."""
    cgroup = Path("/proc/self/cgroup").read_text(encoding="utf-8") if cgroup is None else cgroup
    mountinfo = Path("/proc/self/mountinfo").read_text(encoding="utf-8") if mountinfo is None else mountinfo
    mounted = _mounted(mountinfo)
    found = []
    for line in cgroup.splitlines():
        _, names, path = line.split(":", 2)
        wanted = frozenset(names.split(",")) & CONTROLLERS if names else frozenset({"unified"})
        place = next((where for kinds, where in mounted if wanted & kinds), None)
        if not wanted or place is None:
            continue
        folder = _below(place, path)
        if folder is not None and names:
            found.append(Hierarchy(1, folder, wanted))
        elif folder is not None:
            found.append(Hierarchy(2, folder, _available(folder)))
    return found


def _mounted(mountinfo: str) -> list[tuple[frozenset[str], tuple[str, str]]]:
    """(what it controls, (the hierarchy's folder that is mounted, where)) of each mounted hierarchy."""
    found = []
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        root, point = before.split(" ")[3:5]
        if kind == "cgroup2":
            found.append((frozenset({"unified"}), (root, point)))
        elif kind == "cgroup":
            found.append((frozenset(options.split(",")) & CONTROLLERS, (root, point)))
    return found


def _below(place: tuple[str, str], path: str) -> Path | None:
    root, point = place
    relative = os.path.relpath(path, root)
    folder = Path(point) / relative
    return None if relative.startswith("..") or not folder.is_dir() else folder


def _available(folder: Path) -> frozenset[str]:
    try:
        names = (folder / "cgroup.controllers").read_text(encoding="ascii").split()
    except OSError:
        names = []
    return frozenset(names) & CONTROLLERS


def remove_tree(folder: Path) -> bool:
    """Delete a group and those below it, as far as they are empty; True when it is gone."""
    with contextlib.suppress(OSError):  # there are groups below; without, this needs no descriptor
        folder.rmdir()
        return True
    for below, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):  # still occupied, or gone already: the answer below tells
            Path(below).rmdir()
    return not folder.exists()


def end_tree(folder: Path) -> None:
    """Kill whatever still lives in a group and those below it."""
    with contextlib.suppress(OSError):
        (folder / "cgroup.kill").write_text("1", encoding="ascii")
        return
    for below, _, _ in os.walk(folder):
        with contextlib.suppress(OSError):
            for pid in _members(Path(below)):
                os.kill(pid, 9)


def _members(folder: Path) -> list[int]:
    try:
        return list(map(int, (folder / "cgroup.procs").read_text(encoding="ascii").split()))
    except OSError:  # a group of threads
        return list(map(int, (folder / "cgroup.threads").read_text(encoding="ascii").split()))


def restore(folder: Path, name: str) -> None:
    """Undo `prepare`: take the controllers back and return to the group that we came from."""
    leaf = folder / f"{name}-server"
    if not leaf.is_dir():
        return
    with contextlib.suppress(OSError):
        (folder / "cgroup.subtree_control").write_text("-memory -pids -cpu", encoding="ascii")
        for pid in (leaf / "cgroup.procs").read_text(encoding="ascii").split():
            (folder / "cgroup.procs").write_text(pid, encoding="ascii")
        leaf.rmdir()
