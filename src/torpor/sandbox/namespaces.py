"""Namespaces: making them, mapping their ids, and what a fresh one needs to be of use."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import struct

from torpor.sandbox import libc

NEWNS = 0x00020000
NEWCGROUP = 0x02000000
NEWUTS = 0x04000000
NEWIPC = 0x08000000
NEWUSER = 0x10000000
NEWPID = 0x20000000
NEWNET = 0x40000000
_PARENT = 0x00008000
_SIOCSIFFLAGS = 0x8914
_IFF_UP_RUNNING = 0x41
_LO = 1  # its index, in every network namespace
_RTM_NEWADDR = 20
_IFA_LOCAL = 2
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_CREATE = 0x1, 0x4, 0x400

IdMap = list[tuple[int, int, int]]  # inside, outside, count


def fork_as_init() -> int:
    """Fork a child that is PID 1 of a new PID namespace; returns 0 in the child."""
    return libc.clone(NEWPID | signal.SIGCHLD)


def fork_sibling() -> int:
    """Fork a child of our own parent, who will wait for it instead of us; returns 0 in the child."""
    return libc.clone(_PARENT | signal.SIGCHLD)


def write_maps(process: int | str, users: IdMap, groups: IdMap, *, deny_setgroups: bool) -> None:
    """Map the ids of `process`'s user namespace. A map of one single own id needs setgroups denied first."""
    if deny_setgroups:
        _write(f"/proc/{process}/setgroups", "deny")
    _write(f"/proc/{process}/gid_map", _lines(groups))
    _write(f"/proc/{process}/uid_map", _lines(users))


def _lines(ids: IdMap) -> str:
    return "".join(f"{inside} {outside} {count}\n" for inside, outside, count in ids)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())  # the kernel takes a map in one write only
    finally:
        os.close(fd)


def loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _IFF_UP_RUNNING))


def listen(address: str, port: int, backlog: int = 128) -> socket.socket:
    """A listening stream socket in the caller's network namespace, whose loopback gets the address if it lacks it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if not address.startswith("127.") and address != "::1":
        _add_to_loopback(family, socket.inet_pton(family, address))
    return socket.create_server((address, port), family=family, backlog=backlog)


def _add_to_loopback(family: socket.AddressFamily, address: bytes) -> None:
    """By route netlink: the older calls replace an interface's IPv4 address rather than add one."""
    about = struct.pack("=BBBBi", family, len(address) * 8, 0, 0, _LO)
    attribute = struct.pack("=HH", 4 + len(address), _IFA_LOCAL) + address
    length = 16 + len(about) + len(attribute)
    flags = _NLM_F_REQUEST | _NLM_F_ACK | _NLM_F_CREATE
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.sendall(struct.pack("=IHHII", length, _RTM_NEWADDR, flags, 1, 0) + about + attribute)
        answer = kernel.recv(4096)
    error = -struct.unpack_from("=i", answer, 16)[0]
    if error not in (0, errno.EEXIST):
        raise OSError(error, os.strerror(error))
