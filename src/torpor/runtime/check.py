"""Try revisions without calling them: import and initialise each in instances that end at once."""

from __future__ import annotations

import asyncio

import structlog

from torpor.core.errors import TorporError
from torpor.core.function import Revision
from torpor.core.invocation import Depth, Outcome
from torpor.policy import check
from torpor.policy.check import Ending, Step, Trial, Verdict
from torpor.runtime import journal
from torpor.runtime.capacity import Capacity
from torpor.runtime.faults import InitFailed
from torpor.runtime.instance import Instance
from torpor.runtime.job import Job
from torpor.runtime.journal import Journal
from torpor.runtime.starts import Start, Starts
from torpor.runtime.surroundings import Surroundings
from torpor.runtime.world import World, build_world, zygote_of

_log = structlog.get_logger()
_ON_PURPOSE = "the deployment check tried it afresh"


class Checker:
    """Used by the node. What is found is kept with the starts, until the revision is retired."""

    def __init__(self, shared: Surroundings, capacity: Capacity, starts: Starts) -> None:
        self._shared = shared
        self._capacity = capacity
        self._starts = starts
        self.under_way: set[str] = set()  # keys of revisions

    async def check(self, revision: Revision) -> Verdict:
        """Cancelled, it ends what it began and has found nothing."""
        self.under_way.add(revision.key)
        try:
            trials = await self._trials(revision)
        finally:
            self.under_way.discard(revision.key)
        found = check.verdict(trials)
        self._starts.checked(revision, found)
        _log.info("function.checked", action="function.checked", function=revision.name, ending=found.ending.value)
        return found

    async def _trials(self, revision: Revision) -> list[Trial]:
        trials: list[Trial] = []
        while (step := check.next_step(trials)) is not Step.NOTHING:
            if step is Step.FORKED and (reason := await self._prepare(revision)):
                self._starts.note(revision, Start(Depth.SPAWN, reason))
                break
            trials.append(await self._try(revision, step, check.forked_s(trials)))
        return trials

    async def _prepare(self, revision: Revision) -> str:
        """Wait for the environment's zygote, which the first trial has called for."""
        return await self._shared.launcher.prepared.prepare(zygote_of(revision.environment))

    async def _try(self, revision: Revision, step: Step, forked_s: float) -> Trial:
        shared = self._shared
        why_not = _ON_PURPOSE if step is Step.AFRESH else self._starts.unfit(revision)
        world = build_world(revision, home=shared.home, limits=shared.limits, no_zygote=why_not)
        claim = _Claim(revision, self._capacity)
        if not claim.fits(shared):
            return Trial(ending=Ending.UNKNOWN, took_s=0.0, forked=False, error="there was no memory for it")
        try:
            return await self._initialise(revision, world, forked_s)
        finally:
            claim.release()

    async def _initialise(self, revision: Revision, world: World, forked_s: float) -> Trial:
        instance = Instance(revision, world, self._shared, _Nobody())
        not_launched, began = instance.origin, self._shared.clock()
        ending, error = Ending.READY, ""
        try:
            await _start_within(instance, forked_s)
        except TimeoutError:
            ending = Ending.UNKNOWN if instance.origin is not_launched else Ending.HUNG
            error = f"it was not done after {self._shared.clock() - began:.0f} s"
        except InitFailed as failed:
            ending, error = Ending.FAILED, failed.text
        except TorporError as refused:
            ending, error = Ending.UNKNOWN, refused.message
        finally:
            took_s = self._shared.clock() - began
            instance.end()
            await asyncio.shield(instance.wait_ended())
        start = instance.origin
        trial = Trial(
            ending=ending,
            took_s=took_s,
            forked=start.depth is Depth.ZYGOTE,
            error=error,
            may_fork=bool(start.reason) and not world.spec.no_zygote,
        )
        self._tell(world, trial)
        if ending is not Ending.UNKNOWN and world.spec.no_zygote != _ON_PURPOSE:
            self._starts.note(revision, start)
        return trial

    def _tell(self, world: World, trial: Trial) -> None:
        """Where the function's owner looks first: in its log."""
        write = Journal(self._shared.log_sink, world.log_key, world.log_stream).write
        if trial.error:
            write(f"The deployment check found that it does not initialise: {trial.error}".encode())
        write(journal.init_report(trial.took_s * 1000, ok=trial.ending is Ending.READY))


async def _start_within(instance: Instance, forked_s: float) -> None:
    """Raises TimeoutError when it takes longer than that in a fork, or than an initialisation afresh may take."""
    loop = asyncio.get_running_loop()

    def look() -> None:
        if instance.origin.depth is Depth.ZYGOTE:
            limit.reschedule(loop.time())

    async with asyncio.timeout(check.FRESH_S) as limit:
        timer = loop.call_later(forked_s, look)
        try:
            await instance.start()
        finally:
            timer.cancel()


class _Nobody:
    """The owner of an instance that is never given any work. Implements instance.Owner."""

    def on_finished(self, job: Job) -> None:
        """It has no invocation to end."""

    def on_outcome(self, job: Job, outcome: Outcome) -> None:
        """As above."""

    def on_slot_free(self, instance: Instance) -> None:
        """Nor one to go on with."""

    def on_ending(self, instance: Instance) -> None:
        """Who waits for its end is told by itself."""

    def on_ended(self, instance: Instance) -> None:
        """As above."""


class _Claim:
    """Memory of the node for one instance. Implements capacity.Consumer."""

    waiting = 0

    def __init__(self, revision: Revision, capacity: Capacity) -> None:
        self._capacity = capacity
        self._claim_mb = capacity.claim_mb(revision.config.memory_mb, revision.environment.digest)
        self._held_mb = 0
        self._part = capacity.join(self, revision.name)

    def fits(self, shared: Surroundings) -> bool:
        """Take it if it is to be had without anybody's loss."""
        if self._capacity.shortage_mb(self, self._claim_mb, shared.clock()):
            self._capacity.forget(self, self._part)
            return False
        self._held_mb = self._claim_mb
        return True

    def release(self) -> None:
        self._held_mb = 0
        self._capacity.forget(self, self._part)
        self._capacity.feed_hungry()

    def expected_total_mb(self) -> int:
        return self._held_mb

    def pump(self) -> bool:
        return False
