"""Makes a bundle on the user's side: the same files give the same bytes, so that what did not change is known again.

`.gitignore` is not obeyed, since what is kept out of a repository, models above all, is often what a function needs.
"""

from __future__ import annotations

import io
import os
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torpor.build.ignore import IgnoreRules
from torpor.core.errors import InvalidBundle
from torpor.core.limits import MIB, Limits

IGNORE_FILE = ".torporignore"
_NEVER_FOLDERS = {
    *(
        ".git",
        ".hg",
        ".svn",
        ".venv",
        "__pycache__",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".tox",
        ".nox",
        ".vscode",
    ),
    *(".idea", ".vscode", ".ipynb_checkpoints"),
}
_KEPT_APART = ("key.json", "torpor.db")  # what a server's data folder holds: its key is for nobody's code
_NEVER_FILES = {IGNORE_FILE, ".DS_Store", ".gitignore"}
_NEVER_SUFFIXES = (".pyc", ".pyo")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment a zip can name
_UNIX = 3
_LARGEST = 512 * MIB  # of the archive, which is made in memory; a server's own limit may be lower


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    path: Path
    link: str | None = None


def pack(path: Path, *, limits: Limits | None = None) -> bytes:
    """The bundle of a file, a folder, or a zip that is already made, which is taken as it is.

    Raises InvalidBundle when there is nothing to pack, when a link leads out of the folder, or when it is too large.
    """
    if not path.exists():
        raise InvalidBundle(f"There is no file or folder {path}.")
    try:
        return _pack(path, limits or Limits())
    except OSError as problem:
        raise InvalidBundle(
            f"{problem.filename or path} could not be read: {problem.strerror or problem}."
        ) from problem


def _pack(path: Path, limits: Limits) -> bytes:
    if path.is_dir():
        return _zipped(list(_entries(path)), limits, path)
    if not path.is_file():
        raise InvalidBundle(f"{path} is neither a file nor a folder.")
    if path.suffix == ".zip" or (path.suffix != ".py" and zipfile.is_zipfile(path)):
        _check_size(path.stat().st_size, path)
        return path.read_bytes()
    return _zipped([_Entry(path.name, path)], limits, path)


def _entries(root: Path) -> Iterator[_Entry]:
    """Every file and link to pack, in the order of their names. Folders come of themselves with what they hold."""
    ignore = root / IGNORE_FILE
    rules = IgnoreRules(ignore.read_text(encoding="utf-8") if ignore.is_file() else "")
    top = root.resolve()
    for folder, folders, names in os.walk(root, onerror=_complain):
        below = Path(folder).relative_to(root)
        found = [(name, Path(folder, name)) for name in (*folders, *names)]
        links = {name for name, path in found if path.is_symlink()}
        kept = [name for name in folders if name not in links and not _skips_folder(rules, below / name, root)]
        folders[:] = sorted(kept)
        for name, path in found:
            relative = below / name
            if name in links:
                if not rules.ignores(relative.as_posix(), folder=False) and name not in _NEVER_FOLDERS:
                    yield _Entry(relative.as_posix(), path, _link(path, top))
            elif name in names and not _skips_file(rules, relative):
                yield _Entry(relative.as_posix(), path)


def _complain(problem: OSError) -> None:
    raise problem  # a folder that cannot be read must not be left out silently


def _skips_folder(rules: IgnoreRules, relative: Path, root: Path) -> bool:
    if relative.name in _NEVER_FOLDERS or (root / relative / "pyvenv.cfg").is_file():
        return True
    if all((root / relative / name).exists() for name in _KEPT_APART):
        return True
    return rules.ignores(relative.as_posix(), folder=True)


def _skips_file(rules: IgnoreRules, relative: Path) -> bool:
    if relative.name in _NEVER_FILES or relative.suffix in _NEVER_SUFFIXES:
        return True
    return rules.ignores(relative.as_posix(), folder=False)


def _link(path: Path, top: Path) -> str:
    target = path.readlink()
    try:
        inward = path.resolve().is_relative_to(top)
    except (OSError, RuntimeError):  # links in a circle
        inward = False
    if target.is_absolute() or not inward:
        raise InvalidBundle(
            f"{path} is a symbolic link to {target}, which leads out of the folder or in a circle. Copy the file into "
            f"the folder, make the link relative and inside it, or name it in {IGNORE_FILE}."
        )
    return str(target)


def _zipped(entries: list[_Entry], limits: Limits, path: Path) -> bytes:
    if not any(entry.link is None for entry in entries):
        raise InvalidBundle(f"There is nothing to pack in {path}.")
    if len(entries) > limits.bundle_files:
        raise InvalidBundle(
            f"{path} holds {len(entries)} files; at most {limits.bundle_files} are allowed. Name what the function "
            f"does not need in {IGNORE_FILE}."
        )
    made = io.BytesIO()
    unpacked = 0
    with zipfile.ZipFile(made, "w") as archive:
        for entry in sorted(entries, key=lambda entry: entry.name):
            unpacked += _write(archive, entry)
            if unpacked > limits.bundle_unpacked:
                raise InvalidBundle(f"{path} holds more than the {limits.bundle_unpacked} bytes allowed.")
            _check_size(made.tell(), path)
    return made.getvalue()


def _write(archive: zipfile.ZipFile, entry: _Entry) -> int:
    info = zipfile.ZipInfo(entry.name, _EPOCH)
    info.create_system = _UNIX
    if entry.link is not None:
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, entry.link)
        return 0
    found = entry.path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise InvalidBundle(f"{entry.path} is a device, pipe or socket. Name it in {IGNORE_FILE}.")
    info.external_attr = (stat.S_IFREG | (0o755 if found.st_mode & 0o111 else 0o644)) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    info.file_size = found.st_size
    with entry.path.open("rb") as source, archive.open(info, "w") as target:
        written = 0
        while chunk := source.read(MIB):
            written += target.write(chunk)
            _check_size(archive.fp.tell() if archive.fp else 0, entry.path)
    return written


def _check_size(size: int, path: Path) -> None:
    if size > _LARGEST:
        raise InvalidBundle(
            f"{path} makes an archive of more than {_LARGEST} bytes. Name what the function does not need in "
            f"{IGNORE_FILE}, declare dependencies instead of packing them, or fetch large data at run time."
        )
