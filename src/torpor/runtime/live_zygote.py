"""One zygote as the server holds it: its nest, what it said, and who was born of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass

from torpor.core.errors import StartFailed
from torpor.runtime import hatching, nest, orders
from torpor.runtime.accounts import anonymous
from torpor.runtime.birth import Birth
from torpor.runtime.commands import Tail
from torpor.runtime.dispatch import Dispatch, Order
from torpor.runtime.link import SentinelLink
from torpor.runtime.spec import ZygoteSpec
from torpor.runtime.zygote_states import ZygoteState, advance
from torpor.sandbox.cgroups import Bounds, Group
from torpor.sandbox.ids import BLOCK, IdPlan

_MIB = 1024 * 1024
_CPU = 0.5  # half a core's weight: what is called now goes before what is prepared
_PROCESSES = 4096  # of all inits and workers while they are born; each instance has its own bound
_TAIL = 300


@dataclass(frozen=True, slots=True)
class Ground:
    """What every zygote of this server stands on."""

    link: SentinelLink
    plan: IdPlan
    root: str
    make_group: Callable[[Bounds, AsyncExitStack], Awaitable[Group]]
    memory_mb: int
    start_timeout_s: float


class ZygoteRefused(StartFailed):
    """This environment's libraries cannot be loaded before a fork."""


