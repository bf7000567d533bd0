"""A blank: an instance forked and sandboxed ahead, whose code comes by one message."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass

from torpor.core.errors import StartFailed
from torpor.core.invocation import Depth
from torpor.runtime import forked, hatching, orders
from torpor.runtime.accounts import meter_of
from torpor.runtime.birth import Birth
from torpor.runtime.launched import Sandboxed
from torpor.runtime.live_zygote import Ground, LiveZygote
from torpor.runtime.spec import LaunchSpec
from torpor.sandbox.cgroups import Bounds, Group

_MIB = 1024 * 1024
_MB_OF_A_CORE = 1769  # Lambda gives one virtual processor at this size, and in proportion below and above
_INIT_PROCESSES = 1


@dataclass(frozen=True, slots=True)
class Shape:
    """What cannot be changed once the sandbox stands."""

    processes: int
    open_files: int
    doors: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, spec: LaunchSpec) -> Shape:
        return cls(spec.processes, spec.open_files, spec.doors)


def bounds_of(spec: LaunchSpec) -> Bounds:
    """What an instance of `spec` may use."""
    return Bounds(
        memory=(spec.memory_mb + spec.tmp_mb) * _MIB,
        processes=spec.processes + _INIT_PROCESSES,
        cpu=spec.memory_mb / _MB_OF_A_CORE,
    )


class Blank:
    """Made by `make_blank`; becomes an instance by `settle`, or is closed."""

    def __init__(
        self,
        zygote: LiveZygote,
        birth: Birth,
        *,
        shape: Shape,
        group: Group,
        bounds: Bounds,
        control: socket.socket,
        post: socket.socket,
        undo: AsyncExitStack,
    ) -> None:
        self.zygote = zygote
        self.shape = shape
        self.undo = undo
        self.memory_mb = 0  # once it was measured
        self._birth = birth
        self._group = group
        self._bounds = bounds
        self._control = control
        self._post = post
        output, worker, *listeners = birth.take()
        undo.callback(os.close, output)
        undo.callback(os.close, worker)
        os.set_blocking(output, False)
        self.worker = worker  # its pidfd
        self._output = output
        self._listeners = tuple(socket.socket(fileno=fd) for fd in listeners)
        for listener in self._listeners:
            undo.callback(listener.close)

    @property
    def alive(self) -> bool:
        return not self._birth.over.done()

    def measure(self) -> None:
        """Read what it takes, which is what it goes on taking while it waits."""
        meter = meter_of(self._group, [self._birth.handle, self.worker], self._bounds.memory)
        self.memory_mb = -(-meter.peak() // _MIB)

    async def settle(self, spec: LaunchSpec, ground: Ground, undo: AsyncExitStack) -> Sandboxed:
        """Make it the instance that `spec` describes; `undo` ends it. Raises StartFailed."""
        if len(self._listeners) != len(spec.doors):
            raise StartFailed("the server has too many open files to hold the instance's doors")
        bounds = bounds_of(spec)
        if bounds != self._bounds:
            self._group.bound(bounds)
        shared = {(one.source, one.target) for one in self.zygote.spec.mounts}
        own = [one for one in spec.mounts if (one.source, one.target) not in shared]
        ground.link.hand([one.source for one in own], self._post.fileno())  # first: it takes the longest
        self._write(_letter(spec, [one.target for one in own], bound_data=not self._group.limits_memory))
        meter = meter_of(self._group, [self._birth.handle, self.worker], spec.memory_mb * _MIB)
        alarm = self._group.oom_alarm()
        if alarm is not None:
            undo.callback(os.close, alarm)
        await asyncio.shield(self._birth.ready)
        return Sandboxed(
            self._birth,
            control=self._control,
            output=self._output,
            listeners=self._listeners,
            meter=meter,
            group=self._group,
            alarm=alarm,
            undo=undo,
            depth=Depth.SNAPSHOT if self.zygote.spec.snapshot else Depth.ZYGOTE,
        )

    def _write(self, letter: bytes) -> None:
        if len(letter) > forked.MAX_LETTER:
            raise StartFailed("the function's variables are too long for a letter")
        self._post.send(letter)


def _letter(spec: LaunchSpec, targets: list[str], *, bound_data: bool) -> bytes:
    """What init is told, and after it what it passes on."""
    head = {"targets": targets, "tmp_mb": spec.tmp_mb, "shm_mb": orders.shm_mb(spec)}
    worker = {
        "argv": spec.argv,
        "env": dict(spec.env),
        "cwd": spec.cwd,
        "limits": orders.data_limit(spec) if bound_data else {},
    }
    return forked.LETTER + json.dumps(head).encode() + forked.END_OF_HEAD + json.dumps(worker).encode()


async def make_blank(
    zygote: LiveZygote, spec: LaunchSpec, ground: Ground, undo: AsyncExitStack, *, ahead: bool = False
) -> Blank:
    """Have one forked, of the shape of `spec` and with its limits. Raises StartFailed; `undo` ends it.

    `ahead`: nobody waits for it yet, so that it has time to rehearse.
    """
    worker_id = zygote.take_id(undo)
    bounds = bounds_of(spec)
    group = await ground.make_group(bounds, undo)
    with ExitStack() as sent:
        control, inside = orders.control_pair(undo, sent)
        post, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        undo.callback(post.close)
        post.setblocking(False)
        sent.callback(theirs.close)
        joins = []
        for fd in group.entries():
            sent.callback(os.close, fd)
            joins.append(fd)
        text = {
            "kind": "forked",
            "tmp_mb": spec.tmp_mb,
            "shm_mb": orders.shm_mb(spec),
            "shared": [one.target for one in zygote.spec.mounts],
            "doors": list(spec.doors),
            "worker_id": worker_id,
            "init_id": hatching.init_id(ground.plan),
            "own_groups": bool(ground.plan.count),
            "limits": orders.worker_limits(spec),
            "ahead": ahead,
        }
        birth = orders.give(zygote, text, [inside, theirs.fileno(), *joins], undo)
    await asyncio.shield(birth.waiting)
    await asyncio.shield(birth.begun)
    return Blank(zygote, birth, shape=Shape.of(spec), group=group, bounds=bounds, control=control, post=post, undo=undo)
