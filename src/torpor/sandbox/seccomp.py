"""The system call filter: a small BPF program, installed last, that no process inside can remove.

Calls are allowed unless refused, but only those this table knew when it was written. Refusals are errors, never kills,
so that libraries fall back; only a foreign instruction set (32-bit calls on a 64-bit kernel) ends the process.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Callable

from torpor.sandbox import libc, syscalls
from torpor.sandbox.namespaces import NEWCGROUP, NEWIPC, NEWNET, NEWNS, NEWPID, NEWUSER, NEWUTS

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_LOAD, _JUMP, _EQUAL, _GREATER, _ANY_BIT, _RETURN = 0x20, 0x05, 0x15, 0x25, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_KILL, _ERROR, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_SET_MODE_FILTER = 1

_NAMESPACES = NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET
_NEWTIME = 0x80
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK, _NETLINK_ROUTE = 1, 2, 10, 16, 0
_TERMINAL_CONTROLS = (0x5412, 0x541C, 0x5423)  # TIOCSTI, TIOCLINUX, TIOCSETD
_RLIMIT_CORE = 4
_PERSONALITIES = (0, 0xFFFFFFFF)  # Linux, and asking

Program = list[tuple[int, int, int, int]]  # code, jump if true, jump if false, operand

_REFUSE: Program = [(_RETURN, 0, 0, _ERROR | errno.EPERM)]
_PERMIT: Program = [(_RETURN, 0, 0, _ALLOW)]
_PRETEND: Program = [(_RETURN, 0, 0, _ERROR)]  # nothing is done, and the caller told that it was


def program(machine: str, *, zygote: bool = False) -> bytes:
    """The filter for a machine ("x86_64", "aarch64"), as the kernel's array of sock_filter.

    A zygote's is the same but for what it does to put a child into a sandbox; the child then installs the full one.
    """
    column = list(_ARCHITECTURES).index(machine)
    steps: Program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_GREATER, 0, 1, syscalls.LAST_KNOWN),  # x32 calls on x86_64 carry bit 30 and end here too
        (_RETURN, 0, 0, _ERROR | errno.ENOSYS),
    ]
    refused = {name: row for name, row in syscalls.REFUSED.items() if not (zygote and name == "setns")}
    steps += _among(_numbers(refused, column), _ERROR | errno.EPERM)
    steps += _among(_numbers(syscalls.ABSENT, column), _ERROR | errno.ENOSYS)
    for name, examine in {**_EXAMINATIONS, **(_OF_ZYGOTES if zygote else {})}.items():
        number = syscalls.EXAMINED[name][column]
        assert number is not None, name
        steps += _when(number, examine())
    return b"".join(struct.pack("HBBI", *step) for step in steps + _PERMIT)


def install(code: bytes) -> None:
    """Filter this process and all it will start. Needs no_new_privileges before."""
    kept = ctypes.create_string_buffer(code, len(code))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(kept)), 16)
    libc.syscall("seccomp", _SET_MODE_FILTER, 0, header)


def _numbers(table: syscalls.Table, column: int) -> list[int]:
    return sorted(number for row in table.values() if (number := row[column]) is not None)


def _among(values: list[int], verdict: int) -> Program:
    """Return `verdict` if the accumulator is one of `values` (at most 250: jumps are one byte)."""
    tests: Program = [(_EQUAL, len(values) - index, 0, value) for index, value in enumerate(values)]
    return [*tests, (_JUMP, 0, 0, 1), (_RETURN, 0, 0, verdict)]


def _when(number: int, block: Program) -> Program:
    """Run `block`, which ends with a return on every way, for this call only."""
    return [(_EQUAL, 0, len(block), number), *block]


def _argument(index: int, *, high: bool = False) -> tuple[int, int, int, int]:
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * index + (4 if high else 0))


def _without_namespaces(flags: int) -> Program:
    return [_argument(0), (_ANY_BIT, 0, 1, flags), *_REFUSE, *_PERMIT]


def _socket() -> Program:
    """UNIX, INET, INET6, and NETLINK for routes alone: AF_VSOCK would reach the machine from an empty network."""
    unknown = (_RETURN, 0, 0, _ERROR | errno.EAFNOSUPPORT)
    plain = _among([_AF_UNIX, _AF_INET, _AF_INET6], _ALLOW)
    return [_argument(0), *plain, (_EQUAL, 1, 0, _AF_NETLINK), unknown, _argument(2), *_only([_NETLINK_ROUTE], unknown)]


def _socketpair() -> Program:
    return [_argument(0), *_only([_AF_UNIX], (_RETURN, 0, 0, _ERROR | errno.EAFNOSUPPORT))]


def _only(values: list[int], otherwise: tuple[int, int, int, int]) -> Program:
    return [*_among(values, _ALLOW), otherwise]


def _ioctl() -> Program:
    return [_argument(1), *_among(list(_TERMINAL_CONTROLS), _ERROR | errno.EPERM), *_PERMIT]


def _personality() -> Program:
    return [_argument(0), *_only(list(_PERSONALITIES), _REFUSE[0])]


def _prlimit() -> Program:
    """One's own limits may be set, and anyone's within the namespace read: a shared uid must not reach init.

    The size of core files stays at 1, the only value at which a host that pipes them into a program of root's (apport,
    systemd-coredump) does not: lowering it to 0 would bring that back, and so is only said to have been done.
    """
    own: Program = [_argument(1), (_EQUAL, 1, 0, _RLIMIT_CORE), *_PERMIT, *_if_null(2, _PRETEND)]
    return [_argument(0), *_when(0, own), *_if_null(2, _REFUSE)]


def _setrlimit() -> Program:
    return [_argument(0), *_among([_RLIMIT_CORE], _ERROR), *_PERMIT]


def _if_null(pointer: int, otherwise: Program) -> Program:
    """Permit with a null pointer for an argument, which is 64 bits wide: both halves are zero."""
    # A low half that is not zero jumps past the load and the test of the high one.
    return [_argument(pointer), (_EQUAL, 0, 2, 0), _argument(pointer, high=True), *_among([0], _ALLOW), *otherwise]


_EXAMINATIONS: dict[str, Callable[[], Program]] = {
    "clone": lambda: _without_namespaces(_NAMESPACES),
    "unshare": lambda: _without_namespaces(_NAMESPACES | _NEWTIME),
    "socket": _socket,
    "socketpair": _socketpair,
    "ioctl": _ioctl,
    "personality": _personality,
    "prlimit64": _prlimit,
    "setrlimit": _setrlimit,
}
_OF_ZYGOTES: dict[str, Callable[[], Program]] = {
    "unshare": lambda: _without_namespaces((_NAMESPACES | _NEWTIME) & ~NEWUSER)
}
