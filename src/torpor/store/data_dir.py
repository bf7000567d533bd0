"""The data folder: who holds it, what format it has, its key, and the record of the server running on it.

The lock is flock's, so the kernel drops it with its holder. Children forked by a server that was killed may hold it for
the moment until they die too; `open_data_dir` waits that long, when the recorded server is gone.
Standard library only: the command line reads the records here without loading a database.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import string
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from torpor.core.errors import UserError

FORMAT = 1
_MIGRATIONS: Mapping[int, Callable[[Path], None]] = {}  # format → the step that brings a folder from it to the next
_FOLDERS = ("artifacts", "code", "envs", "logs", "run")
SEALING_KEY = "sealing.key"
_FILES = frozenset(
    {
        "lock",
        "format",
        "key.json",
        SEALING_KEY,
        "server.json",
        "settings.toml",
        "torpor.db",
        "torpor.db-wal",
        "torpor.db-shm",
        "lost+found",
    }
)
_POLL_S = 0.05
_ALPHABET = string.ascii_uppercase + string.digits


class DataDirInUse(UserError):
    """Another torpor runs on this data folder."""


class DataDirUnusable(UserError):
    """The data folder cannot be used."""


@dataclass(frozen=True, slots=True)
class Key:
    """What requests are signed with, and the command line's bearer token."""

    access_key_id: str
    secret_access_key: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRecord:
    """The server that runs on a data folder. `started` is Unix time in seconds."""

    url: str
    pid: int
    host: str
    port: int
    started: float
    version: str


class DataDir:
    """An open, locked data folder. Close it, or leave its `with` block, to let another server in."""

    def __init__(self, path: Path, lock: int, key: Key) -> None:
        self.path = path
        self.key = key
        self._lock: int | None = lock

    @property
    def database(self) -> Path:
        return self.path / "torpor.db"

    @property
    def sealing_key(self) -> Path:
        """What `store.sealing` encrypts with: keep it apart from backups of the database."""
        return self.path / SEALING_KEY

    @property
    def artifacts(self) -> Path:
        return self.path / "artifacts"

    @property
    def code(self) -> Path:
        return self.path / "code"

    @property
    def environments(self) -> Path:
        return self.path / "envs"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def run(self) -> Path:
        """For what lives no longer than the server: sockets and the like."""
        return self.path / "run"

    def write_server_record(self, record: ServerRecord) -> None:
        write_private(self.path / "server.json", json.dumps(asdict(record)))

    def remove_server_record(self) -> None:
        (self.path / "server.json").unlink(missing_ok=True)

    def close(self) -> None:
        """Remove the server's record and let go of the lock. Harmless when repeated."""
        if self._lock is None:
            return
        self.remove_server_record()
        os.close(self._lock)
        self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


def open_data_dir(path: Path, *, wait_s: float = 5.0) -> DataDir:
    """Create or open the folder, lock it, bring it to today's format, and read or make its key.

    Raises DataDirInUse when another server holds it, DataDirUnusable when it is not torpor's, is from a newer torpor,
    or cannot be written. `wait_s` bounds the wait for the remains of a killed server.
    """
    path = Path(path).expanduser().absolute()
    try:
        _create(path)
        lock = _lock(path, wait_s)
    except OSError as error:
        raise DataDirUnusable(f"the data folder {path} cannot be used: {error}") from error
    try:
        for rest in [path / "server.json", *filter(_is_draft, path.iterdir())]:  # a killed server's
            rest.unlink(missing_ok=True)
        _migrate(path)
        for name in _FOLDERS:
            (path / name).mkdir(mode=0o700, exist_ok=True)
        return DataDir(path, lock, _read_or_make_key(path / "key.json"))
    except BaseException:
        os.close(lock)
        raise


def read_key(path: Path) -> Key | None:
    """The key of a data folder, or None where there is none yet. Raises DataDirUnusable for an unreadable one."""
    file = path / "key.json"
    try:
        plain = json.loads(file.read_text())
        return Key(**{name: _text(plain[name]) for name in ("access_key_id", "secret_access_key", "token")})
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataDirUnusable(
            f"{file} cannot be read as torpor's key ({type(error).__name__}: {error}). Restore it; or remove it, and "
            "the next `torpor up` makes a new one, which old clients do not know."
        ) from error


def read_server_record(path: Path) -> ServerRecord | None:
    """The record of the server running on a data folder, or None. The record of a killed one may linger."""
    try:
        plain: dict[str, Any] = json.loads((path / "server.json").read_text())
        return ServerRecord(**{name: plain[name] for name in ServerRecord.__dataclass_fields__})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("each of its three values is a non-empty text")
    return value


def _create(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (path / "format").exists():
        return
    strange = {entry.name for entry in path.iterdir() if not _is_draft(entry)} - _FILES - set(_FOLDERS)
    if strange:
        raise DataDirUnusable(
            f"{path} is not a torpor data folder: it holds {', '.join(sorted(strange)[:3])}. Name an empty folder, or "
            "one that does not exist yet."
        )
    path.chmod(0o700)


def _lock(path: Path, wait_s: float) -> int:
    descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    end = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            record = read_server_record(path)
            gone = record is None or not _alive(record.pid)
            if gone and time.monotonic() < end:
                time.sleep(_POLL_S)
                continue
            os.close(descriptor)
            raise DataDirInUse(_in_use(path, record)) from None
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor


def _in_use(path: Path, record: ServerRecord | None) -> str:
    if record is None:
        return f"another torpor is using {path}, and has not said yet where it serves. Stop it, or name another --data."
    return (
        f"torpor already runs on {path}: process {record.pid}, {record.url}. Use that one, stop it, or name another "
        "--data."
    )


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _migrate(path: Path) -> None:
    file = path / "format"
    try:
        found = int(file.read_text())
    except FileNotFoundError:
        found = FORMAT
        write_private(file, f"{FORMAT}\n")
    except ValueError as error:
        raise DataDirUnusable(f"{file} holds no format number: {path} is damaged, or not torpor's.") from error
    if found > FORMAT:
        raise DataDirUnusable(
            f"{path} has data format {found}, this torpor knows {FORMAT} at most: it was written by a newer version. "
            "Start that version, or name another --data."
        )
    for step in range(found, FORMAT):
        _MIGRATIONS[step](path)
        write_private(file, f"{step + 1}\n")


def _read_or_make_key(file: Path) -> Key:
    key = read_key(file.parent)
    if key is None:
        key = Key(
            access_key_id="TORPOR" + "".join(secrets.choice(_ALPHABET) for _ in range(14)),
            secret_access_key=secrets.token_urlsafe(30),
            token=secrets.token_urlsafe(32),
        )
        write_private(file, json.dumps(asdict(key)))
    file.chmod(0o600)  # whatever a backup or a copy made of it
    return key


def _is_draft(path: Path) -> bool:
    """Whether this is what `write_private` leaves when it is killed."""
    _, _, rest = path.name.partition(".")
    return path.name.startswith(".") and rest.rpartition(".")[0] in _FILES


def write_private(file: Path, text: str) -> None:
    """Replace the file at once, readable by its owner alone, and on the disk when this returns."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, text.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.replace(file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
