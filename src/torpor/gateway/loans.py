"""Memory for large request bodies, lent from a bounded amount: many large requests at once must not exhaust it."""

from __future__ import annotations

from torpor.core.errors import PlatformFault

FREE_BYTES = 64 * 1024  # a body this small is not counted; the number of connections bounds them


class Overloaded(PlatformFault):
    """Too many large requests are being received; try again in a moment."""

    code = "ServiceUnavailableException"


class Memory:
    """So many bytes for bodies at one time."""

    def __init__(self, total: int) -> None:
        self.left = total

    def loan(self) -> Loan:
        return Loan(self)


class Loan:
    """What one request holds, until given back."""

    __slots__ = ("_held", "_memory")

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._held = 0

    def hold(self, size: int) -> None:
        """Hold `size` bytes in all. Raises Overloaded when others hold too many."""
        more = size - self._held
        if size <= FREE_BYTES or more <= 0:
            return
        if more > self._memory.left:
            raise Overloaded
        self._memory.left -= more
        self._held = size

    def give_back(self) -> None:
        """Idempotent."""
        self._memory.left += self._held
        self._held = 0
