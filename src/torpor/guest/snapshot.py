"""SnapStart: a function's initialisation that ran once, in the zygote, for all instances forked from it.

`take` runs there, `restore` in each instance. What siblings would share of it and must not is made anew: random state,
and the files of /tmp, which are the instance's own.
"""

# ruff: noqa: TID252  # relative, since inside a sandbox this package is `_torpor_guest`
# Plain calls of os: importing pathlib would cost every start milliseconds.
# ruff: noqa: PTH103, PTH115, PTH116, PTH118, PTH123, PTH208, PTH211

from __future__ import annotations

import os
import socket
import stat
import sys
import time
from typing import Any, NamedTuple

from ..wire.messages import Ready
from . import faults, output
from .faults import Fault
from .handler import Handler
from .initialise import initialise
from .settings import take_settings

_HOOKS = "snapshot_restore_py"
_DOOR = ("127.0.0.1", 9001)
_TMP = "/tmp"  # noqa: S108  # the sandbox's own
_MOST_KEPT = 64 << 20  # bytes of /tmp: they are held in memory, and written again in each instance
_MOST_FILES = 1000


class _File(NamedTuple):
    """A file (its bytes), a link (its target) or a folder (None) below /tmp, by its path from there."""

    path: str
    mode: int
    content: bytes | str | None


class _Taken(NamedTuple):
    handler: Handler
    files: list[_File]


_taken: list[_Taken] = []


def is_taken() -> bool:
    """Whether this process was forked from a snapshot."""
    return bool(_taken)


def take() -> str:
    """Initialise the function, and run its hooks; empty when that may be forked from, else why not."""
    try:
        settings = take_settings()
        os.chdir(settings.task_root)
        handler, _ = initialise(settings)
        hooks = _registered("get_before_snapshot")
        while hooks:
            function, args, kwargs = hooks.pop()
            function(*args, **kwargs)
        _leave_the_door()
        output.flush()
        _taken.append(_Taken(handler, _files()))
    except BaseException as error:  # SystemExit, too: who leaves here would leave in every instance
        described = faults.describe(error, "")
        faults.log(described)
        output.flush()
        return f"its initialisation failed before the snapshot: {described['errorType']}: {described['errorMessage']}"
    return ""


def restore() -> tuple[Handler, Ready]:
    """Be an instance of one's own; raises what a hook raised, as a Fault."""
    started = time.perf_counter()
    os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] = "snap-start"
    taken = _taken[0]
    for file in taken.files:
        _put(file)
    _renew()
    try:
        for function, args, kwargs in _registered("get_after_restore"):
            function(*args, **kwargs)
    except Exception as error:
        described = faults.describe(error, "")
        text = f"{described['errorType']}: {described['errorMessage']}"
        raise Fault("Runtime.AfterRestoreError", text, described["stackTrace"]) from error
    return taken.handler, Ready((time.perf_counter() - started) * 1000, ())


def _leave_the_door() -> None:
    """End connections to the platform, as a client keeps them: whoever uses one finds it closed, and makes another."""
    for name in os.listdir("/proc/self/fd"):
        try:
            if not stat.S_ISSOCK(os.stat(int(name)).st_mode):
                continue
            with socket.socket(fileno=os.dup(int(name))) as copy:
                if copy.getpeername() != _DOOR:
                    continue
                copy.shutdown(socket.SHUT_RDWR)
        except OSError:  # it is not connected, or was the one that listed them
            continue
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, int(name), inheritable=False)
        os.close(nothing)


def _registered(getter: str) -> list[Any]:
    """Hooks, if the function imported the module for them."""
    module = sys.modules.get(_HOOKS)
    return getattr(module, getter)() if module is not None else []


def _renew() -> None:
    """Of the standard library, what two instances must not share. `random` has reseeded itself; see the zygote too."""
    made: Any = sys.modules.get("uuid")
    if made is not None:  # it, and the C library behind it, may remember who and when it is
        made._node = int.from_bytes(os.urandom(6), "big") | 1 << 40  # noqa: SLF001 -- a random one says so by this bit
        made._last_timestamp = None  # noqa: SLF001 -- there is no other way
        made._generate_time_safe = None  # noqa: SLF001 -- as above


def _files() -> list[_File]:
    """What initialisation left in /tmp. Raises Fault where that is too much to be given to each instance."""
    found: list[_File] = []
    left, device = _MOST_KEPT, os.stat(_TMP).st_dev
    for folder, folders, names in os.walk(_TMP):
        # What is mounted below is every instance's: an environment may lie anywhere.
        folders[:] = [name for name in folders if os.lstat(os.path.join(folder, name)).st_dev == device]
        for name in sorted(folders) + sorted(names):
            path = os.path.join(folder, name)
            file = _read(path)
            left -= len(file.content or "")
            if left < 0 or len(found) >= _MOST_FILES:
                raise Fault(
                    "Runtime.SnapshotTooLarge",
                    f"it left more than {_MOST_KEPT >> 20} MB or {_MOST_FILES} files in /tmp, which each instance "
                    "would have to write again",
                )
            found.append(file)
    return found


def _read(path: str) -> _File:
    seen = os.lstat(path)
    content: bytes | str | None = None
    if stat.S_ISLNK(seen.st_mode):
        content = os.readlink(path)
    elif stat.S_ISREG(seen.st_mode) and seen.st_size <= _MOST_KEPT:
        with open(path, "rb") as file:
            content = file.read()
    elif not stat.S_ISDIR(seen.st_mode):
        raise Fault("Runtime.SnapshotTooLarge", f"it left {path}, which is too large, or no file")
    return _File(os.path.relpath(path, _TMP), stat.S_IMODE(seen.st_mode), content)


def _put(file: _File) -> None:
    path = os.path.join(_TMP, file.path)
    if file.content is None:
        os.makedirs(path, mode=file.mode | 0o700, exist_ok=True)
    elif isinstance(file.content, str):
        os.symlink(file.content, path)
    else:
        with open(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, file.mode), "wb") as written:
            written.write(file.content)
