"""The store of code: each archive kept once under its digest, unpacked once into a read-only folder.

A rename is what makes either exist, and both are synced before it, so a crash leaves whole things and strays. Whoever
writes holds the store's lock shared; a sweep takes it alone to know that strays belong to nobody. Two writers of one
bundle do not wait for each other: the second rename finds the place taken by the same bytes.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

from torpor.build.files import (
    Freed,
    content_size,
    locked,
    locked_nowait,
    make_folder,
    remove_tree,
    size_of,
    sync_file,
    sync_tree,
)
from torpor.build.single import SingleFlight
from torpor.build.unpacking import unpack
from torpor.core.errors import InvalidBundle, PlatformFault, ResourceNotFound
from torpor.core.function import Bundle
from torpor.core.limits import MIB, Limits

_STRAY = ".new-"
_AT_ONCE = 2  # unpackings: each holds one of the few threads that everything else waits for, too
_T = TypeVar("_T")


class Bundles:
    """Bundles by digest below `root`: `artifacts/DIGEST.zip`, and `code/DIGEST/` unpacked from it."""

    def __init__(self, root: Path, limits: Limits) -> None:
        root = root.absolute()
        self._artifacts = root / "artifacts"
        self._code = root / "code"
        self._compiled = root / "compiled"  # which code is byte-compiled: see code.py
        self._limits = limits
        self._unpacking: SingleFlight[Path] = SingleFlight()
        self._slots = asyncio.Semaphore(_AT_ONCE)
        for folder in (self._artifacts, self._code):
            make_folder(folder)
        self._lock = self._artifacts / ".lock"

    async def add(self, archive: bytes | Path) -> Bundle:
        """Store a zip, given as bytes or as the path of a file of any size, after checking all of it.

        Raises InvalidBundle with what is wrong, PlatformFault when it cannot be stored; then nothing of it is kept.
        """
        async with self._slots, locked(self._lock, shared=True):
            return await _finished(lambda: self._add(archive))

    async def extract(self, bundle: Bundle) -> Path:
        """The folder with the bundle's code, unpacked again if it is not there. Raises ResourceNotFound."""

        async def unpacked() -> Path:
            async with self._slots, locked(self._lock, shared=True):
                return await _finished(lambda: self._extract(bundle))

        if self.code_dir(bundle).is_dir():
            return self.code_dir(bundle)
        return await self._unpacking.run(bundle.digest, unpacked)

    async def unpacked_size(self, bundle: Bundle) -> int:
        """Bytes of all its files. Raises ResourceNotFound."""
        return await asyncio.to_thread(content_size, await self.extract(bundle))

    def code_dir(self, bundle: Bundle) -> Path:
        """Where the bundle's code is, read-only, once it is unpacked."""
        return self._code / bundle.digest

    def archive(self, bundle: Bundle) -> Path:
        """Where the bundle's zip is, as it was uploaded."""
        return self._artifacts / f"{bundle.digest}.zip"

    def sweep(self, keep: set[str]) -> Freed:
        """Remove every bundle whose digest is not in `keep`, and what killed processes left behind.

        The caller sees to it that no bundle is between `add` and being kept.
        """
        freed = Freed()
        with locked_nowait(self._lock) as alone:
            digests = {path.stem for path in self._artifacts.glob("*.zip")}
            digests |= {path.name for path in self._code.iterdir() if not path.name.startswith(".")}
            for digest in sorted(digests - keep):
                freed += self._remove(digest)
            if alone:
                for stray in [*self._code.glob(".*"), *self._artifacts.glob(f"{_STRAY}*")]:
                    freed += Freed(0, size_of(stray))
                    remove_tree(stray)
        return freed

    def _remove(self, digest: str) -> Freed:
        code, archive = self._code / digest, self._artifacts / f"{digest}.zip"
        freed = Freed(1, size_of(code) + size_of(archive))
        archive.unlink(missing_ok=True)
        for marker in self._compiled.glob(f"{digest}.*"):
            marker.unlink(missing_ok=True)
        if code.is_dir():
            # Renamed first: a folder under its digest is always whole.
            doomed = self._new(self._code)
            code.rename(doomed)
            remove_tree(doomed)
        return freed

    def _add(self, archive: bytes | Path) -> Bundle:
        with self._stray(self._artifacts) as copy:
            bundle = self._copy(archive, copy)
            stored = self.archive(bundle)
            if stored.is_file() and self.code_dir(bundle).is_dir():
                return bundle
            with self._stray(self._code) as folder:
                unpack(copy, folder, self._limits)
                sync_tree(folder)
                copy.rename(stored)
                sync_file(self._artifacts)
                self._publish(folder, self.code_dir(bundle))
        return bundle

    def _extract(self, bundle: Bundle) -> Path:
        archive = self.archive(bundle)
        if not archive.is_file():
            raise ResourceNotFound(f"The code {bundle.digest} is not stored here any more. Deploy it again.")
        with self._stray(self._code) as folder:
            unpack(archive, folder, self._limits)
            sync_tree(folder)
            self._publish(folder, self.code_dir(bundle))
        return self.code_dir(bundle)

    @staticmethod
    def _publish(folder: Path, place: Path) -> None:
        try:
            folder.rename(place)
        except OSError:
            if not place.is_dir():  # not merely another writer of the same bytes
                raise
        sync_file(place.parent)

    def _copy(self, archive: bytes | Path, copy: Path) -> Bundle:
        """Write what was given into the store while hashing it, so that what is checked is what is kept."""
        digest = hashlib.sha256()
        size = 0
        with copy.open("xb") as target:
            for chunk in _chunks(archive):
                size += len(chunk)
                if size > self._limits.bundle_unpacked:
                    raise InvalidBundle(f"The archive is larger than the {self._limits.bundle_unpacked} bytes allowed.")
                digest.update(chunk)
                target.write(chunk)
            target.flush()
        copy.chmod(0o444)
        sync_file(copy)
        return Bundle(digest.hexdigest(), size)

    @contextmanager
    def _stray(self, parent: Path) -> Iterator[Path]:
        """A new path that is gone afterwards unless it was renamed into its place."""
        path = self._new(parent)
        try:
            yield path
        except OSError as problem:
            raise PlatformFault(f"The code could not be stored: {problem.strerror or problem}.") from problem
        finally:
            remove_tree(path)

    @staticmethod
    def _new(parent: Path) -> Path:
        return parent / f"{_STRAY}{uuid.uuid4().hex}"


def _chunks(archive: bytes | Path) -> Iterator[bytes]:
    if isinstance(archive, bytes):
        yield archive
        return
    with _opened(archive) as source:
        while chunk := source.read(MIB):
            yield chunk


def _opened(archive: Path) -> IO[bytes]:
    if not archive.is_file():
        raise InvalidBundle(f"There is no archive at {archive}.")
    return archive.open("rb")


async def _finished(work: Callable[[], _T]) -> _T:
    """Do blocking work in a thread. Being cancelled meanwhile waits for it, so that its locks stay held to its end."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        task.exception()  # nobody is left to tell
        raise
