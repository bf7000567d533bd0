"""The sentinel: PID 1 of the PID namespace in which everything runs that is not the server itself.

It blocks on its socket to the server. When the server is gone, however it went, the sentinel leaves and the kernel
ends everything below, whatever signals that ignores. It forks an init for each order, tells of each end, reaps orphans,
holds no state beyond process ids, and waits for nobody.

Started as `python -I -S -c … FD SETUP`: a fresh interpreter with one descriptor, in a session of its own.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import signal
import socket
import struct
import sys
from typing import NoReturn

from torpor.runtime import init
from torpor.sandbox import libc, mounts, namespaces, rights, seccomp
from torpor.sandbox.namespaces import NEWNS, NEWPID, NEWUSER

ORDER = struct.Struct("<Q")  # a start: the order's number; what to do is in the first of the descriptors with it
NEWS = struct.Struct("<cQi")  # what happened, to which order, a wait status or an errno
UP, SERVING, STARTED, REFUSED, ENDED, BROKEN = b"U", b"V", b"S", b"R", b"E", b"B"
MAX_DESCRIPTORS = 16
_MAX_MESSAGE = 4096


def main() -> NoReturn:
    """Enter the namespaces, then serve as their PID 1 until the server is gone."""
    server = socket.socket(fileno=int(sys.argv[1]))
    server.set_inheritable(False)
    try:
        _enter(json.loads(sys.argv[2]))
        pid = namespaces.fork_sibling()
        if pid == 0:
            _serve(server)
        # The server is the sentinel's parent and waits for it; this process has done its work.
        socket.send_fds(server, [NEWS.pack(UP, pid, 0)], [os.pidfd_open(pid)])
        os._exit(0)
    except BaseException as error:
        reason = f"{type(error).__name__}: {error}".encode(errors="replace")[: init.MAX_REASON]
        server.send(NEWS.pack(BROKEN, 0, getattr(error, "errno", None) or 0) + reason)
        os._exit(1)


def _enter(setup: dict[str, list[tuple[int, int, int]]]) -> None:
    """A user namespace with the ids we were given, and in it mounts and process ids of its own."""
    told, tell = os.pipe()
    us = os.getpid()
    mapper = os.fork()
    if mapper == 0:
        os.close(tell)
        os._exit(_map(us, told, setup))
    libc.unshare(NEWUSER)
    os.close(tell)
    if os.waitpid(mapper, 0)[1] != 0:
        raise OSError(f"the ids {setup['users']} could not be mapped into the sentinel's user namespace")
    libc.unshare(NEWNS | NEWPID)
    os.close(told)


def _map(process: int, told: int, setup: dict[str, list[tuple[int, int, int]]]) -> int:
    """Outside the new namespace, write its maps: ourselves where we may, else by the setuid tools for that."""
    os.read(told, 1)
    if "tools" not in setup:
        single = len(setup["users"]) == 1
        namespaces.write_maps(process, setup["users"], setup["groups"], deny_setgroups=single and os.geteuid() != 0)
        return 0
    for tool, ids in zip(setup["tools"], (setup["users"], setup["groups"]), strict=True):
        words = [str(number) for row in ids for number in row]
        command = [str(tool), str(process), *words]
        if os.spawnv(os.P_WAIT, command[0], command) != 0:  # noqa: S606 -- no shell is meant
            return 1
    return 0


def _serve(server: socket.socket) -> NoReturn:
    try:
        mounts.make_slave()
        mounts.proc("/proc")  # its own process ids, so that inits can map the ids of their workers
        _arm(server)
        sentinel = Sentinel(server, seccomp.program(libc.MACHINE))
        server.send(NEWS.pack(SERVING, 0, 0))
        sentinel.run()
    except BaseException as error:
        server.send(NEWS.pack(BROKEN, 0, getattr(error, "errno", None) or 0) + str(error).encode()[: init.MAX_REASON])
    os._exit(1)


def _arm(server: socket.socket) -> None:
    nothing = os.open("/dev/null", os.O_RDWR)
    for fd in (0, 1):
        os.dup2(nothing, fd)
    rights.close_from(3, keep=server.fileno())
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.chdir("/")
    gc.collect()
    gc.disable()
    gc.freeze()  # no collection in a child touches, and so copies, our pages


class Sentinel:
    """Orders in, forks out, news back."""

    def __init__(self, server: socket.socket, code: bytes) -> None:
        self._server = server
        self._code = code
        self._orders: dict[int, int] = {}  # process id → order
        self._wakeup, self._alarm = socket.socketpair()

    def run(self) -> NoReturn:
        self._alarm.setblocking(False)
        self._wakeup.setblocking(False)
        signal.set_wakeup_fd(self._alarm.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with selectors.DefaultSelector() as selector:
            selector.register(self._server, selectors.EVENT_READ, self._obey)
            selector.register(self._wakeup, selectors.EVENT_READ, self._bury)
            while True:
                for key, _ in selector.select():
                    key.data()

    def _obey(self) -> None:
        message, descriptors, _, _ = socket.recv_fds(self._server, _MAX_MESSAGE, MAX_DESCRIPTORS)
        if not message:
            os._exit(0)
        (order,) = ORDER.unpack(message)
        try:
            self._start(order, descriptors)
        except OSError as error:
            self._tell(REFUSED, order, error.errno or 0)
        finally:
            for fd in descriptors:
                os.close(fd)

    def _start(self, order: int, descriptors: list[int]) -> None:
        pid = namespaces.fork_as_init()
        if pid == 0:
            init.run(descriptors, self._code)
        self._orders[pid] = order
        handle = os.pidfd_open(pid)
        try:
            self._tell(STARTED, order, pid, [handle])
        finally:
            os.close(handle)

    def _bury(self) -> None:
        self._wakeup.recv(_MAX_MESSAGE)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            order = self._orders.pop(pid, None)
            if order is not None:
                self._tell(ENDED, order, status)

    def _tell(self, what: bytes, order: int, detail: int, descriptors: list[int] | None = None) -> None:
        try:
            socket.send_fds(self._server, [NEWS.pack(what, order, detail)], descriptors or [])
        except (BrokenPipeError, ConnectionResetError):
            os._exit(0)
