"""One machine's share of the work: a pool for each revision that is called, and the bounds that they share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from torpor.core.arn import Home
from torpor.core.errors import StartFailed
from torpor.core.function import Environment, Revision
from torpor.core.invocation import Invocation, Outcome
from torpor.core.limits import Limits
from torpor.policy import evict
from torpor.policy.check import Verdict
from torpor.policy.keep_alive import Patience
from torpor.policy.provision import Supply
from torpor.runtime.answers import Answer
from torpor.runtime.capacity import Capacity
from torpor.runtime.check import Checker
from torpor.runtime.host import Host, PoolOptions, PoolStatistics
from torpor.runtime.job import Done, Job, Stream
from torpor.runtime.journal import LogSink
from torpor.runtime.pool import Pool
from torpor.runtime.ports import DoorOpener, SecretsOf, no_secrets
from torpor.runtime.snapshots import take_snapshot
from torpor.runtime.spec import Launcher
from torpor.runtime.starts import Start, Starts, Unfit
from torpor.runtime.surroundings import Surroundings
from torpor.runtime.world import SNAPSHOT, zygote_of

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """`queue_wait_s` is how long an invocation waits for an instance when none can be started; `memory_budget_mb`
    bounds what all instances together are expected to use (None: unbounded). `freeze_after_s` is how long an instance
    is idle before it is frozen, where the machine can do that.
    """

    keep_alive_s: float = 60.0
    freeze_after_s: float = 0.1
    start_timeout_s: float = 30.0
    queue_wait_s: float = 30.0
    memory_budget_mb: int | None = None
    limits: Limits = field(default_factory=Limits)
    home: Home = field(default_factory=Home)


@dataclass(frozen=True, slots=True)
class NodeStatistics:
    """A snapshot. `pools` has one entry for each revision with anything to show."""

    pools: tuple[PoolStatistics, ...]

    @property
    def instances(self) -> int:
        return sum(one.idle + one.busy + one.starting for one in self.pools)

    def of(self, function: str) -> tuple[PoolStatistics, ...]:
        """Those of NAME, or of NAME:VERSION alone."""
        name, _, version = function.partition(":")
        return tuple(one for one in self.pools if one.function == name and version in ("", one.version))


def _ignore(outcome: Outcome) -> None:
    _log.info("invocation.abandoned", action="invocation.abandoned", request_id=outcome.usage.request_id)


class Node:
    """Runs invocations. Belongs to the event loop it is used on.

    `abandoned` gets the outcomes of invocations whose caller left while they ran: they are billed like any other.
    """

    def __init__(
        self,
        launcher: Launcher,
        *,
        options: NodeOptions,
        open_door: DoorOpener,
        log_sink: LogSink,
        clock: Callable[[], float] = time.monotonic,
        abandoned: Callable[[Outcome], None] = _ignore,
        secrets_of: SecretsOf = no_secrets,
        unfit: Unfit | None = None,
    ) -> None:
        self._options = options
        shared = Surroundings(
            launcher=launcher,
            open_door=open_door,
            log_sink=log_sink,
            limits=options.limits,
            home=options.home,
            start_timeout_s=options.start_timeout_s,
            secrets_of=secrets_of,
            clock=clock,
        )
        self._capacity = Capacity(options.limits.concurrency, options.memory_budget_mb, launcher.prepared)
        self._prepared = launcher.prepared
        self._begun = Starts(unfit)
        self._checker = Checker(shared, self._capacity, self._begun)
        self._host = Host(
            shared,
            self._capacity,
            make_room=self._make_room,
            abandoned=abandoned,
            changed=self._changed,
            starts=self._begun,
        )
        self._pools: dict[str, Pool] = {}
        self._retiring: set[Pool] = set()
        self._closing = False
        self._change: asyncio.Event | None = None

    async def invoke(self, revision: Revision, invocation: Invocation) -> Outcome:
        """Run one invocation. What the function does wrong is in the outcome; what is raised is not its fault.

        Raises Throttled when there is no room, StartFailed and NotSupported when no instance could be started.
        Cancelled before it began, it is dropped; later, it runs to its end and its outcome goes to `abandoned`.
        """
        answered: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def done(what: Outcome | Exception) -> None:
            if isinstance(what, Exception):
                if not answered.done():
                    answered.set_exception(what)
            elif answered.done():
                self._host.abandoned(what)
            else:
                answered.set_result(what)

        job = self.begin(revision, invocation, done)
        try:
            return await answered
        except asyncio.CancelledError:
            if not answered.cancelled() and answered.done() and answered.exception() is None:
                self._host.abandoned(answered.result())  # answered in the very moment in which its caller left
            job.leave()
            raise

    async def stream(self, revision: Revision, invocation: Invocation, ended: Callable[[Outcome], None]) -> Answer:
        """As `invoke`, for an answer that may come in pieces: returns with the first one, or with a whole answer.

        `ended` gets the outcome of an answer that was taken to its end. Whoever has it must `close` it.
        """
        answer = Answer(revision.version, self._options.limits.stream_payload, ended)
        await answer.begin(self.begin(revision, invocation, answer.done, answer))
        return answer

    def begin(self, revision: Revision, invocation: Invocation, done: Done, stream: Stream | None = None) -> Job:
        """As `invoke`, without a task that waits: `done` gets the outcome, or the exception, some time after this.

        Raises what is known at once. `leave` on the job is what cancelling is for `invoke`.
        """
        if self._closing:
            raise StartFailed("torpor is shutting down and takes no more work.")
        pool = self._pools.get(revision.key) or self._open_pool(revision)
        job = Job(invocation, done, pool, pool.now(), stream)
        pool.submit(job)
        return job

    async def retire(self, revision_key: str) -> None:
        """Take no new work for this revision; what is running finishes, and then its instances end."""
        self._begun.forget(revision_key)
        self._prepared.forget(f"{SNAPSHOT}{revision_key}")
        pool = self._pools.pop(revision_key, None)
        if pool is not None:
            self._retiring.add(pool)
            pool.retire()

    def running(self) -> frozenset[str]:
        """Keys of the revisions that have instances or waiting invocations, retired ones included."""
        return frozenset(pool.revision.key for pool in self._all_pools()) | self._checker.under_way

    async def check(self, revision: Revision) -> Verdict:
        """Initialise it as its next instance will be, without a call: it is known then how to start it."""
        return await self._checker.check(revision)

    async def snapshot(self, revision: Revision) -> str:
        """Initialise it once, for its instances to be forked from; empty, or why they cannot be."""
        return await take_snapshot(revision, self._host.shared)

    async def prepare(self, environment: Environment) -> str:
        """Have a zygote for this environment; empty once there is one, else the reason why not."""
        return await self._prepared.prepare(zygote_of(environment))

    def reserve(self, function: str, concurrency: int | None) -> None:
        """Let this function have so many invocations at a time, and never more; None: it shares with the others."""
        self._capacity.reserve(function, concurrency)

    def provision(self, revision: Revision, executions: int) -> None:
        """Keep initialised instances of it for so many invocations at a time; 0: none."""
        pool = self._pools.get(revision.key)
        if pool is None and (not executions or self._closing):
            return
        (pool or self._open_pool(revision)).provision(executions)

    def supply(self, revision_key: str) -> Supply:
        """What there is of what it is to keep."""
        pool = self._pools.get(revision_key)
        return Supply() if pool is None else pool.supply()

    def modules(self, revision_key: str) -> tuple[str, ...]:
        """What initialisation imported from interpreter and environment, in order; empty before anyone was ready."""
        pool = self._pools.get(revision_key)
        return pool.modules if pool is not None else ()

    def start_of(self, function: str) -> Start | None:
        """How the latest instance of this function began, and why it was not forked; None when there was none yet."""
        return self._begun.of(function)

    def check_of(self, function: str) -> Verdict | None:
        """What the latest deployment check of this function found; None when there was none."""
        return self._begun.check_of(function)

    def statistics(self) -> NodeStatistics:
        return NodeStatistics(tuple(pool.statistics() for pool in self._all_pools()))

    async def close(self, grace_s: float) -> None:
        """Finish what is running and waiting within `grace_s` seconds, then end everything. Idempotent."""
        self._closing = True
        self._change = asyncio.Event()
        try:
            async with asyncio.timeout(grace_s):
                while any(pool.unfinished for pool in self._all_pools()):
                    self._change.clear()
                    await self._change.wait()
        except TimeoutError:
            _log.warning("node.grace_over", action="node.grace_over", grace_s=grace_s)
        error = StartFailed("torpor was shut down before this invocation began.")
        pending = [future for pool in self._all_pools() for future in pool.stop(error)]
        await asyncio.gather(*pending, return_exceptions=True)

    def _all_pools(self) -> list[Pool]:
        return [*self._pools.values(), *self._retiring]

    def _open_pool(self, revision: Revision) -> Pool:
        keep_alive_s = revision.config.keep_alive_s
        limits = self._options.limits
        options = PoolOptions(
            patience=Patience(
                freeze_after_s=self._options.freeze_after_s,
                keep_alive_s=self._options.keep_alive_s if keep_alive_s is None else keep_alive_s,
            ),
            queue_limit=limits.queue_per_function,
            queue_wait_s=self._options.queue_wait_s,
        )
        pool = self._pools[revision.key] = Pool(revision, self._host, options)
        return pool

    def _make_room(self, environment: str, need_mb: int, press: bool) -> None:  # noqa: FBT001 -- a callback
        """Let go what is prepared for others, then end idle instances of whatever revision, so that another may start.

        Nothing goes when even all of it would not do, unless somebody presses.
        """
        idle = [pair for pool in self._all_pools() for pair in pool.idle()]
        spare_mb = self._prepared.spare_mb(environment)
        if not press and spare_mb + sum(one.memory_mb for one, _ in idle) < need_mb:
            return
        need_mb -= self._prepared.give_up(need_mb, environment)
        if need_mb <= 0:
            return
        for index in evict.make_room([one for one, _ in idle], need_mb, press=press):
            idle[index][1].end()

    def _changed(self, pool: Pool) -> None:
        """A pool may have become empty: nothing of a sleeping function stays behind."""
        if pool.empty:
            self._retiring.discard(pool)
            if self._pools.get(pool.revision.key) is pool:
                del self._pools[pool.revision.key]
            pool.leave()
        if self._change is not None:
            self._change.set()
