"""A function's source as it lies on disk: a folder, one file, or a zip, all read the same way."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from unicodedata import combining, normalize

from torpor.cli.failures import WrongUse

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]+")
# Python files that belong to a project but are not its function.
_BESIDE = re.compile(r"(?:test_.*|.*_test|conftest|setup|noxfile|tasks|__init__|__main__)\.py")


@dataclass(frozen=True, slots=True)
class Source:
    """The files at the top of a function's source."""

    path: Path
    names: tuple[str, ...]
    is_zip: bool = False

    @property
    def is_file(self) -> bool:
        """Whether it is a single Python file."""
        return not self.is_zip and self.path.is_file()

    @property
    def default_name(self) -> str:
        """A function name made from the path's own; empty where its letters have no place in one."""
        absolute = self.path.resolve()
        stem = absolute.name if absolute.is_dir() else absolute.stem
        plain = "".join(letter for letter in normalize("NFKD", stem) if not combining(letter))
        if any(letter.isalnum() and not letter.isascii() for letter in plain):
            return ""  # what would be left of it is no name that anyone would look for
        return _NOT_IN_NAMES.sub("-", plain).strip("-")[:64]

    @property
    def modules(self) -> tuple[str, ...]:
        """Names of the Python files that may hold the handler."""
        files = tuple(name for name in self.names if name.endswith(".py"))
        return files if self.is_file else tuple(name for name in files if not _BESIDE.fullmatch(name))

    def is_executable(self, name: str) -> bool:
        """Whether a file at the top may be executed."""
        if self.is_zip:
            with zipfile.ZipFile(self.path) as packed:
                return bool((packed.getinfo(name).external_attr >> 16) & 0o111)
        return bool((self.path / name).stat().st_mode & 0o111)

    def read(self, name: str) -> str:
        """The text of a file at the top. Raises WrongUse where it is not UTF-8."""
        try:
            if self.is_zip:
                with zipfile.ZipFile(self.path) as packed:
                    return packed.read(name).decode()
            return (self.path if self.is_file else self.path / name).read_bytes().decode()
        except UnicodeDecodeError as error:
            raise WrongUse(f"{self.path / name} is not UTF-8 text: {error.reason} at byte {error.start}") from None
        except (OSError, zipfile.BadZipFile, RuntimeError) as error:  # RuntimeError: an encrypted member
            raise WrongUse(f"{self.path / name} cannot be read: {error}") from None


def open_source(path: Path) -> Source:
    """Look at `path` without executing anything. Raises WrongUse where it is no function's source."""
    try:
        return _opened(path)
    except OSError as error:
        raise WrongUse(f"{path} cannot be read: {error.strerror}") from None


def _opened(path: Path) -> Source:
    if path.is_dir():
        return Source(path, tuple(sorted(entry.name for entry in path.iterdir() if entry.is_file())))
    if not path.exists():
        raise WrongUse(f"there is no {path}: name a folder, a Python file or a zip")
    if not path.is_file():
        raise WrongUse(f"{path} is neither a folder nor a file")
    if path.suffix == ".py":
        return Source(path, (path.name,))
    if zipfile.is_zipfile(path):
        return _open_zip(path)
    raise WrongUse(f"{path} is neither a folder, a Python file nor a zip: what is deployed is one of these")


def _open_zip(path: Path) -> Source:
    try:
        with zipfile.ZipFile(path) as packed:
            members = [entry.filename for entry in packed.infolist() if not entry.is_dir()]
    except zipfile.BadZipFile as error:
        raise WrongUse(f"{path} is not a whole zip: {error}") from None
    return Source(path, tuple(sorted(name for name in members if len(PurePosixPath(name).parts) == 1)), is_zip=True)
