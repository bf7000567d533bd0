"""Mounts: detached copies of host trees, made read-only as a whole, attached where they are wanted.

`MS_REMOUNT | MS_REC` leaves the mounts below writable, so attributes are set by mount_setattr with AT_RECURSIVE.
"""

# Plain calls of os: the sentinel loads as little as it can, since each instance's init is a copy of it.
# ruff: noqa: PTH103, PTH110, PTH120

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Mapping

from torpor.sandbox import libc

RDONLY, NOSUID, NODEV, NOEXEC = 1, 2, 4, 8  # the same bits as MS_* and as MOUNT_ATTR_*
_MS_REC, _MS_PRIVATE, _MS_SLAVE = 1 << 14, 1 << 18, 1 << 19
_AT_FDCWD, _AT_EMPTY_PATH, _AT_RECURSIVE = -100, 0x1000, 0x8000
_MS_REMOUNT = 32
_FSCONFIG_SET_STRING, _FSCONFIG_CREATE = 1, 6
_CLONE, _CLOEXEC = 1, os.O_CLOEXEC
_MOVE_FROM_EMPTY_PATH = 4


def copy_tree(source: str) -> int:
    """A detached copy of the mounts at `source`, a folder or a file; the descriptor keeps it."""
    return libc.syscall("open_tree", _AT_FDCWD, os.fsencode(source), _CLONE | _CLOEXEC | _AT_RECURSIVE)


def set_attributes(tree: int, attributes: int, *, path: str = "", recursive: bool = True) -> None:
    """Add RDONLY, NOSUID, NODEV, NOEXEC to a tree (a descriptor) or to the mounts at `path`."""
    wanted = ctypes.create_string_buffer(struct.pack("QQQQ", attributes, 0, 0, 0), 32)
    flags = (_AT_RECURSIVE if recursive else 0) | (0 if path else _AT_EMPTY_PATH)
    libc.syscall("mount_setattr", tree, os.fsencode(path), flags, wanted, 32)


def attach(tree: int, target: str) -> None:
    libc.syscall("move_mount", tree, b"", _AT_FDCWD, os.fsencode(target), _MOVE_FROM_EMPTY_PATH)


def attach_at(tree: int, target: str) -> None:
    """Show a tree at `target`, which is created: a folder for a folder, an empty file for anything else."""
    make_target(target, folder=stat.S_ISDIR(os.fstat(tree).st_mode))
    attach(tree, target)


def bind(source: str, target: str, attributes: int) -> None:
    """Show `source` at `target`, which is created: a folder for a folder, an empty file for anything else."""
    tree = copy_tree(source)
    try:
        set_attributes(tree, attributes)
        attach_at(tree, target)
    finally:
        os.close(tree)


def cover(source: str, target: str, attributes: int) -> None:
    """Show `source` in the place of `target`, which is there, and of the same kind."""
    tree = copy_tree(source)
    try:
        set_attributes(tree, attributes)
        attach(tree, target)
    finally:
        os.close(tree)


def make_target(target: str, *, folder: bool) -> None:
    """Create a mount point and the folders above it, where they are missing."""
    os.makedirs(target if folder else os.path.dirname(target), mode=0o755, exist_ok=True)
    if not folder and not os.path.exists(target):
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))


def tmpfs(target: str, options: str, attributes: int = NOSUID | NODEV) -> None:
    os.makedirs(target, mode=0o755, exist_ok=True)
    libc.mount("tmpfs", target, "tmpfs", attributes, options)


def proc(target: str) -> None:
    """A fresh /proc of the caller's PID namespace."""
    os.makedirs(target, mode=0o755, exist_ok=True)
    libc.mount("proc", target, "proc", NOSUID | NODEV | NOEXEC)


def detached(kind: str, options: Mapping[str, str], attributes: int) -> int:
    """A new file system of this kind, not attached anywhere yet."""
    context = libc.syscall("fsopen", kind.encode(), 1)
    try:
        for name, value in options.items():
            libc.syscall("fsconfig", context, _FSCONFIG_SET_STRING, name.encode(), value.encode(), 0)
        libc.syscall("fsconfig", context, _FSCONFIG_CREATE, None, None, 0)
        return libc.syscall("fsmount", context, 1, attributes)
    finally:
        os.close(context)


def exchange(tree: int, target: str) -> None:
    """Put a tree, which is closed, in the place of what is mounted at `target`."""
    try:
        libc.umount_lazily(target)
        attach(tree, target)
    finally:
        os.close(tree)


def resize(target: str, options: str, attributes: int = NOSUID | NODEV) -> None:
    """Change the options of a tmpfs."""
    libc.mount("", target, flags=_MS_REMOUNT | attributes, data=options)


def make_private() -> None:
    """Let nothing that is mounted from now on be seen outside, nor what is mounted outside be seen here."""
    libc.mount("", "/", flags=_MS_REC | _MS_PRIVATE)


def make_slave() -> None:
    """Let what is mounted outside appear here, and nothing the other way round."""
    libc.mount("", "/", flags=_MS_REC | _MS_SLAVE)


def pivot(root: str) -> None:
    """Make `root`, a mount, the whole file system, and let go of the old one."""
    os.chdir(root)
    libc.syscall("pivot_root", b".", b".")  # the old root now lies on top of the new one
    libc.umount_lazily(".")
    os.chdir("/")
