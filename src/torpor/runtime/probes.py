"""Tries what sandboxes need, each in a forked child, and prints what went wrong as JSON: {probe: reason or null}.

Run as a process of its own by doctor.py, since a fork of a server with threads would not be sound.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from torpor.sandbox import landlock, libc, mounts, namespaces, rights, seccomp
from torpor.sandbox.namespaces import NEWIPC, NEWNET, NEWNS, NEWPID, NEWUSER, NEWUTS


def main() -> NoReturn:
    """Try everything, one after the other."""
    json.dump({name: attempt(probe) for name, probe in PROBES.items()}, sys.stdout)
    sys.stdout.flush()
    os._exit(0)


def attempt(probe: Callable[[], None]) -> str | None:
    """Why it failed, or None."""
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        _report(probe, writes)
    os.close(writes)
    with os.fdopen(reads, "rb") as told:
        reason = told.read().decode(errors="replace")
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return reason or (None if status == 0 else f"the attempt ended with {status}")


def _report(probe: Callable[[], None], writes: int) -> NoReturn:
    try:
        probe()
    except BaseException as error:
        os.write(writes, (str(error) or type(error).__name__).encode(errors="replace"))
    os._exit(0)


def _enter(flags: int = 0) -> None:
    """A user namespace in which we are root, and others that belong to it."""
    user, group = os.geteuid(), os.getegid()
    libc.unshare(NEWUSER | flags)
    namespaces.write_maps("self", [(0, user, 1)], [(0, group, 1)], deny_setgroups=True)


def _user_namespace() -> None:
    _enter()


def _other_namespaces() -> None:
    _enter()
    libc.unshare(NEWNS | NEWIPC | NEWUTS | NEWNET)
    namespaces.loopback_up()
    namespaces.listen("127.0.0.1", 1).close()


def _mounts() -> None:
    _enter(NEWNS)
    mounts.make_private()
    mounts.tmpfs("/proc", "size=64k")  # any folder that is always there
    mounts.bind("/usr", "/proc/usr", mounts.RDONLY | mounts.NOSUID | mounts.NODEV)
    mounts.pivot("/proc")
    try:
        os.mkdir("/usr/torpor-probe")  # noqa: PTH102 -- as little as possible is loaded here
    except OSError as error:
        if error.errno == errno.EROFS:
            return
        raise
    raise OSError("a read-only mount could be written to")


def _fresh_proc() -> None:
    _enter(NEWNS | NEWPID)
    pid = os.fork()
    if pid:
        _, status = os.waitpid(pid, 0)
        if status:
            raise OSError("a new /proc cannot be mounted: parts of this one are hidden, as in a container")
        return
    try:
        mounts.make_private()
        mounts.proc("/proc")
    except OSError:
        os._exit(1)
    os._exit(0)


def _seccomp() -> None:
    rights.no_new_privileges()
    seccomp.install(seccomp.program(libc.MACHINE))
    try:
        libc.unshare(NEWUSER)
    except PermissionError:
        return
    raise OSError("the filter was installed, and does not filter")


def _pidfd() -> None:
    signal.pidfd_send_signal(os.pidfd_open(os.getpid()), 0)


def _landlock() -> None:
    if landlock.abi() < landlock.SCOPES_SINCE:
        raise OSError(f"Landlock speaks version {landlock.abi()}; {landlock.SCOPES_SINCE} is needed")
    rights.no_new_privileges()
    landlock.hide_abstract_sockets()


PROBES = {
    "user-namespaces": _user_namespace,
    "namespaces": _other_namespaces,
    "mounts": _mounts,
    "proc": _fresh_proc,
    "seccomp": _seccomp,
    "pidfd": _pidfd,
    "landlock": _landlock,
}
