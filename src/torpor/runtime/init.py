"""The tiny trusted init of one instance or command: PID 1 of its own PID namespace, its worker is PID 2.

It joins the cgroups it was handed, builds the sandbox, starts the worker, reaps what is orphaned, reports exactly how
the worker ended, and leaves, whereupon the kernel ends everything else inside. It forwards nothing.

The namespaces belong to the sentinel's user namespace. The worker goes on into one of its own, with a locked copy of
the mounts, so that it holds no right over any of them whatever it becomes.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from torpor.sandbox import landlock, libc, namespaces, ownership, rights, root, seccomp
from torpor.sandbox.namespaces import NEWCGROUP, NEWIPC, NEWNET, NEWNS, NEWUSER, NEWUTS

READY, FAILED, ENDED = b"R", b"F", b"X"  # what init says on its report socket: listeners, a reason, a wait status
MAX_REASON = 4096
STATUS = struct.Struct("<i")
_SPEC, _REPORT, _OUTPUT, _CONTROL, _JOINS = 0, 1, 2, 3, 4  # places among the descriptors handed over
OOM_SCORE = 500
GATE = 16  # above every descriptor that a worker gets
ENTERED, MAPPED = b"u", b"m"

Orders = dict[str, Any]
Begin = Callable[[Orders, list[int], socket.socket, bytes], int]  # the process id of the worker to wait for


def run(descriptors: list[int], code: bytes, inits: Mapping[str, Begin]) -> NoReturn:
    """Carry out the orders in the first descriptor, and never return."""
    report = socket.socket(fileno=descriptors[_REPORT])
    try:
        reset_signals()
        orders = json.loads(os.pread(descriptors[_SPEC], os.fstat(descriptors[_SPEC]).st_size, 0))
        begin = inits[orders["kind"]]
        worker = begin(orders, descriptors, report, code)
        close_others(keep=report.fileno())
        _reap(worker, report)
    except BaseException as error:
        tell(report, FAILED + reason(error))
    os._exit(1)


def reset_signals() -> None:
    """Undo what Python and the sentinel set: as PID 1, whatever has no handler cannot hurt us from inside."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGPIPE, signal.SIGTERM, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def close_others(keep: int) -> None:
    rights.close_from(0, keep=keep)


def reason(error: BaseException) -> bytes:
    return f"{type(error).__name__}: {error}".encode(errors="replace")[:MAX_REASON]


def tell(report: socket.socket, message: bytes, descriptors: list[int] | None = None) -> None:
    socket.send_fds(report, [message], descriptors or [], socket.MSG_NOSIGNAL)


def _reap(worker: int, report: socket.socket) -> NoReturn:
    """Wait until the worker has ended, burying orphans meanwhile."""
    pid = 0
    while pid != worker:
        pid, status = os.waitpid(-1, 0)
    tell(report, ENDED + STATUS.pack(status))
    os._exit(0)


def _instance(orders: Orders, descriptors: list[int], report: socket.socket, code: bytes) -> int:
    for fd in descriptors[_JOINS:]:
        os.write(fd, b"0")
    rights.prefer_as_victim(OOM_SCORE)
    private_network = orders["network"] == "none"
    libc.unshare(NEWNS | NEWIPC | NEWUTS | NEWCGROUP | (NEWNET if private_network else 0))
    libc.sethostname("torpor")
    if private_network:
        namespaces.loopback_up()
    _root(orders)
    os.fchown(descriptors[_OUTPUT], orders["worker_id"], orders["worker_id"])  # or /dev/stdout would not open
    listeners = [namespaces.listen(address, port) for address, port in orders["doors"]]
    worker, gate = fork(lambda gate: _worker(orders, descriptors, gate, code))
    let_in(worker, gate, orders["worker_id"])
    renounce(orders)
    until_executed(gate)
    tell(report, READY, [listener.fileno() for listener in listeners])
    return worker


def _root(orders: Orders) -> None:
    place, worker = orders["root"], orders["worker_id"]
    network_host = orders["network"] == "host"
    root.build(
        place,
        tmp_mb=orders["tmp_mb"],
        shm_mb=orders["shm_mb"],
        owner=worker,
        resolver=network_host,
    )
    for source, _, read_only in orders["mounts"]:
        if not read_only:
            os.chown(source, worker, worker)
    root.add(place, orders["mounts"])
    root.seal(place)


