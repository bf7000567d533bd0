"""What all pools of one node share: how many invocations may run at once, and memory.

An instance is expected to use what its pool was seen to use, and its whole limit before anything was seen: limits are
set generously, and a node that reserved them in full would stand half empty.
"""

from __future__ import annotations

from typing import Protocol

from torpor.policy.scale import Room


class Consumer(Protocol):
    """A pool, as far as capacity is concerned."""

    def expected_total_mb(self) -> int: ...

    def pump(self) -> bool: ...


class Capacity:
    """Counts, and remembers who could not get enough. `memory_mb` None: unbounded."""

    def __init__(self, concurrency: int, memory_mb: int | None) -> None:
        self._concurrency = concurrency
        self._memory_mb = memory_mb
        self.running = 0
        self.starting = 0
        self.consumers: set[Consumer] = set()
        self._hungry: dict[Consumer, None] = {}  # in the order in which they came to be

    @property
    def can_run(self) -> bool:
        return self.running < self._concurrency

    def claim_mb(self, expected_mb: int) -> int:
        """What one instance counts for: never more than there is, so that the largest fits into an empty node."""
        return expected_mb if self._memory_mb is None else min(expected_mb, self._memory_mb)

    def room(self) -> Room:
        """What is left."""
        return Room(concurrency=self._concurrency - self.running - self.starting, memory_mb=self._memory_left())

    def shortage_mb(self, claim_mb: int) -> int:
        """How much must be freed before one more instance fits; 0 when it does."""
        left = self._memory_left()
        return 0 if left is None else max(0, claim_mb - left)

    def wait(self, consumer: Consumer) -> None:
        """Remember `consumer`: it is pumped when something was released."""
        self._hungry[consumer] = None

    def forget(self, consumer: Consumer) -> None:
        self.consumers.discard(consumer)
        self._hungry.pop(consumer, None)

    def feed_hungry(self) -> None:
        """Let those who wait try again, the longest waiting first.

        Who got something and wants more queues up behind those who got nothing: nobody starves beside a busy function.
        """
        if not self._hungry:
            return
        waiting, self._hungry = list(self._hungry), {}
        unserved = [consumer for consumer in waiting if not (self.can_run and consumer.pump())]
        self._hungry = dict.fromkeys([*unserved, *(one for one in self._hungry if one not in unserved)])

    def _memory_left(self) -> int | None:
        if self._memory_mb is None:
            return None
        return self._memory_mb - sum(consumer.expected_total_mb() for consumer in self.consumers)
