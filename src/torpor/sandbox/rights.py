"""Giving up rights for good: ids, capabilities, dumping, keyrings, resource limits, descriptors."""

# Plain calls of os: the sentinel loads as little as it can, since each instance's init is a copy of it.
# ruff: noqa: PTH123

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import resource
import struct
from collections.abc import Iterable, Sequence

from torpor.sandbox import libc

_SET_DUMPABLE, _CAPBSET_DROP, _SET_SECUREBITS, _SET_NO_NEW_PRIVS, _CAP_AMBIENT = 4, 24, 28, 38, 47
_AMBIENT_CLEAR_ALL = 4
_KEYCTL_JOIN_SESSION = 1
_CAPABILITY_V3 = 0x20080522
# NOROOT, NO_SETUID_FIXUP and NO_CAP_AMBIENT_RAISE, each locked; KEEP_CAPS off and locked.
_SECUREBITS = 0b1110_1111
_LARGEST_CAPABILITY = 63
CAP_SYS_CHROOT, CAP_SYS_ADMIN = 18, 21
_HIGHEST = 0xFFFFFFFF


def become(uid: int, gid: int, *, drop_groups: bool) -> None:
    """Take on these ids, real, effective and saved. Where setgroups is denied the groups of our user stay."""
    if drop_groups:
        os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)


def renounce(uid: int, gid: int, *, drop_groups: bool, kept: Sequence[int] = ()) -> None:
    """Take on these ids and keep no capability, nor any way to come by one; `kept` goes by `drop_capabilities`."""
    close_capabilities()
    become(uid, gid, drop_groups=drop_groups)  # which, after that, takes no capability away
    mask = _mask(kept)
    _set_capabilities(effective=mask, permitted=mask)
    no_new_privileges()


def close_capabilities() -> None:
    """Let no exec and no change of ids ever give capabilities again. Those held stay until drop_capabilities."""
    libc.prctl(_CAP_AMBIENT, _AMBIENT_CLEAR_ALL)
    libc.prctl(_SET_SECUREBITS, _SECUREBITS)
    _bound_capabilities(())


def drop_capabilities() -> None:
    """Empty the inheritable, permitted and effective sets."""
    _set_capabilities(effective=0, permitted=0)


def keep_capabilities(kept: Sequence[int]) -> None:
    """Hold these alone, also as id 0 after an exec."""
    libc.prctl(_CAP_AMBIENT, _AMBIENT_CLEAR_ALL)
    _bound_capabilities(kept)
    mask = _mask(kept)
    _set_capabilities(effective=mask, permitted=mask)


def _mask(capabilities: Sequence[int]) -> int:
    return sum(1 << number for number in capabilities)


def _bound_capabilities(kept: Sequence[int]) -> None:
    with contextlib.suppress(OSError):  # EINVAL: this kernel has no more of them
        for capability in range(_LARGEST_CAPABILITY + 1):
            if capability not in kept:
                libc.prctl(_CAPBSET_DROP, capability)


def _set_capabilities(*, effective: int, permitted: int) -> None:
    header = ctypes.create_string_buffer(struct.pack("Ii", _CAPABILITY_V3, 0), 8)
    low, high = 0xFFFFFFFF, 32
    words = (effective & low, permitted & low, 0, effective >> high, permitted >> high, 0)
    libc.syscall("capset", header, ctypes.create_string_buffer(struct.pack("6I", *words), 24))


def forbid_dumping() -> None:
    """Let no process without rights over our user namespace trace us or read our memory."""
    libc.prctl(_SET_DUMPABLE, 0)


def allow_dumping() -> None:
    libc.prctl(_SET_DUMPABLE, 1)


def no_new_privileges() -> None:
    libc.prctl(_SET_NO_NEW_PRIVS, 1)


def new_session_keyring() -> None:
    """Leave the keyring inherited from the server's session. Kernels without keys have none to leave."""
    with contextlib.suppress(OSError):
        libc.syscall("keyctl", _KEYCTL_JOIN_SESSION, None)


def prefer_as_victim(score: int) -> None:
    """Let the kernel end us before others when the whole machine is out of memory."""
    with open("/proc/self/oom_score_adj", "w", encoding="utf-8") as adjustment:
        adjustment.write(str(score))


def limit(name: str, value: int) -> None:
    """Set a resource limit, soft and hard, as near to `value` as our own hard limit allows."""
    number = getattr(resource, f"RLIMIT_{name}")
    hard = resource.getrlimit(number)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(number, (value, value))


def allow_open_files() -> int:
    """Raise our own soft limit on open files to the hard one, which needs no right; returns it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def close_all_but(kept: Iterable[int]) -> None:
    """Close every descriptor but these."""
    first = 0
    for fd in sorted(kept):
        if fd > first:
            _close_range(first, fd - 1)
        first = fd + 1
    _close_range(first, _HIGHEST)


def close_from(lowest: int, *, keep: int | None = None) -> None:
    """Close every descriptor from `lowest` on, but for `keep`."""
    if keep is None or keep < lowest:
        _close_range(lowest, _HIGHEST)
        return
    if keep > lowest:
        _close_range(lowest, keep - 1)
    _close_range(keep + 1, _HIGHEST)


def _close_range(first: int, last: int) -> None:
    libc.syscall("close_range", first, last, 0)


def above(fd: int, lowest: int) -> int:
    """The same open file under a number from `lowest` on, close-on-exec."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, lowest)


def arrange(descriptors: list[int], *, keep: int) -> None:
    """Make `descriptors` ours as 0, 1, 2 …, inheritable, and close every other one but `keep`, which lies above."""
    # First out of the way, so that no dup2 closes one that is still to come.
    for target, fd in enumerate([above(fd, len(descriptors)) for fd in descriptors]):
        os.dup2(fd, target, inheritable=True)
    close_from(len(descriptors), keep=keep)
