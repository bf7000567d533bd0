"""Writes a checked archive into a folder: every byte counted, its checksum verified, all of it read-only at the end."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path

from torpor.build.archives import Plan, count_entries, plan
from torpor.core.errors import InvalidBundle
from torpor.core.limits import MIB, Limits

_FILE, _PROGRAM, _FOLDER = 0o444, 0o555, 0o555
# What zipfile raises for bytes that are not as they should be; a bad UTF-8 name is a ValueError.
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, ValueError)


def unpack(archive: Path, into: Path, limits: Limits) -> None:
    """Extract `archive` into the new folder `into`. Raises InvalidBundle; the caller removes what there is by then."""
    size = archive.stat().st_size
    with archive.open("rb") as file:
        count = count_entries(file, size, limits)
        try:
            with zipfile.ZipFile(file) as opened:
                if len(opened.infolist()) != count:
                    raise InvalidBundle("The archive is damaged: it can be read in two ways. Make it again.")
                _write(opened, plan(opened, size, limits), into)
        except _DAMAGE as problem:
            raise InvalidBundle(f"The archive is damaged: {problem}. Make it again, and upload it whole.") from problem


def _write(archive: zipfile.ZipFile, contents: Plan, into: Path) -> None:
    # Links come last: while files are written, no path in the folder leads through one.
    into.mkdir(mode=0o700)
    for name in contents.folders:
        (into / name).mkdir(mode=0o700)
    for name, entry, executable in contents.files:
        _write_file(archive, entry, into / name, _PROGRAM if executable else _FILE)
    for name, target in contents.links:
        (into / name).symlink_to(target)
    for name in reversed(contents.folders):
        (into / name).chmod(_FOLDER)
    into.chmod(_FOLDER)


def _write_file(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, mode: int) -> None:
    written = 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb", buffering=0) as target, archive.open(entry) as source:
        while chunk := source.read(MIB):
            written += len(chunk)
            if written > entry.file_size:
                raise InvalidBundle(f"The archive's entry {entry.filename!r} holds more than it declares.")
            target.write(chunk)
        os.fchmod(target.fileno(), mode)
    if written != entry.file_size:
        raise InvalidBundle(f"The archive's entry {entry.filename!r} is broken off: it holds less than it declares.")
