"""A nest: the namespaces in which one zygote and its instances live, and the trusted process that is PID 1 there.

Three processes. The *keeper* is an order's init like any other: with the sentinel's rights over the host's files it
lays out the nest's root, then gives every right up and waits. The *nest* itself is PID 1 of a PID namespace in a user
namespace of its own: it holds rights over that alone. It starts the zygote, which has still fewer, and then forks the
inits of instances and waits for their workers: those are forked by the zygote, but born as the nest's own children.

The zygote is not PID 2: what guards against sharing state with a fork (OpenSSL's generator, for one) often compares
process ids, and every worker is PID 2 of its own namespace.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from collections import OrderedDict
from functools import partial
from typing import NoReturn

from torpor.runtime import forked, init, zygote
from torpor.runtime.forker import Forker
from torpor.runtime.init import Orders
from torpor.sandbox import libc, mounts, namespaces, rights, root, seccomp
from torpor.sandbox.namespaces import NEWCGROUP, NEWIPC, NEWNET, NEWNS, NEWPID, NEWUSER, NEWUTS

# News of the zygote: it forks from now on (with what it loaded), it will not (with the reason), it has ended.
ZYGOTE_READY, ZYGOTE_REFUSED, ZYGOTE_ENDED = zygote.READY, zygote.REFUSED, b"G"
_OUTPUT, _SERVER, _JOINS = 2, 3, 4  # places among the descriptors handed over
_OOM_SCORE = 250  # instances go first, and set that themselves: their inits are no longer allowed to
_TMP_MB, _SHM_MB = 256, 64
_MAX_UNCLAIMED = 256
_MAX_NEWS = 1 << 17
_BUILT = b"b"


def begin(orders: Orders, descriptors: list[int], report: socket.socket, code: bytes) -> int:
    """The keeper: make the nest, and return its process id. Implements init.Begin."""
    for fd in descriptors[_JOINS:]:
        os.write(fd, b"0")
    rights.prefer_as_victim(_OOM_SCORE)
    libc.unshare(NEWNS)
    mounts.proc("/proc")
    ours, theirs = socket.socketpair()
    pid = libc.clone(NEWUSER | NEWPID | NEWNS | NEWIPC | NEWUTS | NEWNET | NEWCGROUP | signal.SIGCHLD)
    if pid == 0:
        ours.close()
        _hatch(orders, descriptors, report, theirs, code)
    theirs.close()
    _, received, _, _ = socket.recv_fds(ours, 1, 1)
    namespaces.write_maps(pid, orders["users"], orders["groups"], deny_setgroups=False)
    libc.setns(received[0], NEWNS)  # to lay out with our rights, in mounts over which the nest has its own
    root.lay_out(orders["root"], resolver=False)
    root.make_scratch(orders["root"], tmp_mb=_TMP_MB, shm_mb=_SHM_MB, owner=orders["users"][0][1])
    root.add(orders["root"], orders["mounts"])
    place = os.open(orders["root"], os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    socket.send_fds(ours, [_BUILT], [place])
    ours.close()
    rights.renounce(orders["keeper_id"], orders["keeper_id"], drop_groups=orders["own_groups"])
    rights.forbid_dumping()
    return pid


def _hatch(
    orders: Orders, descriptors: list[int], report: socket.socket, keeper: socket.socket, code: bytes
) -> NoReturn:
    """The nest: settle in its namespaces, start the zygote, and serve."""
    server = socket.socket(fileno=descriptors[_SERVER])
    try:
        mine = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        socket.send_fds(keeper, [init.ENTERED], [mine])
        os.close(mine)
        _, received, _, _ = socket.recv_fds(keeper, 1, 1)
        rights.become(0, 0, drop_groups=orders["own_groups"])
        os.fchdir(received[0])  # by name it may lie where only the server's own user may look
        os.close(received[0])
        root.show_processes(".")
        root.seal(".")
        libc.sethostname("torpor")
        if orders["doors"]:
            namespaces.loopback_up()
        listeners = [namespaces.listen(address, port) for address, port in orders["doors"]]
        channel, pid = _start_zygote(orders, descriptors)
        init.tell(report, init.READY, [listener.fileno() for listener in listeners])
        rights.close_all_but([server.fileno(), channel.fileno()])
        Nest(server, channel, pid, code).run()
    except BaseException as error:
        init.tell(report, init.FAILED + init.reason(error))
    os._exit(1)


def _start_zygote(orders: Orders, descriptors: list[int]) -> tuple[socket.socket, int]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    spare = os.fork()  # takes PID 2, so that the zygote does not
    if spare == 0:
        os._exit(0)
    os.waitpid(spare, 0)
    setup = os.memfd_create("setup", os.MFD_CLOEXEC)
    os.write(setup, json.dumps(orders["setup"]).encode())
    os.lseek(setup, 0, os.SEEK_SET)
    output = descriptors[_OUTPUT]
    pid, gate = init.fork(lambda gate: _zygote(orders, [setup, output, output, theirs.fileno()], gate))
    os.close(setup)
    theirs.close()
    init.until_executed(gate)
    os.close(gate)
    return ours, pid


def _zygote(orders: Orders, descriptors: list[int], gate: int) -> NoReturn:
    """Give up all but what a fork into a sandbox takes, then become the environment's interpreter."""
    os.setsid()
    rights.new_session_keyring()
    for name, value in orders["limits"].items():
        rights.limit(name, value)
    rights.arrange(descriptors, keep=gate)
    rights.keep_capabilities((rights.CAP_SYS_CHROOT, rights.CAP_SYS_ADMIN))
    rights.no_new_privileges()
    seccomp.install(seccomp.program(libc.MACHINE, zygote=True))
    os.execve(orders["argv"][0], orders["argv"], orders["env"])  # noqa: S606 -- no shell is meant


