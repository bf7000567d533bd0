"""One launched sandbox as the server sees it: it is started, runs invocations, and ends; whatever it does, it ends.

Durations are measured here, not by the guest. What the guest sends is untrusted: a frame that is not the answer to an
open request kills the instance, and only what it was running fails. Every end takes one path: kill, wait for the
sandbox to be gone, answer what was open, release, report.
"""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Protocol

from torpor.core.errors import StartFailed, TorporError
from torpor.core.function import Revision
from torpor.core.invocation import Depth, Outcome, Result, Usage
from torpor.policy.billing import billed_ms
from torpor.runtime import faults
from torpor.runtime.attachment import Attachment
from torpor.runtime.control import Control
from torpor.runtime.faults import Failure, InitFailed
from torpor.runtime.job import Job
from torpor.runtime.json_journal import open_journal
from torpor.runtime.meter import Meter
from torpor.runtime.output import OutputReader
from torpor.runtime.snapshots import spec_of
from torpor.runtime.spec import Exit
from torpor.runtime.starts import Start
from torpor.runtime.states import InstanceState, advance
from torpor.runtime.surroundings import Surroundings
from torpor.runtime.watch import Watch
from torpor.runtime.world import PROVISIONED, World
from torpor.wire.frames import Frame, Kind, ProtocolViolation
from torpor.wire.messages import Call, Ready, pack_call, unpack_ready

_RESTORE_S = 10.0  # as on Lambda: what hooks may take after a restore
_LINGER_S = 1.0  # a process whose control channel ends has left; if it is still there by then, it closed the channel
_INIT_KINDS = frozenset({Kind.READY, Kind.INIT_ERROR})


class Owner(Protocol):
    """Who holds an instance, and is told what becomes of it."""

    def on_finished(self, job: Job) -> None: ...

    def on_outcome(self, job: Job, outcome: Outcome) -> None: ...

    def on_slot_free(self, instance: Instance) -> None: ...

    def on_ending(self, instance: Instance) -> None: ...

    def on_ended(self, instance: Instance) -> None: ...


