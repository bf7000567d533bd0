"""What torpor could leave on a machine: processes, mounts, cgroups and temporary paths, to compare before and after.

Another torpor may run beside: a cgroup or path that the command line of a living process names is that one's, unless
the process is below this one.
"""
# ruff: noqa: INP001 — imported by the programs beside it

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_MARK = "torpor"


@dataclass(frozen=True)
class Footprint:
    """Each set holds lines fit to be shown to a person."""

    processes: frozenset[str]
    mounts: frozenset[str]
    cgroups: frozenset[str]
    paths: frozenset[str]

    def beyond(self, before: Footprint) -> list[str]:
        """What is here and was not before."""
        return [
            f"{field.name}: {line}"
            for field in fields(self)
            for line in sorted(getattr(self, field.name) - getattr(before, field.name))
        ]


def adopt_orphans() -> None:
    """From here on, what loses its parent below this process becomes its child, so that none can slip out of sight."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def take_footprint() -> Footprint:
    _reap()
    ours = descendants(os.getpid())
    others = "\n".join(_command(pid) for pid, _ in _parents() if pid not in {os.getpid(), *ours})
    return Footprint(
        processes=frozenset(f"{pid} {_command(pid) or '(ended)'}" for pid in ours),
        mounts=frozenset(_mounts()),
        cgroups=frozenset(path for path in _cgroups() if Path(path).name not in others),
        paths=frozenset(path for path in _paths() if Path(path).name not in others),
    )


def descendants(pid: int) -> list[int]:
    """Every process below this one."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found, waiting = [], [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _parents() -> Iterator[tuple[int, int]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                after_name = (entry / "stat").read_text(errors="replace").rpartition(")")[2]
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended while we looked
            yield int(entry.name), int(after_name.split()[1])


def _reap() -> None:
    """Collect adopted processes that have ended; they would be counted as zombies."""
    for pid in descendants(os.getpid()):
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            continue  # a grandchild: its own parent waits for it


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""  # it ended meanwhile


def _mounts() -> Iterator[str]:
    """This mount namespace's: source, mount point and type; the numbers in front are the kernel's own."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        yield f"{left.split()[4]} ({' '.join(right.split()[:2])})"


def _cgroups() -> Iterator[str]:
    """The cgroups of torpor below this process's own, in every hierarchy; version 1 and 2 alike."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        controllers, path = line.split(":", 2)[1:]
        for mount in _hierarchies(controllers):
            own = mount / path.lstrip("/")
            if own.is_dir():
                yield from (str(child) for child in own.iterdir() if child.is_dir() and child.name.startswith(_MARK))


def _hierarchies(controllers: str) -> Iterator[Path]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        if (kind == "cgroup2" and not controllers) or (
            kind == "cgroup" and controllers and set(controllers.split(",")) <= set(options.split(","))
        ):
            yield Path(left.split()[4])


def _paths() -> Iterator[str]:
    """Entries of torpor where programs put what lives as long as they do; into a TMPDIR of one's own one can look."""
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    for folder in {"/dev/shm", "/run", runtime} - {""}:  # noqa: S108 — looked at, not written
        if os.access(folder, os.R_OK | os.X_OK):
            yield from (entry.path for entry in os.scandir(folder) if _MARK in entry.name)
