"""What one function has of the node's concurrency, and the part in it of each of its revisions."""

from __future__ import annotations

from typing import Protocol

from torpor.policy import reserve


class Consumer(Protocol):
    """A pool, as far as capacity is concerned."""

    @property
    def waiting(self) -> int: ...

    def expected_total_mb(self) -> int: ...

    def pump(self) -> bool: ...


class Part:
    """One revision's part. `provisioned` executions are its own: nobody else gets them while it does not use them."""

    __slots__ = ("provisioned", "running", "share", "waiting")

    def __init__(self, share: Share) -> None:
        self.share = share
        self.provisioned = 0
        self.running = 0
        self.waiting = 0

    @property
    def aside(self) -> int:
        """Of what is provisioned, what nobody uses."""
        return max(0, self.provisioned - self.running)

    @property
    def beyond(self) -> int:
        """Of those that wait, those that must share with others."""
        return max(0, self.waiting - self.aside)


class Share:
    """One function's, through all its revisions. It is kept while the function has pools or a reservation.

    `aside` and `beyond` are sums over its parts, kept up so that a warm invocation looks at no other part.
    """

    __slots__ = ("aside", "beyond", "consumers", "function", "reserved", "running", "starting")

    def __init__(self, function: str) -> None:
        self.function = function
        self.reserved: int | None = None
        self.running = 0
        self.starting = 0
        self.aside = 0
        self.beyond = 0
        self.consumers: set[Consumer] = set()

    @property
    def held(self) -> int:
        """What it takes from the others."""
        return reserve.held(self.running + self.aside, self.reserved)

    @property
    def queued(self) -> int:
        """Who waits, unless it is for what is held already."""
        return self.beyond if self.reserved is None else 0
