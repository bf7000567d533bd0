"""Starts instances and trusted commands below the sentinel, each in its control group, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import subprocess
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from torpor.core.errors import NotSupported, StartFailed
from torpor.core.function import Isolation
from torpor.core.invocation import Depth
from torpor.runtime import janitor, names, orders
from torpor.runtime.accounts import meter_of
from torpor.runtime.blanks import bounds_of
from torpor.runtime.commands import run_command, take_back
from torpor.runtime.launched import Sandboxed
from torpor.runtime.learned import FolderModules
from torpor.runtime.link import SentinelLink, bare_python
from torpor.runtime.live_zygote import Ground
from torpor.runtime.prepared import NothingPrepared
from torpor.runtime.spec import (
    Completed,
    Exit,
    Launched,
    Launcher,
    LaunchSpec,
    Mount,
    Note,
    Prepared,
    SandboxOptions,
    unnoted,
)
from torpor.runtime.turns import Turns
from torpor.runtime.zygote_options import NoZygote, ZygoteOptions
from torpor.runtime.zygotes import Zygotes
from torpor.sandbox import ids, rights
from torpor.sandbox.cgroups import Bounds, Cgroups, Group, discover

__all__ = [
    "Completed",
    "Exit",
    "LaunchSpec",
    "Launched",
    "Launcher",
    "Mount",
    "SandboxOptions",
    "Sandboxes",
    "open_sandboxes",
]

T = TypeVar("T")
_MIB = 1024 * 1024
ZYGOTE_MEMORY_MB = 4096
ZYGOTE_START_S = 120.0


async def open_sandboxes(options: SandboxOptions, note: Note = unnoted) -> Sandboxes:
    """Sweep what a crash left, start the janitor and the sentinel. Raises NotSupported where namespaces are not had."""
    options = replace(options, run_dir=options.run_dir.absolute())  # janitor and sentinel work elsewhere
    options.run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    rights.allow_open_files()  # every instance takes about ten, and a soft limit of 1024 is usual
    record = options.run_dir / "cgroups.json"
    await asyncio.to_thread(_sweep, record)
    cgroups = Cgroups(discover(), f"torpor-{secrets.token_hex(6)}")
    roots = [str(root) for _, root in cgroups.roots]
    record.write_text(json.dumps(roots), encoding="utf-8")
    lifeline = await asyncio.to_thread(_start_janitor, roots, [str(record)])
    sandboxes = Sandboxes(options, ids.plan(options.uid_base), cgroups, lifeline, note)
    try:
        await sandboxes.open()
    except BaseException:
        await sandboxes.close()
        raise
    return sandboxes


def _sweep(record: Path) -> None:
    """Do what the janitor of an earlier server should have done, had it not been killed too."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        roots = json.loads(record.read_text(encoding="utf-8"))
        janitor.clean({"cgroups": roots, "paths": [str(record)]})


def _start_janitor(roots: list[str], paths: list[str]) -> tuple[int, subprocess.Popen[bytes]]:
    waits, holds = os.pipe()
    words = bare_python("janitor", str(waits), json.dumps({"cgroups": roots, "paths": paths}))
    try:
        child = subprocess.Popen(
            words,
            pass_fds=[waits],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # who reads the server's output must not wait for the janitor
            env={},
            cwd="/",
            start_new_session=True,
        )
    except BaseException:
        os.close(holds)
        raise
    finally:
        os.close(waits)
    return holds, child