class Instance:
    """`slots` invocations at a time. Owned by one event loop; nothing here is safe to call from elsewhere."""

    def __init__(
        self, revision: Revision, world: World, shared: Surroundings, owner: Owner, *, kept: bool = False
    ) -> None:
        self.revision = revision
        self.kept = kept  # made ahead of any invocation, and not ended for being idle
        self.state = InstanceState.STARTING
        self.idle_since = 0.0
        self.frozen = False
        self.max_memory_mb = 0
        self.modules: tuple[str, ...] = ()  # what its initialisation imported from interpreter and environment
        self.origin = Start(Depth.SPAWN)
        self._world = world
        self._shared = shared
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._journal = open_journal(shared.log_sink, revision.config, world.log_key, world.log_stream)
        self._arn = shared.home.function_arn(revision.name)
        self._timeout_ms = int(revision.config.timeout_s * 1000)
        self._jobs: dict[int, Job] = {}
        self._last_id = 0
        self._clockwork = Watch(
            self._jobs, revision.config.timeout_s, shared.clock, late=self._time_out, long=self._tell_start
        )
        self._init_ms: float | None = None  # until the first invocation has borne it
        self._cause: Failure | None = None  # why it was killed, when the server did it
        self._hung_up = False
        self._launching = False
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._watch: asyncio.Task[None] | None = None

    @property
    def free_slots(self) -> int:
        if self.state not in (InstanceState.IDLE, InstanceState.BUSY):
            return 0
        return self.revision.config.max_concurrency - len(self._jobs)

    # ── its life ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> None:
        """Launch, and return once the handler is loaded.

        Raises StartFailed (torpor's or the machine's fault), NotSupported, or InitFailed (the function's own fault).
        """
        try:
            await self._launch_and_tell()
            await self._initialise()
        except BaseException as error:
            self._launching = False
            self.end()
            if self._watch is None and self.state is InstanceState.ENDING:  # it was told to end, and never was launched
                self._leave()
            if not isinstance(error, Exception):
                raise
            if isinstance(error, InitFailed):
                raise
            if self._ready.done() and not self._ready.cancelled() and (gone := self._ready.exception()) is not None:
                raise gone from None  # it left before everything was opened: that is the reason to tell
            if isinstance(error, TorporError):
                raise
            raise StartFailed(f"An instance of {self.revision.name} could not be started: {error}") from error

    async def _launch_and_tell(self) -> None:
        """Its first line comes before any of its own, and says when it began."""
        at_ms = int(time.time() * 1000)
        try:
            await self._launch()
        finally:
            restored = self.origin.depth is Depth.SNAPSHOT
            tell = self._journal.restore_start if restored else self._journal.init_start
            tell(self.revision.config.runtime, self.revision.version, at_ms)

    async def _launch(self) -> None:
        self._launching = True
        spec = spec_of(self._world, self.revision, self._shared)  # raises NotInvocable
        launched = await self._shared.launcher.start(spec)
        limits = self._shared.limits
        self._began = self._shared.clock()
        self.origin = Start(launched.depth, launched.reason)
        self._meter = Meter(launched)
        self._attachment = Attachment(
            launched,
            Control(limits.response_payload, self._on_frame, self._on_violation, self._on_lost),
            OutputReader(launched.output, self._on_line, rate=limits.log_rate, burst=limits.log_burst),
        )
        self._watch = self._loop.create_task(self._until_ended())
        if self.state is InstanceState.ENDING:
            launched.kill()
            raise StartFailed("the instance was told to end before it was launched")

    async def _initialise(self) -> None:
        restored = self.origin.depth is Depth.SNAPSHOT
        limit = _RESTORE_S if restored else self._shared.start_timeout_s + self.revision.config.timeout_s
        try:
            async with asyncio.timeout(limit):
                await self._attachment.open(self.revision, self._world.log_stream, self._shared.open_door)
                await asyncio.shield(self._ready)
        except TimeoutError:
            raise InitFailed.by((faults.restore_timed_out if restored else faults.init_timed_out)(limit)) from None
        if self.state is not InstanceState.IDLE:  # it was loaded, and was gone a moment later
            raise InitFailed.by(self._cause or faults.exited(None, None, out_of_memory=False))

    def end(self, cause: Failure | None = None) -> None:
        """Kill it. Idempotent, returns at once; `cause` is what its open invocations will be told."""
        if self.state in (InstanceState.ENDING, InstanceState.ENDED):
            return
        self.state = advance(self.state, InstanceState.ENDING)
        self._cause = self._cause or cause
        self._owner.on_ending(self)
        if self._watch is not None:
            self._attachment.launched.kill()
        elif not self._launching:
            self._leave()

    async def wait_ended(self) -> None:
        """Until nothing of it is left."""
        await asyncio.shield(self._ended)

    async def _until_ended(self) -> None:
        attachment = self._attachment
        try:
            seen = await attachment.launched.wait()
            failure = self._explain(seen)
        except TorporError as error:
            failure = faults.misbehaved(f"{error.message}, seen")
        self.end()  # first, so that nobody is given a slot of it
        attachment.output.drain(finish=True)
        self._answer_all(self._cause or failure)
        self._meter.freeze()
        await attachment.close()
        self._leave()

    def _explain(self, seen: Exit) -> Failure:
        """How it ended, where the server did not end it for a reason of its own."""
        if self._hung_up and seen.signal == signal.SIGKILL and not seen.out_of_memory:
            return faults.misbehaved("it hung up")  # the signal was ours
        return faults.exited(seen.status, seen.signal, out_of_memory=seen.out_of_memory)

    def _answer_all(self, failure: Failure) -> None:
        if not self._ready.done():
            self._ready.set_exception(InitFailed.by(failure))
            self._ready.exception()  # who started it may have left
        for request in list(self._jobs):
            job = self._jobs[request]
            self._finish(request, failure.payload(job.request_id), failure.result)

    def _leave(self) -> None:
        self.state = advance(self.state, InstanceState.ENDED)
        self._clockwork.close()
        if not self._ended.done():
            self._ended.set_result(None)
        self._owner.on_ended(self)

    # ── invocations ─────────────────────────────────────────────────────────────────────────────────────────────────

    def run(self, job: Job) -> None:
        """Hand one invocation to the guest; its outcome goes to the owner. There must be a free slot."""
        if self.state is not InstanceState.BUSY:
            self.state = advance(self.state, InstanceState.BUSY)
        self._last_id += 1
        self._jobs[self._last_id] = job
        self._begin(job)
        self._clockwork.began()
        invocation = job.invocation
        arn = f"{self._arn}:{invocation.qualifier}" if invocation.qualifier else self._arn
        context = invocation.client_context or ""
        head = pack_call(Call(invocation.request_id, arn, self._timeout_ms, invocation.trace_id, context))
        control, stream = self._attachment.control, job.stream
        kind = Kind.INVOKE if stream is None else stream.attach(control, self._last_id, self.end)
        control.send(kind, self._last_id, head, invocation.payload)
        if self.frozen:
            self._thaw()  # last, so that it wakes once, to its work

    def freeze(self) -> None:
        """Let nothing in it run until its next invocation, where this machine can do that."""
        if not self.frozen and self.state is InstanceState.IDLE:
            self.frozen = self._attachment.launched.freeze()

    def _thaw(self) -> None:
        self.frozen = False
        try:
            self._attachment.launched.thaw()
        except OSError:  # its control group is gone: so is what was in it. Not now: its owner is giving it work
            self._loop.call_soon(self.end)

    def fail_start(self, job: Job, failed: InitFailed) -> None:
        """Answer one invocation with the error of this instance's initialisation."""
        if self._init_ms is None:
            self._init_ms = (self._shared.clock() - self._began) * 1000
        self._begin(job)
        self._conclude(job, failed.payload(job.request_id), self._usage(job, failed.result, None))

    def _begin(self, job: Job) -> None:
        if self._init_ms is not None:
            job.depth, job.init_ms, self._init_ms = self.origin.depth, self._init_ms, None
        job.began, job.start_ms = self._shared.clock(), int(time.time() * 1000)
        if job.tail is not None:
            self._tell_start(job)

    def _tell_start(self, job: Job) -> None:
        """Write its START line, unless that was done."""
        if job.start_ms:
            self._journal.begin(job.request_id, self.revision.version, job.start_ms, job.tail)
            job.start_ms = 0

    def _finish(self, request: int, payload: bytes, result: Result) -> None:
        outcome_at = self._shared.clock()
        self._attachment.output.drain(finish=len(self._jobs) == 1)
        job = self._jobs.pop(request)
        if job.stream is not None:
            payload, result = job.stream.judge(payload, result)
        usage = self._usage(job, result, outcome_at)
        self._owner.on_finished(job)
        if self.state is InstanceState.BUSY:  # first the next one's work, then this one's answer
            if not self._jobs:
                self.state = advance(self.state, InstanceState.IDLE)
                self.idle_since = outcome_at
            self._owner.on_slot_free(self)
        self._conclude(job, payload, usage)

    def _usage(self, job: Job, result: Result, at: float | None) -> Usage:
        """What it cost. `at` is None for one that never began."""
        config = self.revision.config
        duration = 0.0 if at is None else max(0.0, at - job.began) * 1000
        if result is Result.TIMEOUT and at is not None:
            duration = config.timeout_s * 1000.0  # to the millisecond: the loop's timers are a little early or late
        reading = self._meter.read(duration, job.began if at is None else at)
        self.max_memory_mb = max(self.max_memory_mb, reading.max_memory_mb)
        return Usage(
            function=config.name,
            version=self.revision.version,
            request_id=job.request_id,
            at=job.admitted,
            depth=job.depth,
            init_ms=job.init_ms,
            duration_ms=duration,
            billed_ms=billed_ms(duration, job.init_ms),
            memory_mb=config.memory_mb,
            max_memory_mb=reading.max_memory_mb,
            cpu_ms=reading.cpu_ms,
            result=result,
        )

    def _conclude(self, job: Job, payload: bytes, usage: Usage) -> None:
        self._journal.conclude(usage, job.start_ms, job.tail)
        outcome = Outcome(
            payload=payload,
            usage=usage,
            executed_version=self.revision.version,
            function_error=None if usage.result is Result.OK else "Unhandled",
            log_tail=job.tail.bytes() if job.tail else b"",
        )
        self._owner.on_outcome(job, outcome)

    def _time_out(self, request: int) -> None:
        job = self._jobs[request]
        failure = faults.timed_out(self.revision.config.timeout_s)
        self.end(faults.killed())
        self._tell_start(job)
        self._journal.timed_out(job.request_id, failure.text, job.tail)
        self._finish(request, failure.payload(job.request_id), failure.result)

    # ── what the guest says ─────────────────────────────────────────────────────────────────────────────────────────

    def _on_frame(self, frame: Frame) -> None:
        if self.state in (InstanceState.ENDING, InstanceState.ENDED):
            return
        if frame.kind in _INIT_KINDS:
            self._on_init(frame)
        elif frame.id not in self._jobs:
            self._on_violation(f"an answer to request {frame.id}, which is not open,")
        elif self._attachment.launched.out_of_memory():
            self.end()  # a child met the limit, and its parent was quicker to answer than the alarm
        elif frame.kind == Kind.RESULT:
            self._finish(frame.id, frame.payload, Result.OK)
        elif frame.kind == Kind.ERROR:
            self._finish(frame.id, frame.payload, Result.ERROR)
        elif frame.kind == Kind.TOO_LARGE:
            failure = faults.too_large(self._shared.limits.response_payload)
            self._finish(frame.id, failure.payload(""), failure.result)
        else:
            self._on_piece(frame)

    def _on_piece(self, frame: Frame) -> None:
        stream = self._jobs[frame.id].stream
        breach = "an answer in pieces, which nobody asked for," if stream is None else stream.heed(frame)
        if breach:
            self._on_violation(breach)

    def _on_init(self, frame: Frame) -> None:
        if self._ready.done():
            self._on_violation("a second report of initialisation")
            return
        self._init_ms = (self._shared.clock() - self._began) * 1000
        self._attachment.output.drain(finish=True)
        if frame.kind == Kind.INIT_ERROR:
            self._ready.set_exception(InitFailed(Result.ERROR, lambda _request: frame.payload))
            return
        try:
            report = unpack_ready(frame.payload)
        except ProtocolViolation as violation:
            self._on_violation(str(violation))
            return
        self._become_ready(report)

    def _become_ready(self, report: Ready) -> None:
        self.modules = report.modules
        if self.origin.depth is Depth.SNAPSHOT:
            self._journal.restore_report(self._init_ms or 0.0)
        else:
            self._shared.launcher.learn(self._world.spec, report.modules)
        if self.kept and self._init_ms is not None:  # no invocation bears it
            self._journal.init_report(self._init_ms, PROVISIONED)
            self._init_ms = None
        self.max_memory_mb = self._attachment.launched.max_memory_mb()
        self.state = advance(self.state, InstanceState.IDLE)
        self.idle_since = self._shared.clock()
        self._ready.set_result(None)

    def _on_violation(self, what: str) -> None:
        self.end(faults.misbehaved(what))

    def _on_lost(self) -> None:
        if self.state is InstanceState.IDLE:
            self.end()
        elif self.state in (InstanceState.STARTING, InstanceState.BUSY):
            self._loop.call_later(_LINGER_S, self._hang_up)

    def _hang_up(self) -> None:
        """It closed its end and lives on, or takes its time to die: its exit will tell."""
        if self.state is not InstanceState.ENDING and self.state is not InstanceState.ENDED:
            self._hung_up = True
            self.end()

    def _on_line(self, line: bytes) -> None:
        if len(self._jobs) == 1:
            (job,) = self._jobs.values()
            self._tell_start(job)
            self._journal.write(line, job.request_id, job.tail)
        else:
            self._journal.write(line)