class Nest(Forker):
    """Forks inits, and waits for the workers that the zygote makes for them."""

    def __init__(self, server: socket.socket, channel: socket.socket, pid: int, code: bytes) -> None:
        def child(order: int, descriptors: list[int]) -> NoReturn:
            inits = {"forked": partial(forked.begin, order)}
            init.run([*descriptors, channel.fileno()], code, inits)

        super().__init__(server, child)
        self._zygote = channel
        self._zygote_pid = pid
        self._heard = False
        self._reports: dict[
            int, socket.socket
        ] = {}  # order → where init reports; its worker's end is reported there too
        self._inits: dict[int, int] = {}  # order → process id
        self._workers: dict[int, int] = {}  # process id → order
        self._unclaimed: OrderedDict[int, int] = OrderedDict()  # workers that had ended before we heard of them
        self.listen(channel, self._hear)

    def started(self, pid: int, order: int, descriptors: list[int]) -> None:
        self._inits[order] = pid
        self._reports[order] = socket.socket(fileno=os.dup(descriptors[forked.REPORT]))

    def buried(self, pid: int, status: int) -> None:
        if pid == self._zygote_pid:
            self.tell(ZYGOTE_ENDED, 0, status)
        elif pid in self._orders:
            order = self._orders[pid]
            self._inits.pop(order)
            self._reports.pop(order).close()
            super().buried(pid, status)
        elif pid in self._workers:
            self._worker_ended(self._workers.pop(pid), status)
        else:
            self._unclaimed[pid] = status
            if len(self._unclaimed) > _MAX_UNCLAIMED:
                self._unclaimed.popitem(last=False)

    def _worker_ended(self, order: int, status: int) -> None:
        """The end of the worker is the end of its init and of everything with it."""
        if order not in self._inits:
            return
        with contextlib.suppress(OSError):  # the server no longer listens there: that it ended is all there is to tell
            init.tell(self._reports[order], init.ENDED + init.STATUS.pack(status))
        os.kill(self._inits[order], signal.SIGKILL)

    def _hear(self) -> None:
        """What the zygote says. It is not trusted: all that it can spoil is what was born of it."""
        message = self._zygote.recv(_MAX_NEWS)
        if not message:
            self.ignore(self._zygote)  # its end as a process is told when it is waited for
        elif message[:1] == zygote.FORKED and len(message) == zygote.BIRTH.size:
            _, order, pid = zygote.BIRTH.unpack(message)
            if pid in self._unclaimed:
                self._worker_ended(order, self._unclaimed.pop(pid))
            elif order in self._inits:
                self._workers[pid] = order
        elif message[:1] in (ZYGOTE_READY, ZYGOTE_REFUSED) and not self._heard:
            self._heard = True  # once: it may not keep the server busy
            self.tell(message[:1], 0, 0, text=message[1 : _MAX_NEWS // 2])
