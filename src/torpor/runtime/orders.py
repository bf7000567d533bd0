"""Orders for the sentinel: what a specification means as text for init, and the descriptors that go with it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from typing import Any, Protocol

from torpor.runtime.birth import Birth
from torpor.runtime.dispatch import Order
from torpor.runtime.spec import LaunchSpec

_SMALLEST_SHM_MB = 64
NO_CORE_AT_ALL = 1  # at 0 a host that pipes core files into a program would still do so: see core(5) and seccomp.py
_LOCKED_MEMORY = 8 << 20
_MESSAGE_QUEUES = 819_200
# Reserved is not used: threads' stacks and arenas count as data. This only stops what a sampler would be too late for.
_DATA_MB = 1024


class Receiver(Protocol):
    """Who takes orders: the sentinel's link or a nest's."""

    def give(self, order: Order, descriptors: Sequence[int]) -> int: ...


def instance(
    spec: LaunchSpec, *, root: str, worker_id: int, init_id: int, own_groups: bool, bound_data: bool
) -> dict[str, Any]:
    """The orders for one sandboxed instance."""
    limits = worker_limits(spec)
    if bound_data:
        limits |= data_limit(spec)
    return {
        "kind": "instance",
        "argv": list(spec.argv),
        "env": dict(spec.env),
        "cwd": spec.cwd,
        "mounts": [[mount.source, mount.target, mount.read_only] for mount in spec.mounts],
        "tmp_mb": spec.tmp_mb,
        "shm_mb": shm_mb(spec),
        "doors": list(spec.doors),
        "network": spec.network,
        "limits": limits,
        "root": root,
        "worker_id": worker_id,
        "init_id": init_id,
        "own_groups": own_groups,
    }


def worker_limits(spec: LaunchSpec) -> dict[str, int]:
    return {
        "NOFILE": spec.open_files,
        "NPROC": spec.processes,
        "CORE": NO_CORE_AT_ALL,
        "MEMLOCK": _LOCKED_MEMORY,
        "MSGQUEUE": _MESSAGE_QUEUES,
    }


def data_limit(spec: LaunchSpec) -> dict[str, int]:
    return {"DATA": (spec.memory_mb * 2 + _DATA_MB) << 20}


def shm_mb(spec: LaunchSpec) -> int:
    return max(spec.memory_mb // 2, _SMALLEST_SHM_MB)


def command(argv: Sequence[str], env: Mapping[str, str], cwd: str) -> dict[str, Any]:
    """The orders for one trusted command."""
    return {"kind": "command", "argv": list(argv), "env": dict(env), "cwd": cwd}


def reclaim(folders: Sequence[str]) -> dict[str, Any]:
    """The orders to take back folders which an instance that has ended could write to."""
    return {"kind": "reclaim", "folders": list(folders)}


def give(link: Receiver, orders: Mapping[str, Any], descriptors: Sequence[int], undo: AsyncExitStack) -> Birth:
    """Send orders; `undo` ends what comes of them. Raises StartFailed."""
    with ExitStack() as sent:
        text = letter(orders)
        sent.callback(os.close, text)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sent.callback(theirs.close)
        birth = Birth(ours)
        undo.push_async_callback(birth.abandon)
        try:
            link.give(birth, [text, theirs.fileno(), *descriptors])
        except BaseException as error:
            birth.refused(str(error))
            raise
    return birth


def letter(content: Mapping[str, Any]) -> int:
    """A file in memory that holds `content` as JSON."""
    text = os.memfd_create("orders", os.MFD_CLOEXEC)
    try:
        _write_all(text, json.dumps(content).encode())
    except BaseException:
        os.close(text)
        raise
    return text


def control_pair(undo: ExitStack | AsyncExitStack, sent: ExitStack) -> tuple[socket.socket, int]:
    """Our end of a stream, non-blocking, and the other one for the worker."""
    ours, theirs = socket.socketpair()
    undo.callback(ours.close)
    sent.callback(theirs.close)
    ours.setblocking(False)
    return ours, theirs.fileno()


def output_pipe(undo: ExitStack | AsyncExitStack, sent: ExitStack) -> tuple[int, int]:
    """The read end, non-blocking, and the write end."""
    ours, theirs = os.pipe()
    undo.callback(os.close, ours)
    sent.callback(os.close, theirs)
    os.set_blocking(ours, False)
    return ours, theirs


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