def fork(child: Callable[[int], NoReturn]) -> tuple[int, int]:
    """Start the worker; returns its process id and our end of the gate, by which it is told and tells why it failed."""
    ours, theirs = socket.socketpair()
    gate = rights.above(theirs.fileno(), GATE)
    theirs.close()
    pid = os.fork()
    if pid == 0:
        try:
            child(gate)
        except BaseException as error:
            os.write(gate, reason(error))
        os._exit(127)
    os.close(gate)
    return pid, ours.detach()


def let_in(worker: int, gate: int, outer_id: int) -> None:
    """Give the worker's user namespace its one id, once the worker is there."""
    said = os.read(gate, MAX_REASON)
    if said != ENTERED:
        raise OSError(said.decode(errors="replace") or "the worker ended before it was confined")
    users, groups = [(root.USER_ID, outer_id, 1)], [(root.GROUP_ID, outer_id, 1)]
    namespaces.write_maps(worker, users, groups, deny_setgroups=False)
    os.write(gate, MAPPED)


def renounce(orders: Orders, kept: Sequence[int] = ()) -> None:
    """Init keeps no right either, or those in `kept` alone, and none who shares its user id may look into it."""
    rights.renounce(orders["init_id"], orders["init_id"], drop_groups=orders["own_groups"], kept=kept)
    rights.forbid_dumping()


def until_executed(gate: int) -> None:
    """The gate closes by the exec itself; anything said before is why there was none."""
    said = os.read(gate, MAX_REASON)
    if said:
        raise OSError(said.decode(errors="replace"))


def _worker(orders: Orders, descriptors: list[int], gate: int, code: bytes) -> NoReturn:
    os.setsid()
    libc.unshare(NEWUSER | NEWNS)
    os.write(gate, ENTERED)
    if os.read(gate, 1) != MAPPED:
        raise OSError("init did not map the worker's ids")
    rights.new_session_keyring()
    rights.renounce(root.USER_ID, root.GROUP_ID, drop_groups=orders["own_groups"])
    for name, value in orders["limits"].items():
        rights.limit(name, value)
    if orders["network"] == "host":
        with contextlib.suppress(OSError):  # older kernels cannot: `doctor` tells
            landlock.hide_abstract_sockets()
    os.chdir(orders["cwd"])
    _arrange([descriptors[_OUTPUT], descriptors[_OUTPUT], descriptors[_CONTROL]], gate)
    seccomp.install(code)
    os.execve(orders["argv"][0], orders["argv"], orders["env"])  # noqa: S606 -- no shell is meant


def _arrange(descriptors: list[int], gate: int) -> None:
    """Nothing at 0, `descriptors` from 1 on; beside them the gate alone, which the exec closes."""
    nothing = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    rights.arrange([nothing, *descriptors], keep=gate)


def _command(orders: Orders, descriptors: list[int], report: socket.socket, code: bytes) -> int:
    """A trusted command in the server's own view of files; it only dies with us."""
    del code
    worker, gate = fork(lambda gate: _trusted(orders, descriptors, gate))
    until_executed(gate)
    tell(report, READY)
    return worker


def _trusted(orders: Orders, descriptors: list[int], gate: int) -> NoReturn:
    os.setsid()
    os.chdir(orders["cwd"])
    _arrange([descriptors[_OUTPUT], descriptors[_OUTPUT]], gate)
    os.execve(orders["argv"][0], orders["argv"], orders["env"])  # noqa: S606 -- no shell is meant


def _reclaim(orders: Orders, descriptors: list[int], report: socket.socket, code: bytes) -> NoReturn:
    """Take back what an instance, now gone, wrote into its writable mounts under its own user id."""
    del descriptors, code
    tell(report, READY)
    for folder in orders["folders"]:
        ownership.take_back(folder)
    tell(report, ENDED + STATUS.pack(0))
    os._exit(0)


INITS: dict[str, Begin] = {"instance": _instance, "command": _command, "reclaim": _reclaim}
