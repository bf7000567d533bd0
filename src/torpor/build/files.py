"""Files that must survive a crash, or be gone after one: syncing, removing, and locks that a dead process releases."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

FEW = 64  # up to here one fsync each is cheaper than asking the whole machine to write
_POLL_S = (0.005, 0.2)  # first and longest pause between two tries for a lock


@dataclass(frozen=True, slots=True)
class Freed:
    """What a sweep removed: how many entries, and their size on disk in bytes."""

    count: int = 0
    bytes: int = 0

    def __add__(self, other: Freed) -> Freed:
        return Freed(self.count + other.count, self.bytes + other.bytes)


def sync_file(path: Path) -> None:
    """Make the contents of a file, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(root: Path) -> None:
    """Make a whole folder durable: one by one when small, else with one sync of everything, which is far quicker."""
    paths: list[Path] = []
    for folder, _, names in os.walk(root):
        paths.append(Path(folder))
        paths.extend(Path(folder, name) for name in names)
        if len(paths) > FEW:
            os.sync()
            return
    for path in paths:
        if not path.is_symlink():
            sync_file(path)


def write_durably(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file so that after a crash it is there whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    sync_file(path.parent)


def make_folder(path: Path, mode: int = 0o755) -> None:
    """Make a folder with exactly this mode, whatever the umask; leave one that is there as it is."""
    if not path.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(mode)


def size_of(root: Path) -> int:
    """Bytes that removing `root` would give back: what other hard links keep alive is not counted."""
    if not root.is_dir():
        return _own_bytes(root)
    return sum(_own_bytes(Path(folder, name)) for folder, _, names in os.walk(root) for name in names)


def content_size(root: Path) -> int:
    """Bytes in the files below `root`, whoever else has links to them."""
    return sum(Path(folder, name).lstat().st_size for folder, _, names in os.walk(root) for name in names)


def _own_bytes(path: Path) -> int:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return 0
    return found.st_blocks * 512 if found.st_nlink == 1 else 0


def remove_tree(root: Path) -> None:
    """Remove a file or folder, read-only folders included. Symbolic links are removed, never followed."""
    if root.is_symlink() or not root.is_dir():
        root.unlink(missing_ok=True)
        return
    make_writable(root)
    shutil.rmtree(root)


def make_writable(root: Path) -> None:
    """Let the owner change every folder below `root` again."""
    root.chmod(0o700)
    for folder, names, _ in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o700)


def _is_current(descriptor: int, path: Path) -> bool:
    """Whether the locked file still is the one of that name: a sweep may have removed it while we waited."""
    try:
        named = path.stat()
    except FileNotFoundError:
        return False
    ours = os.fstat(descriptor)
    return (ours.st_dev, ours.st_ino) == (named.st_dev, named.st_ino)


def _take(path: Path, how: int) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    if _is_current(descriptor, path):
        return descriptor
    os.close(descriptor)
    return None


@asynccontextmanager
async def locked(path: Path, *, shared: bool = False) -> AsyncIterator[None]:
    """Hold the file lock `path`, waiting for other tasks and processes. The kernel releases a dead process's locks."""
    pause, longest = _POLL_S
    while (descriptor := _take(path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)) is None:
        await asyncio.sleep(pause)
        pause = min(pause * 2, longest)
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def locked_nowait(path: Path) -> Iterator[bool]:
    """Try for the file lock `path` alone; yields whether it was had."""
    descriptor = _take(path, fcntl.LOCK_EX)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


@asynccontextmanager
async def scratch(parent: Path) -> AsyncIterator[Path]:
    """A new folder in `parent`, removed at the end; `sweep_scratch` removes those of killed processes."""
    async with locked(parent / ".lock", shared=True):
        folder = parent / uuid.uuid4().hex
        make_folder(folder)
        try:
            yield folder
        finally:
            await asyncio.to_thread(remove_tree, folder)


def sweep_scratch(parent: Path) -> Freed:
    """Remove scratch folders that nobody uses; none while anybody, here or in another process, uses one."""
    freed = Freed()
    with locked_nowait(parent / ".lock") as alone:
        for folder in [path for path in parent.iterdir() if path.name != ".lock"] if alone else []:
            freed += Freed(0, size_of(folder))
            remove_tree(folder)
    return freed
