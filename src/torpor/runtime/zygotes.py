"""The zygotes of a server: one for each environment that is called, replaced and put to sleep as policy says."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from typing import Any

from torpor.core.errors import StartFailed
from torpor.core.invocation import Depth
from torpor.policy import preload
from torpor.runtime.blanks import Blank, Shape, make_blank
from torpor.runtime.launched import Sandboxed
from torpor.runtime.learned import ModuleStore
from torpor.runtime.live_zygote import Ground, LiveZygote, ZygoteRefused
from torpor.runtime.own_mounts import OWN_TARGETS, modules_of
from torpor.runtime.places import Place
from torpor.runtime.spec import LaunchSpec, Note, ZygoteSpec
from torpor.runtime.zygote_options import NoZygote, ZygoteOptions

_HANGS = 5  # so many of its zygotes got stuck, over a quarter of an hour, before that is taken for a habit
_BLANK_MB, _LEAST_MB = 4, 24  # what a blank, and a zygote not seen before, are expected to take


class Zygotes:
    """Belongs to one event loop."""

    def __init__(
        self,
        ground: Ground,
        store: ModuleStore,
        note: Note,
        options: ZygoteOptions | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ground = ground
        self._store = store
        self._note = note
        self._options = options or ZygoteOptions()
        self._clock = clock
        self._places: dict[str, Place] = {}
        blocks = list(ground.plan.blocks)
        random.shuffle(blocks)  # another server on this machine may draw from the same range
        self._free_blocks = deque(blocks)
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._budget_mb: int | None = None
        self._left_mb: Callable[[], float] = lambda: math.inf

    # ── starting ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self, spec: LaunchSpec, undo: AsyncExitStack) -> Sandboxed:
        """Fork an instance. Raises NoZygote when it must be spawned instead, StartFailed when forking failed."""
        base = spec.snapshot or spec.zygote
        assert base is not None
        place = self._place(base)
        place.calls.append(self._clock())
        if (zygote := place.zygote) is None:
            if spec.snapshot is not None:  # nobody who starts otherwise will ask for it
                place.spec = base
                self._build_soon(place)
            raise NoZygote(place.reason)
        self._must_fit(place, zygote, spec)
        place.pattern = spec
        blank = place.take_blank(Shape.of(spec))
        if blank is None:
            blank = await self._fork(place, spec, undo)
        else:
            undo.push_async_callback(blank.undo.aclose)
        self._refill_soon(place)
        return await blank.settle(spec, self._ground, undo)

    def state(self, key: str) -> tuple[Depth, str]:
        """How the next instance of an environment will start, and why not from a zygote."""
        place = self._places.get(key)
        if place is None:
            return Depth.SPAWN, "its environment was not called lately"
        return (Depth.SPAWN, place.reason) if place.zygote is None else (Depth.ZYGOTE, "")

    def _must_fit(self, place: Place, zygote: LiveZygote, spec: LaunchSpec) -> None:
        if zygote.stale:
            self._put_to_sleep(place)
            raise NoZygote("its environment was installed anew since its zygote was built")
        shared = {one.target for one in zygote.spec.mounts}
        for mount in spec.mounts:
            if not mount.read_only or (mount.target not in shared and mount.target not in OWN_TARGETS):
                raise NoZygote(f"it has a mount of its own at {mount.target}")
            if reason := preload.module_in_the_way(modules_of(mount), zygote.modules):
                raise NoZygote(reason)

    async def _fork(self, place: Place, spec: LaunchSpec, undo: AsyncExitStack, *, ahead: bool = False) -> Blank:
        if (zygote := place.zygote) is None:
            raise StartFailed(place.reason)
        try:
            async with asyncio.timeout(self._options.fork_s):
                blank = await make_blank(zygote, spec, self._ground, undo, ahead=ahead)
        except TimeoutError:
            reason = f"its zygote did not fork within {self._options.fork_s:g} s"
            if self._clock() - zygote.forked_at > self._options.fork_s:  # else it is only slow
                self._hung(place, zygote, reason)
            raise StartFailed(reason) from None
        zygote.forked_at = self._clock()
        return blank

    # ── learning and building ───────────────────────────────────────────────────────────────────────────────────────

    def learn(self, spec: LaunchSpec, modules: Sequence[str]) -> None:
        """An instance initialised, and imported these beyond what was there: build a zygote, or a better one."""
        if spec.zygote is None or spec.no_zygote:
            return
        place = self._place(spec.zygote)
        hopeless = place.zygote.skipped if place.zygote is not None else {}
        fresh = preload.news(place.modules, modules, hopeless)
        if fresh:
            place.modules += fresh
            place.refused = False
            self._spawn(asyncio.to_thread(self._store.save, place.spec.key, list(place.modules)))
        if fresh or place.zygote is None:
            self._build_soon(place)

    def _place(self, spec: ZygoteSpec) -> Place:
        place = self._places.get(spec.key)
        if place is None:
            place = self._places[spec.key] = Place(spec, self._store.load(spec.key))
            self._check_later()
        return place

    def _build_soon(self, place: Place) -> None:
        if place.building is None and not place.refused and not self._closing:
            place.building = self._spawn(self._build(place))

    async def _build(self, place: Place) -> None:
        """Build one that has all the modules known by then, and let it take over."""
        try:
            await asyncio.sleep(max(self._options.settle_s, preload.back_off_s(max(place.failures, place.hangs))))
            if not await self._has_room(place):
                return
            zygote = await self._open(place)
        finally:
            place.building = None
        if zygote is not None:
            self._replace(place, zygote)
            if len(place.modules) > len(zygote.modules):  # more was learned meanwhile
                self._build_soon(place)

    async def _has_room(self, place: Place) -> bool:
        """Whether there are memory and user ids for another zygote; one that nobody needs makes way for it."""
        if self._left_mb() < max(place.size_mb, _LEAST_MB):
            place.reason = "the memory budget has no room for its zygote"
            return False
        while not self._free_blocks and self._ground.plan.count:
            others = [one for one in self._places.values() if one is not place and one.zygote is not None]
            resting = [one.resting() for one in others]
            index = preload.longest_unused(resting, self._clock(), self._options.hot_s)
            if index is None:
                place.reason = "every block of user ids for zygotes is in use"
                return False
            await asyncio.shield(self._let_go(others[index]))
        return True

    async def _open(self, place: Place) -> LiveZygote | None:
        zygote = LiveZygote(place.spec, place.modules, self._ground)
        block = self._free_blocks.popleft() if self._free_blocks else 0
        zygote.on_close(lambda: self._free_blocks.append(block) if block else None)
        try:
            await zygote.open(block)
        except StartFailed as failed:
            place.words = zygote.words()
            place.refused = isinstance(failed, ZygoteRefused)
            place.failures += 1
            place.reason = failed.message
            self._note("zygote.failed", zygote=place.spec.key, reason=failed.message)
            return None
        place.failures, place.words = 0, zygote.words()
        place.size_mb = zygote.memory_mb
        if self._budget_mb is not None and (reason := preload.too_large(zygote.memory_mb, self._budget_mb)):
            place.refused, place.reason = True, reason
            self._note("zygote.failed", zygote=place.spec.key, reason=reason)
            await zygote.close()
            return None
        return zygote

    def _replace(self, place: Place, zygote: LiveZygote) -> None:
        old, place.zygote = place.zygote, zygote
        place.built = self._clock()
        zygote.on_end = lambda: self._give_up(place, zygote, "its zygote ended and is being replaced")
        if old is not None:
            self._retire(place, old)
        skipped = len(zygote.skipped)
        self._note("zygote.ready", zygote=place.spec.key, modules=len(zygote.modules), skipped=skipped)
        self._refill_soon(place)

    def _hung(self, place: Place, zygote: LiveZygote, reason: str) -> None:
        if place.zygote is zygote:
            place.hangs += 1
            place.refused = place.hangs >= _HANGS
            self._give_up(place, zygote, reason)

    def _give_up(self, place: Place, zygote: LiveZygote, reason: str) -> None:
        """It forks no more: what was born of it lives on, if its nest does; another takes its place."""
        if place.zygote is not zygote:
            return
        place.zygote = None
        place.failures += 1
        place.reason = reason
        self._note("zygote.lost", zygote=place.spec.key, reason=f"{reason}: {zygote.last_words()}")
        self._retire(place, zygote)
        self._build_soon(place)

    def _retire(self, place: Place, zygote: LiveZygote) -> None:
        zygote.retire()
        place.old.append(zygote)
        self._drop_blanks(place, lambda blank: blank.zygote is zygote)
        self._check_later()

    # ── blanks ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _refill_soon(self, place: Place) -> None:
        if place.filling is None and not self._closing:
            place.filling = self._spawn(self._refill(place))

    async def _refill(self, place: Place) -> None:
        try:
            await asyncio.sleep(self._options.refill_s)
            while (spec := place.pattern) is not None and place.zygote is not None:
                self._drop_blanks(place, place.unwanted(Shape.of(spec)))
                if len(place.blanks) >= self._wanted_blanks(place) or self._left_mb() < _BLANK_MB:
                    return
                blank = await self._make_blank(place, spec)
                blank.measure()
                place.blanks.append(blank)
        except (StartFailed, OSError) as error:
            self._note("blank.failed", zygote=place.spec.key, reason=str(error))
        finally:
            place.filling = None

    def _wanted_blanks(self, place: Place) -> int:
        return preload.blanks(place.calls, self._clock(), self._options.hot_s, self._options.blanks)

    async def _make_blank(self, place: Place, spec: LaunchSpec) -> Blank:
        undo = AsyncExitStack()
        try:
            return await self._fork(place, spec, undo, ahead=True)
        except BaseException:
            await asyncio.shield(self._spawn(undo.aclose()))
            raise

    def _drop_blanks(self, place: Place, unwanted: Callable[[Blank], bool]) -> None:
        for blank in [one for one in place.blanks if unwanted(one)]:
            place.blanks.remove(blank)
            self._spawn(blank.undo.aclose())

    # ── sleep and end ───────────────────────────────────────────────────────────────────────────────────────────────

    def _check_later(self) -> None:
        if self._timer is None and not self._closing:
            self._timer = asyncio.get_running_loop().call_later(self._options.check_s, self._check)

    def _check(self) -> None:
        """Let blanks and zygotes go that nobody called for, and old zygotes without instances."""
        self._timer = None
        now = self._clock()
        for place in self._places.values():
            if not self._wanted_blanks(place):
                self._drop_blanks(place, lambda _: True)
            self._close_unused(place)
        places = [place for place in self._places.values() if place.zygote is not None]
        resting = [place.resting() for place in places]
        most_mb = self._options.memory_mb if self._budget_mb is None else self._budget_mb // 2
        for index in preload.to_sleep(resting, most_mb, now, self._options.idle_s):
            self._put_to_sleep(places[index])
        for key in [key for key, place in self._places.items() if place.empty]:
            if now - self._places[key].since > self._options.idle_s:
                del self._places[key]
        if self._places:
            self._check_later()

    def _put_to_sleep(self, place: Place) -> None:
        zygote, place.zygote = place.zygote, None
        place.reason = "its zygote was asleep"
        if zygote is not None:
            self._retire(place, zygote)

    def _let_go(self, place: Place) -> asyncio.Task[None]:
        """Put an unused zygote to sleep, with its blanks; the task ends when nothing is left of them."""
        zygote, blanks = place.zygote, list(place.blanks)
        assert zygote is not None
        place.zygote, place.reason = None, "its zygote was asleep"
        place.blanks.clear()
        zygote.retire()
        return self._spawn(self._end(place, zygote, blanks))

    async def _end(self, place: Place, zygote: LiveZygote, blanks: Sequence[Blank]) -> None:
        await asyncio.gather(*(blank.undo.aclose() for blank in blanks))
        if zygote.unused:
            await zygote.close()
        else:  # an instance was on its way
            place.old.append(zygote)
            self._check_later()

    def _close_unused(self, place: Place) -> None:
        for zygote in [one for one in place.old if one.unused]:
            place.old.remove(zygote)
            self._spawn(zygote.close())

    # ── the node's memory: implements spec.Prepared  ─────────────────────────────────────────────────────────────

    @property
    def memory_mb(self) -> int:
        return sum(place.memory_mb for place in self._places.values())

    def own_mb(self, key: str) -> int:
        place = self._places.get(key)
        return 0 if place is None else place.memory_mb

    def keep_within(self, budget_mb: int, left_mb: Callable[[], int]) -> None:
        self._budget_mb, self._left_mb = budget_mb, left_mb

    def spare_mb(self, key: str) -> int:
        return sum(spare.memory_mb for place in self._others(key) for spare in place.spares())

    def give_up(self, need_mb: int, key: str) -> int:
        """Counted as free at once, though it takes a moment until the memory is."""
        spares = [(place, spare) for place in self._others(key) for spare in place.spares()]
        chosen = [spares[index] for index in preload.give_up([spare for _, spare in spares], need_mb)]
        zygotes = [place for place, spare in chosen if not spare.blank]
        for place, spare in chosen:
            if spare.blank and place not in zygotes:
                self._spawn(place.blanks.popleft().undo.aclose())
        for place in zygotes:  # their blanks, which were chosen before them, go with them
            self._let_go(place)
        return sum(spare.memory_mb for _, spare in chosen)

    def _others(self, key: str) -> list[Place]:
        return [place for place in self._places.values() if place.spec.key != key]

    async def prepare(self, spec: ZygoteSpec) -> str:
        place = self._place(spec)
        if place.zygote is None:
            self._build_soon(place)
        while place.zygote is None and place.building is not None:
            await asyncio.wait({place.building})
        return "" if place.zygote is not None else place.reason

    def words(self, key: str) -> bytes:
        place = self._places.get(key)
        return b"" if place is None else place.words

    def forget(self, key: str) -> None:
        place = self._places.get(key)
        if place is None:
            return
        place.refused = True
        if place.building is not None:
            place.building.cancel()
        self._put_to_sleep(place)
        self._check_later()

    async def close(self) -> None:
        """End every zygote and blank."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
        for place in self._places.values():
            for task in (place.building, place.filling):
                if task is not None:
                    task.cancel()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        for place in self._places.values():
            await asyncio.gather(*(blank.undo.aclose() for blank in place.blanks))
            zygotes = [*place.old, *([place.zygote] if place.zygote is not None else [])]
            await asyncio.gather(*(zygote.close() for zygote in zygotes))
        self._places.clear()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._note("zygote.task_failed", error=repr(error))