class LiveZygote:
    """Born by `open`, which returns once it forks; ends by `close`, and everything born of it with it.

    `on_end` is called once when it will fork no more, for whatever reason but `retire`.
    """

    def __init__(self, spec: ZygoteSpec, modules: Sequence[str], ground: Ground) -> None:
        self.spec = spec
        self.modules = tuple(modules)
        self.skipped: dict[str, str] = {}
        self.state = ZygoteState.BUILDING
        self.on_end: Callable[[], None] = lambda: None
        self._ground = ground
        self._installed = _identity(spec.site_packages)
        self._undo = AsyncExitStack()
        self._dispatch = Dispatch("zygote", started=lambda: None, other=self._hear)
        self._said: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._free_ids: deque[int] = deque(range(1, hatching.init_id(ground.plan)))
        self.born = 0
        self.forked_at = 0.0  # by its owner's clock, the latest time
        self.memory_mb = 0  # what its libraries and their loading left in memory
        self._watch: asyncio.Task[None] | None = None
        self._tail: Tail | None = None

    async def open(self, block: int) -> None:
        """Raises ZygoteRefused when its libraries forbid it, StartFailed when the machine does."""
        limit = self.spec.start_s or self._ground.start_timeout_s
        try:
            async with asyncio.timeout(limit):
                await self._open(block)
        except TimeoutError:
            await self.close()
            what = "its initialisation" if self.spec.snapshot else "importing the environment's libraries"
            raise ZygoteRefused(f"{what} took longer than {limit:g} s") from None
        except OSError as error:
            await self.close()
            raise StartFailed(f"zygote not started: {error}") from error
        except BaseException:
            await self.close()
            raise

    async def _open(self, block: int) -> None:
        bounds = Bounds(memory=self._ground.memory_mb * _MIB, processes=_PROCESSES, cpu=_CPU)
        group = await self._ground.make_group(bounds, self._undo)
        with ExitStack() as sent:
            output, written = orders.output_pipe(self._undo, sent)
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            sent.callback(theirs.close)
            self._undo.callback(self._dispatch.disconnect)
            self._dispatch.connect(ours)
            joins = []
            for fd in group.entries():
                sent.callback(os.close, fd)
                joins.append(fd)
            text = hatching.nest_orders(self.spec, self.modules, self._ground.plan, block, self._ground.root)
            birth = orders.give(self._ground.link, text, [written, theirs.fileno(), *joins], self._undo)
        self._tail = Tail(output)
        self._undo.callback(self._tail.finish)
        self._watch = asyncio.create_task(self._until_over(birth))
        await self._hear_of(await asyncio.shield(birth.ready))
        self.memory_mb = -(-await asyncio.to_thread(anonymous, birth.handle) // _MIB)

    async def _hear_of(self, listeners: Sequence[socket.socket]) -> None:
        """Wait until it forks; until then its doors are served."""
        if self.spec.open_doors is None or not listeners:
            await asyncio.shield(self._said)
            return
        door = await self.spec.open_doors(listeners)
        try:
            await asyncio.shield(self._said)
        finally:
            await door.close()

    async def _until_over(self, birth: Birth) -> None:
        """The end of the nest is the end of all in it."""
        await asyncio.shield(birth.over)
        self._dispatch.hear()
        self._fail("the zygote's nest has ended")
        self._dispatch.end_all()

    def _hear(self, what: bytes, detail: int, text: bytes) -> None:
        if what == nest.ZYGOTE_READY and self.state is ZygoteState.BUILDING:
            # it is not trusted, and this only informs
            with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
                self.skipped = dict(json.loads(text)["skipped"])
            self.state = advance(self.state, ZygoteState.READY)
            self._said.set_result(None)
        elif what == nest.ZYGOTE_REFUSED:
            self._fail(text.decode(errors="replace"), refused=True)
        elif what == nest.ZYGOTE_ENDED:
            status = os.waitstatus_to_exitcode(detail)
            how = f"by signal {-status}" if status < 0 else f"with status {status}"
            self._fail(f"the zygote ended {how}: {self.last_words()}")

    def last_words(self) -> str:
        return self._tail.peek()[-_TAIL:].decode(errors="replace").strip() if self._tail else ""

    def words(self) -> bytes:
        """What it, and whoever it was before it forked, wrote last."""
        return self._tail.peek() if self._tail else b""

    def _fail(self, reason: str, *, refused: bool = False) -> None:
        if not self._said.done():
            self._said.set_exception(ZygoteRefused(reason) if refused else StartFailed(reason))
            self._said.exception()  # seen: whoever waits still gets it
        if self.state in (ZygoteState.BUILDING, ZygoteState.READY):
            was_ready = self.state is ZygoteState.READY
            self.state = advance(self.state, ZygoteState.RETIRED)
            if was_ready:
                self.on_end()

    # ── births ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def stale(self) -> bool:
        """Whether its environment was removed or installed anew: it would go on seeing what is no longer there."""
        return _identity(self.spec.site_packages) != self._installed

    @property
    def unused(self) -> bool:
        return not self.born

    def give(self, order: Order, descriptors: Sequence[int]) -> int:
        """Order an init in its nest. Implements orders.Receiver."""
        if self.state is not ZygoteState.READY:
            raise StartFailed("the zygote forks no more")
        return self._dispatch.give(order, descriptors)

    def take_id(self, undo: AsyncExitStack) -> int:
        """A user id, as the nest sees it, which no other instance of this zygote has; 0 where there is but one."""
        self.born += 1
        undo.callback(self._one_gone)
        if not self._ground.plan.count:
            return 0
        if not self._free_ids:
            raise StartFailed(f"all {BLOCK - 2} user ids of this zygote's instances are in use")
        taken = self._free_ids.popleft()
        undo.callback(self._free_ids.append, taken)
        return taken

    def _one_gone(self) -> None:
        self.born -= 1

    def on_close(self, then: Callable[[], None]) -> None:
        """Call `then` once nothing of it is left."""
        self._undo.callback(then)

    # ── its end ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def retire(self) -> None:
        """Let it fork no more; what was born of it lives on."""
        if self.state is ZygoteState.READY:
            self.state = advance(self.state, ZygoteState.RETIRED)

    async def close(self) -> None:
        """End it and everything born of it."""
        if self.state is ZygoteState.ENDED:
            return
        self.on_end = lambda: None
        self._fail("the zygote was ended")
        if self.state is ZygoteState.RETIRED:
            self.state = advance(self.state, ZygoteState.ENDED)
        await self._undo.aclose()
        if self._watch is not None:
            await asyncio.gather(self._watch, return_exceptions=True)


def _identity(folder: str) -> tuple[int, int] | None:
    try:
        found = os.stat(folder)  # noqa: PTH116 -- on the way of every start
    except OSError:
        return None
    return found.st_dev, found.st_ino
