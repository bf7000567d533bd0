"""The C library and raw system calls, each raising OSError with the name of what failed."""

from __future__ import annotations

import ctypes
import os
import platform

MACHINE = platform.machine()
_CHILD_CLEARTID, _CHILD_SETTID = 0x00200000, 0x01000000
_GET_TID_ADDRESS = 40

# Calls the C library has no wrapper for everywhere, as (x86_64, aarch64). From 424 on all machines agree.
_NUMBERS: dict[str, tuple[int, int]] = {
    "clone": (56, 220),
    "pivot_root": (155, 41),
    "seccomp": (317, 277),
    "capset": (126, 91),
    "keyctl": (250, 219),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "set_robust_list": (273, 99),
    "get_robust_list": (274, 100),
    "close_range": (436, 436),
    "mount_setattr": (442, 442),
    "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
}

_libc = ctypes.CDLL(None, use_errno=True)
_locked_libc = ctypes.PyDLL(None, use_errno=True)  # keeps Python's lock, as a fork must
_libc.syscall.restype = ctypes.c_long
_locked_libc.syscall.restype = ctypes.c_long


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(name: str, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    """Call the kernel by the call's name; integers are passed at full width."""
    wide = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    number = _NUMBERS[name][0 if MACHINE == "x86_64" else 1]
    return _checked(int(_libc.syscall(ctypes.c_long(number), *wide)), name)


def prctl(option: int, first: int = 0, second: int = 0, third: int = 0, fourth: int = 0) -> int:
    wide = [ctypes.c_ulong(value) for value in (first, second, third, fourth)]
    return _checked(int(_libc.prctl(option, *wide)), f"prctl {option}")


def unshare(flags: int) -> None:
    _checked(int(_libc.unshare(flags)), "unshare")


def setns(fd: int, kind: int) -> None:
    """Enter the namespace that `fd` holds open; of process ids, only for the children to come."""
    _checked(int(_libc.setns(fd, kind)), "setns")


def mount(source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount; empty strings stand for NULL."""
    texts = [text.encode() or None for text in (source, target, kind)]
    _checked(
        int(_libc.mount(*texts, ctypes.c_ulong(flags), data.encode() or None)), f"mount {kind or source} on {target}"
    )


def umount_lazily(target: str) -> None:
    detach = 2
    _checked(int(_libc.umount2(target.encode(), detach)), f"umount {target}")


def sethostname(name: str) -> None:
    _checked(int(_libc.sethostname(name.encode(), ctypes.c_size_t(len(name.encode())))), "sethostname")


def clone(flags: int) -> int:
    """Fork, with flags; returns 0 in the child. Only a single-threaded process may call it.

    Python's own hooks run as they do around os.fork, so that locks and thread ids are right in the child, and what the
    C library's own fork tells the kernel is told here: where the thread's id is kept, and its list of robust locks.
    """
    hooks = ctypes.pythonapi
    kept, locks = _thread_id_address(), _robust_locks()
    if kept:
        flags |= _CHILD_SETTID | _CHILD_CLEARTID
    hooks.PyOS_BeforeFork()
    number = _NUMBERS["clone"][0 if MACHINE == "x86_64" else 1]
    last = (kept, 0) if MACHINE == "x86_64" else (0, kept)  # the two machines disagree on the order of these
    words = [ctypes.c_long(value) for value in (number, flags, 0, 0, *last)]
    result = int(_locked_libc.syscall(*words))
    failure = ctypes.get_errno()
    if result == 0:
        if locks[0]:
            _locked_libc.syscall(ctypes.c_long(_number("set_robust_list")), *map(ctypes.c_long, locks))
        hooks.PyOS_AfterFork_Child()
    else:
        hooks.PyOS_AfterFork_Parent()
    if result < 0:
        raise OSError(failure, f"clone: {os.strerror(failure)}")
    return result


def _number(name: str) -> int:
    return _NUMBERS[name][0 if MACHINE == "x86_64" else 1]


def _thread_id_address() -> int:
    """Where the C library keeps this thread's id; 0 on kernels that do not tell."""
    address = ctypes.c_long(0)
    _libc.prctl(_GET_TID_ADDRESS, ctypes.byref(address), 0, 0, 0)
    return address.value


def _robust_locks() -> tuple[int, int]:
    """The head and size of this thread's list of robust locks; (0, 0) where there is none."""
    head, size = ctypes.c_long(0), ctypes.c_long(0)
    _libc.syscall(ctypes.c_long(_number("get_robust_list")), ctypes.c_long(0), ctypes.byref(head), ctypes.byref(size))
    return head.value, size.value
