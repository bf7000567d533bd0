"""Replay arrivals through the very policies that the node uses, on a clock that jumps: a day takes seconds.

What is decided here is decided by `scale`, `reserve`, `keep_alive`, `evict` and `rate`; what is performed there by
`runtime` is a line in a heap here. Each instance takes one invocation at a time, starts take what the function says,
and nothing fails.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush

from torpor.policy import evict, keep_alive, reserve, scale
from torpor.policy.evict import Idle, Savings
from torpor.policy.keep_alive import Patience
from torpor.policy.rate import Rate, smooth
from torpor.policy.scale import Load, Room
from torpor.policy.traces import Arrival


@dataclass(frozen=True, slots=True, kw_only=True)
class Modelled:
    """A function as the simulator sees it."""

    memory_mb: int = 128
    start_s: float = 0.3
    reserved: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a node is told; the defaults are the server's."""

    patience: Patience = field(default_factory=lambda: Patience(freeze_after_s=0.1, keep_alive_s=60.0))
    concurrency: int = 1000
    memory_mb: int | None = None
    queue_limit: int = 1000
    queue_wait_s: float = 30.0


@dataclass(slots=True)
class Report:
    """What came of it. `*_mb_s` are megabytes times seconds: of all instances, the idle ones, the frozen of these."""

    arrivals: int = 0
    served: int = 0
    cold: int = 0  # of those served, the ones that were an instance's first
    throttled: int = 0
    starts: int = 0
    evicted: int = 0
    memory_mb_s: float = 0.0
    idle_mb_s: float = 0.0
    frozen_mb_s: float = 0.0
    waited_s: float = 0.0
    longest_wait_s: float = 0.0
    most_running: int = 0
    most_memory_mb: int = 0


class Replayed:
    """One instance. `frozen_from` is when it was frozen since it was last used, infinite while it was not."""

    __slots__ = ("began", "frozen_from", "idle_since", "used")

    def __init__(self, began: float) -> None:
        self.began = began
        self.idle_since = began
        self.frozen_from = math.inf
        self.used = False


class Queue:
    """One function's pool: who waits, and which instances are idle, the longest idle first."""

    def __init__(self, model: Modelled) -> None:
        self.model = model
        self.waiting: deque[Arrival] = deque()
        self.free: list[Replayed] = []
        self.starting = 0
        self.running = 0
        self.due = math.inf
        self.rate = Rate()
        self.start_ms: float | None = None

    @property
    def instances(self) -> int:
        return self.starting + self.running + len(self.free)

    def load(self) -> Load:
        return Load(waiting=len(self.waiting), free_slots=len(self.free), starting=self.starting)