class Sandboxes:
    """Implements spec.Launcher."""

    def __init__(
        self,
        options: SandboxOptions,
        plan: ids.IdPlan,
        cgroups: Cgroups,
        lifeline: tuple[int, subprocess.Popen[bytes]],
        note: Note,
    ) -> None:
        self._note = note
        self._options = options
        self._plan = plan
        self._cgroups = cgroups
        self._lifeline = lifeline
        self._root = options.run_dir / "root"  # stays empty: each instance mounts its own root here, unseen by others
        self._root.mkdir(mode=0o700, exist_ok=True)
        self._link = SentinelLink(plan)
        self._free_ids = deque(plan.worker_ids)
        # Another server on this machine may draw from the same range: begin somewhere else.
        self._free_ids.rotate(secrets.randbelow(plan.count + 1))
        self._count = 0
        self._alive: set[Sandboxed] = set()
        self._starting: set[asyncio.Future[None]] = set()
        self._turns = Turns(options.starts_at_once)
        self._closing: asyncio.Task[None] | None = None
        self._cleaning: set[asyncio.Task[None]] = set()
        # Control groups are made and removed off the loop: the kernel may hold them up for milliseconds.
        self._hands = ThreadPoolExecutor(2, "cgroups")
        ground = Ground(
            link=self._link,
            plan=plan,
            root=str(self._root),
            make_group=self._make_group,
            memory_mb=ZYGOTE_MEMORY_MB,
            start_timeout_s=ZYGOTE_START_S,
        )
        self._zygotes = Zygotes(
            ground, FolderModules(options.data_dir / "preload"), note, ZygoteOptions(blanks=options.blanks)
        )

    async def open(self) -> None:
        await self._link.open()

    @property
    def prepared(self) -> Prepared:
        """Zygotes and blanks."""
        return self._zygotes if self._options.zygotes else NothingPrepared()

    @property
    def limits_memory(self) -> bool:
        """Whether the kernel limits memory here; else a watchdog samples it."""
        return "memory" in self._cgroups.limits

    @property
    def can_freeze(self) -> bool:
        """Whether idle instances can be frozen here; else they run on, and `freeze` says that it did nothing."""
        return self._cgroups.can_freeze

    @property
    def own_ids(self) -> bool:
        """Whether each instance has a user id of its own."""
        return bool(self._plan.count)

    async def start(self, spec: LaunchSpec) -> Launched:
        if spec.isolation is not Isolation.SANDBOX:
            raise NotSupported("isolation=process is not available: use isolation=sandbox")
        if self._closing is not None:
            raise StartFailed("the server is stopping")
        under_way: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._starting.add(under_way)
        try:
            return await self._start_in_turn(spec)
        finally:
            self._starting.discard(under_way)
            under_way.set_result(None)

    async def _start_in_turn(self, spec: LaunchSpec) -> Sandboxed:
        await self._turns.take(spec.mounts)  # much the same as the function whose start it is
        try:
            if self._closing is not None:
                raise StartFailed("the server is stopping")
            return await self._start_or_undo(spec)
        finally:
            self._turns.give_back()

    async def _start_or_undo(self, spec: LaunchSpec) -> Sandboxed:
        spec = names.with_names(spec, self._options.run_dir / "names")
        no_snapshot = ""
        if spec.snapshot is not None and self._options.zygotes:
            live, no_snapshot = await self._fork(spec)
            if live is not None:
                return live
        spec, reason = replace(spec, snapshot=None), spec.no_zygote
        if spec.zygote is not None and self._options.zygotes and not reason:
            live, reason = await self._fork(spec)
            if live is not None:
                live.reason = no_snapshot
                return live
        live = self._keep(await self._undoing(spec, self._start))
        live.reason = no_snapshot or reason
        return live

    async def _fork(self, spec: LaunchSpec) -> tuple[Sandboxed | None, str]:
        """Fork it, or say why not."""
        try:
            return self._keep(await self._undoing(spec, self._zygotes.start)), ""
        except NoZygote as declined:
            return None, declined.message
        except StartFailed as failed:
            base = spec.snapshot or spec.zygote
            self._note("zygote.fork_failed", zygote=base.key if base else "", error=failed.message)
            return None, failed.message

    def _keep(self, live: Sandboxed) -> Sandboxed:
        self._alive.add(live)
        live.on_close(lambda: self._alive.discard(live))
        return live

    async def _undoing(
        self, spec: LaunchSpec, start: Callable[[LaunchSpec, AsyncExitStack], Awaitable[Sandboxed]]
    ) -> Sandboxed:
        undo = AsyncExitStack()
        try:
            async with asyncio.timeout(self._options.start_timeout_s):
                return await start(spec, undo)
        except TimeoutError:
            await self._finish(undo)
            raise StartFailed(f"instance not ready within {self._options.start_timeout_s:g} s") from None
        except OSError as error:
            await self._finish(undo)
            raise StartFailed(f"instance not started: {error}") from error
        except BaseException:
            await self._finish(undo)
            raise

    def zygote_state(self, key: str) -> tuple[Depth, str]:
        """How the next instance of this environment will start, and why so."""
        return self._zygotes.state(key)

    def learn(self, spec: LaunchSpec, modules: Sequence[str]) -> None:
        if self._options.zygotes and not self._closing:
            self._zygotes.learn(spec, modules)

    async def _start(self, spec: LaunchSpec, undo: AsyncExitStack) -> Sandboxed:
        worker_id = self._take_id(undo)
        group = await self._make_group(bounds_of(spec), undo)
        writable = [mount.source for mount in spec.mounts if not mount.read_only]
        if writable and self.own_ids:
            undo.push_async_callback(take_back, self._link, writable)
        with ExitStack() as sent:
            control, inside = orders.control_pair(undo, sent)
            output, write_end = orders.output_pipe(undo, sent)
            joins = []
            for fd in group.entries():
                sent.callback(os.close, fd)
                joins.append(fd)
            text = orders.instance(
                spec,
                root=str(self._root),
                worker_id=worker_id,
                init_id=self._plan.init_id,
                own_groups=self.own_ids,
                bound_data=not group.limits_memory,
            )
            birth = orders.give(self._link, text, [write_end, inside, *joins], undo)
        listeners = await asyncio.shield(birth.ready)
        await asyncio.shield(birth.begun)  # told by the sentinel, and so perhaps heard after init's own word
        if len(listeners) != len(spec.doors):
            raise StartFailed("the server has too many open files to hold the instance's doors")
        meter = meter_of(group, [birth.handle], spec.memory_mb * _MIB)
        alarm = group.oom_alarm()
        if alarm is not None:
            undo.callback(os.close, alarm)
        return Sandboxed(
            birth,
            control=control,
            output=output,
            listeners=listeners,
            meter=meter,
            group=group,
            alarm=alarm,
            undo=undo,
        )

    def _take_id(self, undo: AsyncExitStack) -> int:
        """A user id that no other living instance has; 0, the server's own, where there is no range."""
        if not self.own_ids:
            return 0
        if not self._free_ids:
            raise StartFailed("every user id for instances is in use")
        taken = self._free_ids.popleft()
        undo.callback(self._free_ids.append, taken)  # to the end: a freed id rests as long as possible
        return taken

    async def _make_group(self, bounds: Bounds, undo: AsyncExitStack) -> Group:
        self._count += 1
        making = asyncio.ensure_future(self._offload(self._cgroups.create, f"i{self._count}", bounds))
        undo.push_async_callback(self._remove_group, making)
        return await asyncio.shield(making)  # a thread is not cancelled: what it makes must be known, to be removed

    async def _remove_group(self, making: asyncio.Future[Group]) -> None:
        with contextlib.suppress(OSError):  # it was not made: the start has failed with this already
            await self._offload((await making).remove)

    async def run(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: str | Path, timeout_s: float) -> Completed:
        """Run a trusted command below the sentinel; past the time-out, and when cancelled, it is killed."""
        return await run_command(self._link, argv, env=env, cwd=cwd, timeout_s=timeout_s)

    async def _offload(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._hands, work, *arguments)

    async def _finish(self, undo: AsyncExitStack) -> None:
        """Take back what a failed start took, whole even if we are cancelled meanwhile."""
        task = asyncio.create_task(undo.aclose())
        self._cleaning.add(task)
        task.add_done_callback(self._cleaning.discard)
        await asyncio.shield(task)

    async def close(self) -> None:
        """End every instance, the sentinel and the janitor; remove the control groups."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        await asyncio.gather(*(live.close() for live in list(self._alive)))
        await self._zygotes.close()
        await self._link.close()  # which fails the starts that are under way
        if self._starting:
            await asyncio.wait(self._starting)
        await asyncio.gather(*(live.close() for live in list(self._alive)))  # those that were ready just before
        await asyncio.gather(*self._cleaning, return_exceptions=True)
        await self._offload(self._cgroups.close)
        self._hands.shutdown()
        holds, child = self._lifeline
        os.close(holds)
        await asyncio.to_thread(child.wait)
        with contextlib.suppress(OSError):  # not empty only if someone put a file there, who will want it
            self._root.rmdir()
