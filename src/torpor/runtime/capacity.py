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

    def pump(self) -> None: ...


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

    def room(self, memory_each_mb: int) -> Room:
        """What is left. One instance always fits into an empty node, however large it is."""
        concurrency = self._concurrency - self.running - self.starting
        return Room(concurrency=concurrency, memory_mb=self._memory_left(memory_each_mb))

    def shortage_mb(self, memory_each_mb: int) -> int:
        """How much must be freed before one more instance fits; 0 when it does."""
        left = self._memory_left(memory_each_mb)
        return 0 if left is None else max(0, memory_each_mb - left)

    def wait(self, consumer: Consumer) -> None:
        """Remember `consumer`: it is pumped when something was released."""
        self._hungry[consumer] = None

    def forget(self, consumer: Consumer) -> None:
        self.consumers.discard(consumer)
        self._hungry.pop(consumer, None)

    def feed_hungry(self) -> None:
        """Let those who wait try again, the longest waiting first; who is still short queues up behind the others."""
        if self._hungry:
            hungry, self._hungry = self._hungry, {}
            for consumer in hungry:
                consumer.pump()

    def _memory_left(self, memory_each_mb: int) -> int | None:
        if self._memory_mb is None:
            return None
        used = sum(consumer.expected_total_mb() for consumer in self.consumers)
        return self._memory_mb - used if used else max(self._memory_mb, memory_each_mb)