class Replay:
    """The node's part. `watch` is called after each event, for those who check."""

    def __init__(self, models: Sequence[Modelled], scene: Scene, watch: Callable[[Replay], None] | None = None) -> None:
        self.scene = scene
        self.report = Report()
        self.queues = [Queue(model) for model in models]
        self.now = 0.0
        self._watch = watch
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._hungry: dict[Queue, None] = {}
        self._running = 0
        self._memory_mb = 0
        self._idle_mb = 0
        self._saver: Queue | None = None
        self._savings = Savings()
        self._held = self._held_soon = sum(reserve.held(0, model.reserved) for model in models)  # soon: with the starts
        self._starting = 0

    @property
    def running(self) -> int:
        return self._running

    @property
    def memory_mb(self) -> int:
        return self._memory_mb

    def run(self, arrivals: Iterable[Arrival]) -> Report:
        """Take them all in, in the order of their times, and go on until the last instance has ended."""
        for arrival in arrivals:
            self._until(arrival.at)
            self.now = arrival.at
            self._arrive(arrival)
            self._after()
        self._until(math.inf)
        return self.report

    def can_run(self, queue: Queue) -> bool:
        return self._room(queue, self._held, self._running, queue.running) > 0

    # ── events ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _at(self, when: float, what: Callable[[], None]) -> None:
        heappush(self._events, (when, next(self._order), what))

    def _until(self, when: float) -> None:
        while self._events and self._events[0][0] <= when:
            self.now, _, event = heappop(self._events)
            event()
            self._after()

    def _after(self) -> None:
        if self._watch is not None:
            self._watch(self)

    def _arrive(self, arrival: Arrival) -> None:
        self.report.arrivals += 1
        queue = self.queues[arrival.function]
        in_flight, reserved = queue.running + len(queue.waiting), queue.model.reserved
        if reserve.refusal(in_flight, reserved, self._held + self._queued(), self.scene.concurrency):
            self.report.throttled += 1
        elif queue.free and not queue.waiting and self.can_run(queue):
            self._give(queue, arrival)
        elif not scale.admits(len(queue.waiting), self.scene.queue_limit):
            self.report.throttled += 1
        else:
            queue.waiting.append(arrival)
            self._lose_patience_later(queue, arrival)
            self._pump(queue)

    def _queued(self) -> int:
        return sum(len(queue.waiting) for queue in self.queues if queue.model.reserved is None)

    def _lose_patience_later(self, queue: Queue, arrival: Arrival) -> None:
        self._at(self.now + self.scene.queue_wait_s, lambda: self._lose_patience(queue, arrival))

    def _lose_patience(self, queue: Queue, arrival: Arrival) -> None:
        if arrival not in queue.waiting:
            return
        if scale.worth_waiting(queue.waiting.index(arrival), queue.load()):
            self._lose_patience_later(queue, arrival)
            return
        queue.waiting.remove(arrival)
        self.report.throttled += 1

    def _ready(self, queue: Queue, instance: Replayed) -> None:
        self._hold(queue, starting=-1)
        queue.start_ms = smooth(queue.start_ms, queue.model.start_s * 1000)
        self._rests(queue, instance)
        self._serve(queue)
        self._released(queue)

    def _done(self, queue: Queue, instance: Replayed) -> None:
        self._hold(queue, running=-1)
        self._rests(queue, instance)
        self._released(queue)

    def _released(self, queue: Queue) -> None:
        self._feed_hungry()
        self._pump(queue)
        if self.now + self.scene.patience.soonest_s < queue.due and queue.free:
            self._rest_at(queue, self.now + self.scene.patience.soonest_s)

    # ── the pool's decisions, performed ─────────────────────────────────────────────────────────────────────────────

    def _pump(self, queue: Queue) -> bool:
        progress = self._serve(queue)
        if not queue.waiting:
            return progress
        count = self._wanted_starts(queue)
        for _ in range(count):
            self._start(queue)
        if len(queue.waiting) > queue.starting:
            self._hungry[queue] = None
        return progress or count > 0

    def _serve(self, queue: Queue) -> bool:
        served = False
        while queue.waiting and queue.free and self.can_run(queue):
            self._give(queue, queue.waiting.popleft())
            served = True
        return served

    def _give(self, queue: Queue, arrival: Arrival) -> None:
        instance = queue.free.pop()
        self._count_idle(queue, instance)
        wait = self.now - arrival.at
        report = self.report
        report.served += 1
        report.cold += not instance.used
        report.waited_s += wait
        report.longest_wait_s = max(report.longest_wait_s, wait)
        instance.used = True
        self._hold(queue, running=1)
        queue.rate = queue.rate.hit(self.now)
        report.most_running = max(report.most_running, self._running)
        self._at(self.now + arrival.duration_s, lambda: self._done(queue, instance))

    def _wanted_starts(self, queue: Queue) -> int:
        load, claim = queue.load(), queue.model.memory_mb
        if scale.starts(load, Room(concurrency=1), claim) and self.can_run(queue):
            left = self._memory_left(queue)
            if left is not None and left < claim:
                self._make_room(claim - left, press=self._press(queue))
        left = self._room(queue, self._held_soon, self._running + self._starting, queue.running + queue.starting)
        return scale.starts(load, Room(concurrency=left, memory_mb=self._memory_left(queue)), claim)

    def _start(self, queue: Queue) -> None:
        instance = Replayed(self.now)
        self._hold(queue, starting=1)
        if self._saver is queue:
            self._saver = None
        self.report.starts += 1
        self._memory_mb += queue.model.memory_mb
        self.report.most_memory_mb = max(self.report.most_memory_mb, self._memory_mb)
        self._at(self.now + queue.model.start_s, lambda: self._ready(queue, instance))

    def _press(self, queue: Queue) -> bool:
        if self._kept_mb(queue):
            return False
        self._saver = queue
        waited_s = self.now - queue.waiting[0].at
        self._savings = evict.press(queue.model.memory_mb, waited_s, self.now, has_any=queue.instances > 0)
        return self._savings.kept_mb(self.now) > 0

    def _kept_mb(self, queue: Queue) -> int:
        saver = self._saver
        return 0 if saver is None or saver is queue or not saver.waiting else self._savings.kept_mb(self.now)

    def _make_room(self, need_mb: int, *, press: bool) -> None:
        if self._idle_mb < need_mb and not press:  # what the policy would say, without asking everybody
            return
        places = [(queue, place) for queue in self.queues if queue.free for place in range(len(queue.free))]
        idle = [self._as_idle(queue, place) for queue, place in places]
        chosen = [places[index] for index in evict.make_room(idle, need_mb, press=press)]
        for queue, instance in [(queue, queue.free[place]) for queue, place in chosen]:
            self.report.evicted += 1
            self._end(queue, instance)

    def _as_idle(self, queue: Queue, place: int) -> Idle:
        return Idle(
            memory_mb=queue.model.memory_mb,
            since=queue.free[place].idle_since,
            rate=queue.rate.read(self.now),
            start_ms=queue.start_ms or 0.0,
            spare=len(queue.free) - 1 - place,
        )

    def _feed_hungry(self) -> None:
        if not self._hungry:
            return
        asked, self._hungry = list(self._hungry), {}
        unserved = {one for one in asked if not (self._running < self.scene.concurrency and self._pump(one))}
        self._hungry = dict.fromkeys(scale.turns(asked, unserved, list(self._hungry)))

    # ── rest, and accounts ──────────────────────────────────────────────────────────────────────────────────────────

    def _rest_at(self, queue: Queue, when: float) -> None:
        queue.due = when
        self._at(when, lambda: self._rest(queue, when))

    def _rest(self, queue: Queue, when: float) -> None:
        if queue.due != when:  # another one was set since
            return
        queue.due = math.inf
        rest = keep_alive.rest([one.idle_since for one in queue.free], self.now, self.scene.patience)
        idle = list(queue.free)
        for instance in idle[rest.end : rest.frozen]:
            instance.frozen_from = min(instance.frozen_from, self.now)
        for instance in idle[: rest.end]:
            self._end(queue, instance)
        if rest.end:
            self._feed_hungry()
        if rest.next_s is not None:
            self._rest_at(queue, math.nextafter(self.now + rest.next_s, math.inf))

    def _end(self, queue: Queue, instance: Replayed) -> None:
        queue.free.remove(instance)
        self._count_idle(queue, instance)
        self._memory_mb -= queue.model.memory_mb
        self.report.memory_mb_s += queue.model.memory_mb * (self.now - instance.began)

    def _rests(self, queue: Queue, instance: Replayed) -> None:
        instance.idle_since = self.now
        queue.free.append(instance)
        self._idle_mb += queue.model.memory_mb

    def _count_idle(self, queue: Queue, instance: Replayed) -> None:
        memory = queue.model.memory_mb
        self._idle_mb -= memory
        self.report.idle_mb_s += memory * (self.now - instance.idle_since)
        self.report.frozen_mb_s += memory * max(0.0, self.now - instance.frozen_from)
        instance.frozen_from = math.inf

    def _hold(self, queue: Queue, *, running: int = 0, starting: int = 0) -> None:
        reserved = queue.model.reserved
        before, soon_before = (
            reserve.held(queue.running, reserved),
            reserve.held(queue.running + queue.starting, reserved),
        )
        queue.running += running
        queue.starting += starting
        self._running += running
        self._starting += starting
        self._held += reserve.held(queue.running, reserved) - before
        self._held_soon += reserve.held(queue.running + queue.starting, reserved) - soon_before

    def _room(self, queue: Queue, held: int, busy_of_all: int, busy: int) -> int:
        return reserve.room(
            limit=self.scene.concurrency,
            held_by_all=held,
            busy_of_all=busy_of_all,
            busy=busy,
            reserved=queue.model.reserved,
        )

    def _memory_left(self, queue: Queue) -> int | None:
        if self.scene.memory_mb is None:
            return None
        return self.scene.memory_mb - self._memory_mb - self._kept_mb(queue)


def replay(models: Sequence[Modelled], arrivals: Iterable[Arrival], scene: Scene | None = None) -> Report:
    """What a node of this scene would have done with these arrivals, which come in the order of their times."""
    return Replay(models, scene or Scene()).run(arrivals)
