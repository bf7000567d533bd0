"""An answer in pieces, between the instance that makes it and whoever takes it, with a bounded number of bytes between.

What was taken is granted to the guest again; what is not taken stops it. Whoever leaves early has the rest cancelled,
and an instance that does not stop for that within a bounded time is ended.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from torpor.core.invocation import Outcome, Result
from torpor.runtime import faults
from torpor.runtime.control import Control
from torpor.runtime.faults import Failure
from torpor.runtime.job import Job
from torpor.wire.frames import Frame, Kind, ProtocolViolation
from torpor.wire.streams import MAX_CHUNK, WINDOW, Inbound, pack_credit

_GRANT_FROM = WINDOW // 4  # a frame for every small piece would cost more than it gains
CANCEL_GRACE_S = 5.0


class Answer:
    """Implements core.invocation.Streamed. Owned by one event loop; `limit` in bytes."""

    def __init__(
        self, version: str, limit: int, ended: Callable[[Outcome], None], grace_s: float = CANCEL_GRACE_S
    ) -> None:
        self.executed_version = version
        self.content_type: str | None = None
        self._limit = limit
        self._ended = ended
        self._grace_s = grace_s
        self._loop = asyncio.get_running_loop()
        self._inbound = Inbound()
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._taken = 0  # and not yet granted again
        self._verdict: Failure | None = None
        self._done: Outcome | Exception | None = None
        self._left = False
        self._cancelled = False
        self._waiter: asyncio.Future[None] | None = None
        self._job: Job | None = None
        self._send: Callable[[int, bytes], None] | None = None  # a frame of this kind, for this invocation
        self._end: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    # ── whoever takes it ────────────────────────────────────────────────────────────────────────────────────────────

    async def begin(self, job: Job) -> None:
        """Wait until the first piece is announced, or until there is an answer without pieces.

        Raises what kept the invocation from running. Cancelled, it is as if closed.
        """
        self._job = job
        try:
            while self.content_type is None and self._done is None:
                await self._wait()
        except asyncio.CancelledError:
            self.close()
            raise
        if isinstance(self._done, Exception):
            raise self._done

    async def read(self) -> bytes | None:
        """The next pieces together, 64 KiB or a little more; None at the end, once there is an outcome."""
        while not self._pieces:
            if self._done is not None:
                return None
            await self._wait()
        taken = [self._pieces.popleft()]
        size = len(taken[0])
        while self._pieces and size < MAX_CHUNK:
            taken.append(self._pieces.popleft())
            size += len(taken[-1])
        self._grant(size)
        return b"".join(taken) if len(taken) > 1 else taken[0]

    @property
    def outcome(self) -> Outcome:
        """How it ended; there is one once `read` has returned None, or where there is no content type."""
        if not isinstance(self._done, Outcome):
            raise TypeError("the answer has not come to its end")
        return self._done

    def close(self) -> None:
        """Nobody wants the rest. Idempotent, and nothing after the end."""
        if self._left or self._done is not None:
            return
        self._left = True
        self._pieces.clear()
        if self._job is not None:
            self._job.leave()
        if self._send is not None:
            self._cancel()

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _grant(self, size: int) -> None:
        self._taken += size
        if self._taken >= _GRANT_FROM and self._send is not None:
            self._inbound.grant(self._taken)
            self._send(Kind.CREDIT, pack_credit(self._taken))
            self._taken = 0

    # ── the instance ────────────────────────────────────────────────────────────────────────────────────────────────

    def attach(self, control: Control, request: int, end: Callable[[Failure], None]) -> int:
        """It runs from now on, in an instance that `end` ends. Returns the kind of frame that asks for pieces."""
        self._send = lambda kind, payload: control.send(kind, request, payload, b"")
        self._end = lambda: end(faults.killed())
        return Kind.INVOKE_STREAM

    def heed(self, frame: Frame) -> str:
        """A BEGIN or CHUNK frame. Returns how it breaks the rules; nothing where it does not."""
        try:
            if frame.kind == Kind.BEGIN:
                self.content_type = self._inbound.begin(frame.payload)
                if self._cancelled:
                    self._await_end()
            else:
                self._inbound.take(len(frame.payload))
                self._keep(frame.payload)
        except ProtocolViolation as violation:
            return str(violation)
        self._wake()
        return ""

    def judge(self, payload: bytes, result: Result) -> tuple[bytes, Result]:
        """The invocation has ended in this way: what is to be told of it."""
        self._send = None
        if self._timer is not None:
            self._timer.cancel()
        if self._verdict is not None and result in (Result.OK, Result.ERROR):
            return self._verdict.payload(""), self._verdict.result
        if self._inbound.begun and result is Result.OK:
            return b"", result
        return payload, result

    def done(self, what: Outcome | Exception) -> None:
        """The node's last word."""
        self._done = what
        if isinstance(what, Outcome):
            self._ended(what)
        self._wake()

    def _keep(self, piece: bytes) -> None:
        if self._left or self._verdict is not None:
            return
        self._size += len(piece)
        if self._size > self._limit:
            self._verdict = faults.too_large(self._limit)
            self._cancel()
        else:
            self._pieces.append(piece)

    def _cancel(self) -> None:
        if self._send is not None and not self._cancelled:
            self._cancelled = True
            self._send(Kind.CANCEL, b"")
            if self._inbound.begun:
                self._await_end()

    def _await_end(self) -> None:
        """An answer without pieces comes to its end as any other; one in pieces has to stop."""
        if self._end is not None:
            self._timer = self._loop.call_later(self._grace_s, self._end)
