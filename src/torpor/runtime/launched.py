"""A live instance, as the server holds it: its descriptors, how it ended, what it used."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack

from torpor.core.invocation import Depth
from torpor.runtime.accounts import Meter, SampledMeter
from torpor.runtime.birth import Birth
from torpor.runtime.spec import Exit
from torpor.sandbox.cgroups import Group

_MIB = 1024 * 1024
_ALARM_CHECKS, _ALARM_PAUSE_S = 50, 0.02
_SAMPLE_S, _IDLE_SAMPLE_S = 0.1, 0.4


class Sandboxed:
    """Implements spec.Launched. `undo` takes back everything the start took, in the reverse order."""

    def __init__(
        self,
        birth: Birth,
        *,
        control: socket.socket,
        output: int,
        listeners: tuple[socket.socket, ...],
        meter: Meter,
        group: Group,
        alarm: int | None,
        undo: AsyncExitStack,
        depth: Depth = Depth.SPAWN,
    ) -> None:
        self.depth = depth
        self.reason = ""
        self.control = control
        self.output = output
        self.listeners = listeners
        self._birth = birth
        self._meter = meter
        self._group = group
        self._rang = False
        self._listen = _poll_of(alarm)
        self._undo = undo
        self._closing: asyncio.Task[None] | None = None
        self._guard = asyncio.create_task(self._guard_memory(alarm))
        self._end = asyncio.create_task(self._await_end())

    def on_close(self, then: Callable[[], None]) -> None:
        """Call `then` when it is closed."""
        self._undo.callback(then)

    async def _await_end(self) -> Exit:
        status = await asyncio.shield(self._birth.over)
        return exit_of(status, out_of_memory=self._meter.out_of_memory())

    async def wait(self) -> Exit:
        return await asyncio.shield(self._end)

    def kill(self) -> None:
        self._birth.kill()

    def max_memory_mb(self) -> int:
        return -(-self._meter.peak() // _MIB)

    def cpu_ms(self) -> float:
        return self._meter.cpu_ns() / 1e6

    def reset_peak(self) -> None:
        self._meter.reset_peak()

    def out_of_memory(self) -> bool:
        # Where the kernel rings, nothing has happened as long as it is silent: no file is read for every invocation.
        if self._listen is not None and not self._rang and not self._listen.poll(0):
            return False
        return self._meter.out_of_memory()

    def freeze(self) -> bool:
        return self._group.freeze()

    def thaw(self) -> None:
        self._group.thaw()

    async def _guard_memory(self, alarm: int | None) -> None:
        try:
            await self._watch_memory(alarm)
        except OSError:
            self.kill()  # what cannot be watched does not run
            raise

    async def _watch_memory(self, alarm: int | None) -> None:
        """End the whole instance once the kernel, or we, found it over its limit."""
        if isinstance(self._meter, SampledMeter):
            await self._sample(self._meter)
            self.kill()
        elif alarm is not None:
            await self._await_alarm(alarm)

    async def _sample(self, meter: SampledMeter) -> None:
        """Look again and again until it is over its limit, less often while it does nothing."""
        pause_s, before = _SAMPLE_S, 0
        while not meter.sample():
            idle = meter.seen_cpu_ns == before
            pause_s = min(pause_s * 1.5, _IDLE_SAMPLE_S) if idle else _SAMPLE_S
            before = meter.seen_cpu_ns
            await asyncio.sleep(pause_s)

    async def _await_alarm(self, alarm: int) -> None:
        loop = asyncio.get_running_loop()
        rung = asyncio.Event()
        loop.add_reader(alarm, rung.set)
        try:
            while not self._meter.out_of_memory():
                await rung.wait()
                self._rang = True
                rung.clear()
                with contextlib.suppress(BlockingIOError):
                    os.eventfd_read(alarm)
                # It rings before the victim is chosen, and the count follows the kill: look again for a second.
                for _ in range(_ALARM_CHECKS):
                    if self._meter.out_of_memory():
                        break
                    await asyncio.sleep(_ALARM_PAUSE_S)
            self.kill()
        finally:
            loop.remove_reader(alarm)

    async def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        self._listen = None  # the alarm's descriptor goes with the rest
        self.kill()
        await self.wait()
        self._guard.cancel()
        await asyncio.gather(self._guard, return_exceptions=True)
        self._meter.close()
        await self._undo.aclose()


def _poll_of(fd: int | None) -> select.poll | None:
    if fd is None:
        return None
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return poll


def exit_of(status: int, *, out_of_memory: bool) -> Exit:
    """An Exit from a wait status."""
    code = os.waitstatus_to_exitcode(status)
    return Exit(None, -code, out_of_memory) if code < 0 else Exit(code, None, out_of_memory)
