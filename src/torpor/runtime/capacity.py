"""What all pools of one node share: how many invocations may run at once, and memory.

An instance is expected to use what its pool was seen to use, and its whole limit before anything was seen: limits are
set generously, and a node that reserved them in full would stand half empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torpor.policy import evict, reserve, scale
from torpor.policy.evict import Savings
from torpor.policy.scale import Room
from torpor.runtime.prepared import NothingPrepared
from torpor.runtime.share import Consumer, Part, Share
from torpor.runtime.spec import Prepared

__all__ = ["Capacity", "Consumer", "Part", "Share"]


class Capacity:
    """Counts, and remembers who could not get enough. `memory_mb` None: unbounded; `prepared` counts against it."""

    def __init__(self, concurrency: int, memory_mb: int | None, prepared: Prepared | None = None) -> None:
        self._concurrency = concurrency
        self._memory_mb = memory_mb
        self._prepared = prepared or NothingPrepared()
        if memory_mb is not None:
            self._prepared.keep_within(memory_mb, lambda: self._left(memory_mb))
        self._running = 0
        # Sums over all shares, kept up so that a warm invocation looks at no share but its own.
        self._held = 0
        self._queued = 0  # who waits, of those without a reservation: what is reserved is in `_held` already
        self._shares: dict[str, Share] = {}
        self._consumers: set[Consumer] = set()
        self._saver: Consumer | None = None
        self._savings = Savings()
        self._hungry: dict[Consumer, None] = {}  # in the order in which they came to be

    # ── functions and their shares ──────────────────────────────────────────────────────────────────────────────────

    def join(self, consumer: Consumer, function: str) -> Part:
        """Count `consumer` in; returns its part of the function's share."""
        share = self._share(function)
        share.consumers.add(consumer)
        self._consumers.add(consumer)
        return Part(share)

    def forget(self, consumer: Consumer, part: Part) -> None:
        self.provision(part, 0)
        self._consumers.discard(consumer)
        self._hungry.pop(consumer, None)
        self.relent(consumer)
        part.share.consumers.discard(consumer)
        self._forget_if_idle(part.share)

    def reserve(self, function: str, concurrency: int | None) -> None:
        """Let `function` have that many invocations at a time, always, and no more; None: no reservation."""
        share = self._share(function)
        with self._recount(share):
            share.reserved = concurrency
        self._forget_if_idle(share)
        self.feed_hungry()

    def provision(self, part: Part, concurrency: int) -> None:
        """Keep that many executions at a time for one revision; they count as its function's."""
        if part.provisioned != concurrency:
            with self._recount(part.share, part):
                part.provisioned = concurrency
            self.feed_hungry()

    @contextmanager
    def _recount(self, share: Share, part: Part | None = None) -> Iterator[None]:
        """Keep the sums right over a change of this share, or of this part of it."""
        self._held -= share.held
        self._queued -= share.queued
        if part is not None:
            share.aside -= part.aside
            share.beyond -= part.beyond
        yield
        if part is not None:
            share.aside += part.aside
            share.beyond += part.beyond
        self._held += share.held
        self._queued += share.queued

    def _share(self, function: str) -> Share:
        share = self._shares.get(function)
        if share is None:
            share = self._shares[function] = Share(function)
        return share

    def _forget_if_idle(self, share: Share) -> None:
        if not share.consumers and share.reserved is None:
            self._shares.pop(share.function, None)

    # ── invocations ─────────────────────────────────────────────────────────────────────────────────────────────────

    def refusal(self, part: Part) -> str:
        """Why one more invocation of this revision is refused at once; empty when it is taken."""
        if part.running + part.waiting < part.provisioned:
            return ""
        share = part.share
        in_flight = share.running + share.aside + share.beyond
        return reserve.refusal(in_flight, share.reserved, self._held + self._queued, self._concurrency)

    def queue(self, part: Part, count: int) -> None:
        """So many invocations more wait for an instance, or fewer where it is negative."""
        if part.provisioned:
            with self._recount(part.share, part):
                part.waiting += count
            return
        part.waiting += count
        part.share.beyond += count
        if part.share.reserved is None:
            self._queued += count

    def can_run(self, part: Part) -> bool:
        """Whether one more invocation of this revision may run."""
        if part.running < part.provisioned:
            return self._running < self._concurrency
        share = part.share
        if share.reserved is None:
            return self._held < self._concurrency
        return self._room(share, self._held, self._running, share.running + share.aside) > 0

    def begin(self, part: Part) -> None:
        self._count(part, 1)

    def finish(self, part: Part) -> None:
        self._count(part, -1)

    def _count(self, part: Part, more: int) -> None:
        """So many more of it run."""
        share = part.share
        self._running += more
        if part.provisioned:
            with self._recount(share, part):
                share.running += more
                part.running += more
            return
        self._held -= share.held
        share.running += more
        part.running += more
        self._held += share.held

    # ── instances ───────────────────────────────────────────────────────────────────────────────────────────────────

    def room(self, consumer: Consumer, part: Part, now: float) -> Room:
        """What is left for instances of this revision, with those that are being started counted in."""
        share, shares = part.share, self._shares.values()
        held = sum(reserve.held(one.running + one.aside + one.starting, one.reserved) for one in shares)
        busy = self._running + sum(one.starting for one in shares)
        left = self._room(share, held, busy, share.running + share.aside + share.starting)
        if part.provisioned:  # what is its own it has in any case
            left = min(max(0, left) + part.aside, self._concurrency - busy)
        return Room(concurrency=left, memory_mb=self._memory_left(consumer, now))

    def claim_mb(self, expected_mb: int, environment: str) -> int:
        """What one instance counts for.

        Never more than there is beside what is prepared for its own environment, so that the largest fits into an
        empty node.
        """
        if self._memory_mb is None:
            return expected_mb
        return min(expected_mb, max(1, self._memory_mb - self._prepared.own_mb(environment)))

    def shortage_mb(self, consumer: Consumer, claim_mb: int, now: float) -> int:
        """How much must be freed before one more instance of `consumer` fits; 0 when it does."""
        left = self._memory_left(consumer, now)
        return 0 if left is None else max(0, claim_mb - left)

    def press(self, consumer: Consumer, claim_mb: int, waited_s: float, now: float) -> bool:
        """Whether `consumer` may take room bit by bit: then what it gathers is kept from the others."""
        if self._kept_mb(consumer, now):
            return False
        self._saver, self._savings = (
            consumer,
            evict.press(claim_mb, waited_s, now, has_any=consumer.expected_total_mb() > 0),
        )
        return self._savings.kept_mb(now) > 0

    def relent(self, consumer: Consumer) -> None:
        """It has got its room, or wants none any more."""
        if self._saver is consumer:
            self._saver = None

    def _kept_mb(self, consumer: Consumer, now: float) -> int:
        saver = self._saver
        return 0 if saver is None or saver is consumer or not saver.waiting else self._savings.kept_mb(now)

    # ── who waits ───────────────────────────────────────────────────────────────────────────────────────────────────

    def wait(self, consumer: Consumer) -> None:
        """Remember `consumer`: it is pumped when something was released."""
        self._hungry[consumer] = None

    def feed_hungry(self) -> None:
        """Let those who wait try again, in turns."""
        if not self._hungry:
            return
        waiting, self._hungry = list(self._hungry), {}
        unserved = {consumer for consumer in waiting if not (self._running < self._concurrency and consumer.pump())}
        self._hungry = dict.fromkeys(scale.turns(waiting, unserved, list(self._hungry)))

    def _room(self, share: Share, held: int, busy_of_all: int, busy: int) -> int:
        return reserve.room(
            limit=self._concurrency, held_by_all=held, busy_of_all=busy_of_all, busy=busy, reserved=share.reserved
        )

    def _memory_left(self, consumer: Consumer, now: float) -> int | None:
        if self._memory_mb is None:
            return None
        return self._left(self._memory_mb) - self._kept_mb(consumer, now)

    def _left(self, budget_mb: int) -> int:
        return budget_mb - sum(one.expected_total_mb() for one in self._consumers) - self._prepared.memory_mb
