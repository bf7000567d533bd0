"""The instances of one revision: the most recently used one is taken, others are started when all are busy.

What to do is decided in `policy`; this performs it. A warm invocation passes through without a task, a lock or a wait.
"""

from __future__ import annotations

import asyncio
from functools import partial

import structlog

from torpor.core.errors import NotSupported, StartFailed, Throttled, TorporError
from torpor.core.function import Revision
from torpor.core.invocation import Depth, Outcome
from torpor.policy import scale
from torpor.policy.evict import Idle
from torpor.policy.provision import Supply
from torpor.policy.rate import Rate, smooth
from torpor.policy.reserve import BEYOND_LIMIT
from torpor.policy.scale import Load, Room
from torpor.runtime import faults
from torpor.runtime.brake import Brake
from torpor.runtime.faults import InitFailed
from torpor.runtime.host import Host, PoolOptions, PoolStatistics
from torpor.runtime.instance import Instance
from torpor.runtime.job import Job
from torpor.runtime.line import Line
from torpor.runtime.provisioned import Provisioned
from torpor.runtime.resting import Resting
from torpor.runtime.states import InstanceState
from torpor.runtime.world import ON_DEMAND, PROVISIONED, build_world

_log = structlog.get_logger()
INIT_FAILURE = "FUNCTION_ERROR_INIT_FAILURE"  # Lambda's word, where provisioned concurrency fails by it
_ATTEMPTS = 2  # a start that failed for our own reasons is tried once more


