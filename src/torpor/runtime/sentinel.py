"""The sentinel: PID 1 of the PID namespace in which everything runs that is not the server itself.

It blocks on its socket to the server. When the server is gone, however it went, the sentinel leaves and the kernel
ends everything below, whatever signals that ignores. It forks an init for each order, tells of each end, reaps orphans,
holds no state beyond process ids, and waits for nobody.

Started as `python -I -S -c … FD SETUP`: a fresh interpreter with one descriptor, in a session of its own.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import sys
from typing import NoReturn

from torpor.runtime import init, nest
from torpor.runtime.forker import NEWS, ORDER, Forker
from torpor.sandbox import libc, mounts, namespaces, rights, root, seccomp
from torpor.sandbox.namespaces import NEWNS, NEWPID, NEWUSER

UP, SERVING, BROKEN = b"U", b"V", b"B"
HAND = b"HAND"  # not an order: folders to be handed to an instance; longer than an order's number is
INITS = {**init.INITS, "nest": nest.begin}


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


class Sentinel(Forker):
    """Forks inits, and hands out copies of the host's files, over which nobody else below has a right."""

    def __init__(self, server: socket.socket, code: bytes) -> None:
        super().__init__(server, lambda _order, descriptors: init.run(descriptors, code, INITS))

    def obey(self, message: bytes, descriptors: list[int]) -> None:
        if len(message) != ORDER.size and message.startswith(HAND):
            hand_over(json.loads(message[len(HAND) :]), *descriptors)
        else:
            super().obey(message, descriptors)


def hand_over(sources: list[str], receiver: int) -> None:
    """Send a read-only copy of each of the host's folders in `sources` to who waits on `receiver`."""
    trees: list[int] = []
    with socket.socket(fileno=os.dup(receiver)) as to:
        to.setblocking(False)
        try:
            for source in sources:
                trees.append(mounts.copy_tree(source))
                mounts.set_attributes(trees[-1], root.SEALED)
            answer = init.READY
        except OSError as error:
            answer = init.FAILED + f"{error}: {sources[len(trees) - 1]}".encode(errors="replace")
        with contextlib.suppress(OSError):  # who waited there is gone, which the server hears from its init
            socket.send_fds(to, [answer[: init.MAX_REASON]], trees if answer == init.READY else [])
    for tree in trees:
        os.close(tree)
