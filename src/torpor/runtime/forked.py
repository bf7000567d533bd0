"""The init of an instance that a zygote forks: PID 1 of a PID namespace within the nest's; the worker is PID 2 there.

First it prepares everything that does not depend on whose code will run, and has the worker forked and confined: what
waits then is a *blank*, and its init has given up every right but that to mount. Then the sentinel sends the code, as
mounts that nobody in here could make, and the server a letter, with what the worker is to run. Init attaches the
mounts, gives up that right too, and passes on the worker's part, unread. After that only the kernel ends it.
"""

# Plain calls of os: the sentinel loads as little as it can, since each instance's init is a copy of it.
# ruff: noqa: PTH123, PTH208

from __future__ import annotations

import json
import os
import signal
import socket
from typing import Any, NoReturn

from torpor.runtime import init, zygote
from torpor.runtime.init import Orders
from torpor.sandbox import libc, mounts, namespaces, rights, root
from torpor.sandbox.namespaces import NEWCGROUP, NEWIPC, NEWNET, NEWNS, NEWUTS

REPORT = 1
_CONTROL, _POST, _JOINS = 2, 3, 4  # places among the descriptors handed over; the last is the zygote's
WAITING = b"W"  # what init says on its report socket: the blank is ready. With it: output, worker, listeners
# The namespaces that the worker enters, in this order: process ids by the zygote for its child, mounts last.
NAMESPACES = ("pid", "net", "ipc", "uts", "cgroup", "mnt")
_WORKER = 2
LETTER, END_OF_HEAD = b"L", b"\0"  # the server's message to init: what concerns init, as JSON, then the worker's part
MAX_LETTER = 64 * 1024
_MAX_TREES = 8


def begin(order: int, orders: Orders, descriptors: list[int], report: socket.socket, code: bytes) -> NoReturn:
    """Prepare, wait for the letter, and never return. With its first argument given, it implements init.Begin."""
    del code
    joins = descriptors[_JOINS:-1]
    for fd in joins:
        os.write(fd, b"0")
    libc.unshare(NEWNS | NEWIPC | NEWUTS | NEWCGROUP | NEWNET)
    namespaces.loopback_up()
    worker = orders["worker_id"]
    root.refill(tmp_mb=orders["tmp_mb"], shm_mb=orders["shm_mb"], owner=worker, shared=orders["shared"])
    listeners = [namespaces.listen(address, port) for address, port in orders["doors"]]
    output, written = _pipe_of(worker)
    words = [order, orders["limits"], orders["ahead"]]
    gate = _order_worker(descriptors[-1], words, written, descriptors[_CONTROL], joins)
    os.close(written)
    init.let_in(_WORKER, gate, worker)
    _must_be_in_our_groups(_WORKER)
    init.renounce(orders, kept=(rights.CAP_SYS_ADMIN,))
    said = os.read(gate, init.MAX_REASON)
    if said != zygote.CONFINED:
        raise OSError(said.decode(errors="replace") or "the worker ended before it was confined")
    init.tell(report, WAITING, [output, os.pidfd_open(_WORKER), *(listener.fileno() for listener in listeners)])
    post = socket.socket(fileno=descriptors[_POST])
    rights.close_all_but([report.fileno(), post.fileno(), gate])
    _deliver(orders, post, gate)
    init.tell(report, init.READY)
    init.close_others(keep=report.fileno())
    _reap()


def _pipe_of(worker: int) -> tuple[int, int]:
    """A pipe that belongs to the worker's user: what it holds is charged to that one, and /dev/stdout opens."""
    os.setresuid(worker, worker, 0)
    try:
        return os.pipe()
    finally:
        os.setresuid(0, 0, 0)


def _must_be_in_our_groups(worker: int) -> None:
    """It joined by itself, and is born of what is not trusted."""
    ours, theirs = (_read(f"/proc/{whose}/cgroup") for whose in ("self", worker))
    if theirs != ours or len(os.listdir(f"/proc/{worker}/task")) != 1:
        raise OSError("the worker did not join its control groups")


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _order_worker(channel: int, order: list[Any], output: int, control: int, joins: list[int]) -> int:
    """Ask the zygote for a child in our namespaces; returns our end of the gate between the child and us."""
    ours, theirs = socket.socketpair()
    spaces = [os.open(f"/proc/self/ns/{name}", os.O_RDONLY | os.O_CLOEXEC) for name in NAMESPACES]
    with socket.socket(fileno=channel) as to:
        socket.send_fds(to, [json.dumps(order).encode()], [theirs.fileno(), output, control, *spaces, *joins])
    theirs.close()
    for fd in spaces:
        os.close(fd)
    return ours.detach()


def _deliver(orders: Orders, post: socket.socket, gate: int) -> None:
    """Take in letter and code, make the sandbox fit them, and hand the worker its part: it runs from then on."""
    letter, part, trees = _collect(post)
    for tree, target in zip(trees, letter["targets"], strict=True):
        mounts.attach(tree, target)
        os.close(tree)
    if letter["tmp_mb"] != orders["tmp_mb"] or letter["shm_mb"] != orders["shm_mb"]:
        root.resize(tmp_mb=letter["tmp_mb"], shm_mb=letter["shm_mb"])
    rights.drop_capabilities()
    with socket.socket(fileno=gate) as told:
        told.sendall(part)
        told.shutdown(socket.SHUT_WR)
        init.until_executed(told.fileno())


def _collect(post: socket.socket) -> tuple[dict[str, Any], bytes, list[int]]:
    """The letter's two parts and the code's mounts: from the server and from the sentinel, in whatever order."""
    letter: dict[str, Any] | None = None
    trees: list[int] | None = None
    part = b""
    while letter is None or trees is None:
        message, received, _, _ = socket.recv_fds(post, MAX_LETTER, _MAX_TREES)
        if not message:
            os._exit(0)  # nobody will ever need this blank
        if message[:1] == LETTER:
            head, _, part = message[1:].partition(END_OF_HEAD)
            letter = json.loads(head)
        elif message[:1] == init.READY:
            trees = received
        else:
            raise OSError(message[1:].decode(errors="replace"))
    return letter, part, trees


def _reap() -> NoReturn:
    """Bury orphans. The worker is not ours to wait for: who waits for it ends us with it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])  # one that comes between the two calls is kept
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            signal.sigwait([signal.SIGCHLD])