class Pool:
    """Waiting jobs in order of arrival, and instances with a free slot with the most recently used at the end."""

    def __init__(self, revision: Revision, host: Host[Pool], options: PoolOptions) -> None:
        self.revision = revision
        self._host = host
        self._capacity = host.capacity
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._part = self._capacity.join(self, revision.name)
        self._waiting = Line(
            options.queue_wait_s,
            count=partial(self._capacity.queue, self._part),
            worth=self._worth_waiting,
            refuse=self._refuse,
            tick=self._look_at_held,
        )
        self._free: list[Instance] = []
        self._instances: set[Instance] = set()  # every one that is not yet ended, those starting and ending included
        self._starts: set[asyncio.Task[None]] = set()
        self._kept = Provisioned(revision.config.max_concurrency, self._begin_kept, self._has_room)
        self._begun = 0  # the number of the latest start
        self._resting = Resting(self._idle, options.patience, host.shared.clock)
        self._observed_mb = 0
        self._start_ms: float | None = None
        self._rate = Rate()
        self._brake = Brake(revision.config.max_concurrency)
        self._stopped = False
        self.modules: tuple[str, ...] = ()

    # ── what the node asks ──────────────────────────────────────────────────────────────────────────────────────────

    def submit(self, job: Job) -> None:
        """Run it now, or let it wait. Raises Throttled beyond what may run, and when too many wait already."""
        if refusal := self._capacity.refusal(self._part):
            self._host.changed(self)
            raise Throttled(reason=refusal)
        if self._free and not self._waiting and self._spare(1) and self._capacity.can_run(self._part):
            self._run(self._free[-1], job)
            return
        if not scale.admits(len(self._waiting), self._options.queue_limit):
            self._host.changed(self)
            raise Throttled(reason=BEYOND_LIMIT)
        self._waiting.append(job)
        self.pump()

    def drop(self, job: Job) -> None:
        """Its caller left: forget it, unless it has begun."""
        if not job.running and self._waiting.remove(job):
            self._host.changed(self)

    def retire(self) -> None:
        """Let those run that are here, and keep nothing alive after that."""
        self.provision(0)
        self._resting.keep_nothing()
        self._host.changed(self)

    def leave(self) -> None:
        """It is empty, and nobody will ask it for anything any more."""
        self._waiting.close()
        self._resting.close()
        self._kept.close()
        self._capacity.forget(self, self._part)

    def provision(self, executions: int) -> None:
        """Keep initialised instances for so many invocations at a time, from now on."""
        if self._stopped or executions == self._kept.wanted:
            return
        self._capacity.provision(self._part, executions)
        self._kept.want(executions)
        self._resting.look()  # those that are no longer kept
        self._host.changed(self)

    def supply(self) -> Supply:
        """What there is of what is to be kept."""
        return self._kept.supply()

    def stop(self, error: Exception) -> list[asyncio.Future[None]]:
        """End everything now; returns what to wait for."""
        while self._waiting:
            self._waiting.take().reject(error)
        self._waiting.close()
        self._kept.close()
        self._stopped = True
        for task in self._starts:
            task.cancel()
        for instance in list(self._instances):
            instance.end(faults.stopped())
        return [*self._starts, *(asyncio.ensure_future(one.wait_ended()) for one in self._instances)]

    def now(self) -> float:
        """The loop's clock."""
        return self._loop.time()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def empty(self) -> bool:
        return not (self._instances or self._starts or self._waiting or self._kept.wanted)

    @property
    def unfinished(self) -> bool:
        """Whether somebody still waits for an outcome."""
        return bool(self._waiting) or any(one.state is InstanceState.BUSY for one in self._instances)

    def statistics(self) -> PoolStatistics:
        states = [one.state for one in self._instances]
        return PoolStatistics(
            function=self.revision.name,
            version=self.revision.version,
            revision=self.revision.key,
            idle=states.count(InstanceState.IDLE),
            busy=states.count(InstanceState.BUSY),
            starting=len(self._starts),
            waiting=len(self._waiting),
            frozen=sum(one.frozen for one in self._idle()),
        )

    def expected_total_mb(self) -> int:
        """Memory that its instances, and those it is starting, are expected to use."""
        gone = (InstanceState.ENDING, InstanceState.ENDED)
        return self._claim_mb * sum(one.state not in gone for one in self._instances)

    def idle(self) -> list[tuple[Idle, Instance]]:
        """Its idle instances, as the eviction policy sees them: not those that are to be kept."""
        rate, idle = self._rate.read(self._host.shared.clock()), [one for one in self._idle() if not one.kept]
        return [
            (
                Idle(
                    memory_mb=self._claim_mb,
                    since=one.idle_since,
                    rate=rate,
                    start_ms=self._start_ms or 0.0,
                    spare=len(idle) - 1 - place,
                ),
                one,
            )
            for place, one in enumerate(idle)
        ]

    def _idle(self) -> list[Instance]:
        """The longest idle first: it is the order in which they came to be free."""
        return [one for one in self._free if one.state is InstanceState.IDLE]

    def _make_free(self, instance: Instance) -> None:
        """The last is used first: those that are kept, in any case, come before those that may fall asleep."""
        if self._kept.wanted and not instance.kept:
            self._free.insert(sum(not one.kept for one in self._free), instance)
        else:
            self._free.append(instance)

    # ── performing ──────────────────────────────────────────────────────────────────────────────────────────────────

    def pump(self) -> bool:
        """Give waiting jobs to free instances, and start what the policy asks for. Whether anything came of it."""
        progress = self._serve()
        if self._kept.wanted:
            progress = self._kept.top_up() or progress
            if self._kept.hungry:
                self._capacity.wait(self)
        if not self._waiting:
            self._brake.release()
            return progress
        if not self._spare(1):
            self._waiting.hold()
            return progress
        count = self._wanted_starts()
        for _ in range(count):
            self._begin_start()
        if len(self._waiting) > len(self._starts) * self.revision.config.max_concurrency:
            self._capacity.wait(self)
        return progress or count > 0

    def _serve(self) -> bool:
        served = False
        while self._waiting and self._free and self._spare(1) and self._capacity.can_run(self._part):
            self._run(self._free[-1], self._waiting.take())
            served = True
        return served

    def _spare(self, waiting: int) -> int:
        return self._brake.spare(self._part.share.running + len(self._starts), waiting)

    def _look_at_held(self, waited_s: float) -> None:
        """A tick has passed, and somebody still waits."""
        self._brake.tick(waited_s)
        self.pump()

    def _wanted_starts(self) -> int:
        load, claim, now = self._load(), self._claim_mb, self._loop.time()
        if not scale.starts(load, Room(concurrency=1), claim):
            return 0  # and what is left need not be counted
        if self._capacity.can_run(self._part) and (shortage := self._capacity.shortage_mb(self, claim, now)):
            press = self._capacity.press(self, claim, now - self._waiting.first.since, now)
            self._host.make_room(self.revision.environment.digest, shortage, press)
        wanted = scale.starts(load, self._capacity.room(self, self._part, now), claim)
        return min(wanted, self._spare(wanted))

    def _load(self) -> Load:
        return Load(
            waiting=len(self._waiting),
            free_slots=sum(one.free_slots for one in self._free),
            starting=len(self._starts),
            slots_each=self.revision.config.max_concurrency,
        )

    def _run(self, instance: Instance, job: Job) -> None:
        self._capacity.begin(self._part)
        self._rate = self._rate.hit(self._host.shared.clock())
        job.running = True
        instance.run(job)
        if instance.free_slots == 0:
            self._free.pop()  # it is the last

    def _begin_start(self) -> None:
        self._part.share.starting += 1
        self._capacity.relent(self)
        self._launch(self._new_instance())

    def _begin_kept(self) -> Instance:
        """One that is kept: what it may run counts already."""
        instance = self._new_instance(kept=True)
        self._launch(instance)
        return instance

    def _launch(self, instance: Instance) -> None:
        self._begun += 1
        task = self._loop.create_task(self._bring_up(instance))
        self._starts.add(task)
        task.add_done_callback(partial(self._start_done, self._begun, instance, instance.kept))

    def _has_room(self) -> bool:
        claim, now = self._claim_mb, self._loop.time()
        if shortage := self._capacity.shortage_mb(self, claim, now):
            self._host.make_room(self.revision.environment.digest, shortage, False)
        return not self._capacity.shortage_mb(self, claim, now)

    def _new_instance(self, *, kept: bool = False) -> Instance:
        shared, kind = self._host.shared, PROVISIONED if kept else ON_DEMAND
        unfit = self._host.starts.unfit(self.revision)
        world = build_world(self.revision, home=shared.home, limits=shared.limits, no_zygote=unfit, initialization=kind)
        instance = Instance(self.revision, world, shared, self, kept=kept)
        self._instances.add(instance)
        return instance

    async def _bring_up(self, instance: Instance) -> None:
        try:
            await self._start(instance)
        except InitFailed as failed:
            if instance.origin.depth is Depth.ZYGOTE and not self._stopped:
                await self._bring_up_afresh(instance, failed)
            else:
                self._blame(instance, failed)

    async def _start(self, instance: Instance) -> None:
        began = self._host.shared.clock()
        await instance.start()
        self._start_ms = smooth(self._start_ms, (self._host.shared.clock() - began) * 1000)
        self._host.starts.note(self.revision, instance.origin)
        self._observe(instance)
        self.modules = instance.modules
        self._kept.started(instance)
        self._make_free(instance)
        self._serve()  # at once: one that dies young must take an invocation with it, or is replaced for ever
        self._resting.noticed(instance)

    async def _bring_up_afresh(self, first: Instance, forked: InitFailed) -> None:
        """Initialisation failed in a forked instance: only where it succeeds without a fork is that to blame."""
        reason = f"its initialisation failed in a forked instance ({forked.result}) and not in one started afresh"
        self._host.starts.declare_unfit(self.revision, reason)
        instance = self._new_instance(kept=first.kept)
        self._kept.replaced(first, instance)
        try:
            await self._start(instance)
        except InitFailed as failed:
            self._host.starts.acquit(self.revision)
            self._blame(instance, failed)

    def _blame(self, instance: Instance, failed: InitFailed) -> None:
        self._host.starts.note(self.revision, instance.origin)
        self._kept.failed(instance, f"{INIT_FAILURE}: {failed.text}")
        job = self._next_waiting()
        if job is not None:
            instance.fail_start(job, failed)

    def _start_done(self, number: int, instance: Instance, kept: bool, task: asyncio.Task[None]) -> None:  # noqa: FBT001 -- as bound
        self._starts.discard(task)
        if not kept:
            self._part.share.starting -= 1
        error = StartFailed("The start was cancelled.") if task.cancelled() else task.exception()
        if error is not None:
            self._kept.failed(instance, str(error))
            self._start_failed(number, error)
        self._after_release()

    def _start_failed(self, number: int, error: BaseException) -> None:
        """Somebody is told, unless it is their first: of starts that fail together each hears of one at the most."""
        if (job := self._waiting.who_hears_of(number)) is None:
            return
        _log.warning("instance.start_failed", action="instance.start_failed", error=str(error))
        job.failed_starts, job.excused = job.failed_starts + 1, self._begun
        final = not isinstance(error, StartFailed) or isinstance(error, NotSupported)
        if final or job.failed_starts >= _ATTEMPTS:
            self._waiting.remove(job)
            job.reject(error if isinstance(error, TorporError) else StartFailed(str(error)))

    def _next_waiting(self) -> Job | None:
        return self._waiting.take() if self._waiting else None

    def _observe(self, instance: Instance) -> None:
        self._observed_mb = max(self._observed_mb, instance.max_memory_mb)

    @property
    def _claim_mb(self) -> int:
        expected_mb = self._observed_mb or self.revision.config.memory_mb
        return self._capacity.claim_mb(expected_mb, self.revision.environment.digest)

    def _after_release(self) -> None:
        """Somebody may go on: those who waited for capacity before us first, then our own."""
        self._capacity.feed_hungry()
        self.pump()
        self._host.changed(self)

    def _worth_waiting(self, position: int) -> bool:
        return scale.worth_waiting(position, self._load())

    def _refuse(self, job: Job) -> None:
        job.reject(Throttled(reason=BEYOND_LIMIT))
        self._host.changed(self)

    # ── what instances tell ─────────────────────────────────────────────────────────────────────────────────────────

    def on_finished(self, job: Job) -> None:
        self._brake.finished()
        if job.running:
            job.running = False
            self._capacity.finish(self._part)

    def on_outcome(self, job: Job, outcome: Outcome) -> None:
        self._brake.seen(outcome.usage, self._part.share.running)
        self._observed_mb = max(self._observed_mb, outcome.usage.max_memory_mb)
        if not job.resolve(outcome):
            self._host.abandoned(outcome)

    def on_slot_free(self, instance: Instance) -> None:
        if instance in self._free:
            self._free.remove(instance)
        self._make_free(instance)
        self._after_release()
        self._resting.noticed(instance)

    def on_ending(self, instance: Instance) -> None:
        if instance in self._free:
            self._free.remove(instance)

    def on_ended(self, instance: Instance) -> None:
        self._instances.discard(instance)
        self._kept.ended(instance)
        self._after_release()
