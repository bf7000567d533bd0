"""The instances of one pool that are kept ready: started before anybody calls, replaced when they end.

They are never ended for being idle, and make no room for others. One that fails to start, or ends within a minute, is
replaced later each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from torpor.policy import provision
from torpor.policy.provision import Supply
from torpor.runtime.instance import Instance
from torpor.runtime.states import InstanceState

_YOUNG_S = 60.0
_AGAIN_S = 5.0  # where there was no memory: sooner when some is released
_NO_ROOM = "The server's memory budget has no room for more instances."


class Provisioned:
    """`start` begins one more; `has_room` says whether there is memory for it, making some where it may."""

    def __init__(self, slots_each: int, start: Callable[[], Instance], has_room: Callable[[], bool]) -> None:
        self._slots_each = slots_each
        self._start = start
        self._has_room = has_room
        self._loop = asyncio.get_running_loop()
        self._wanted = 0  # executions
        self._members: dict[Instance, float] = {}  # with when each was begun
        self._failures = 0
        self._reason = ""
        self._timer: asyncio.TimerHandle | None = None

    @property
    def wanted(self) -> int:
        """Executions at a time."""
        return self._wanted

    @property
    def short(self) -> bool:
        """Whether one is missing that may be started now."""
        return self._timer is None and len(self._members) < self._needed

    @property
    def hungry(self) -> bool:
        """Whether one is missing for want of memory."""
        return self._reason == _NO_ROOM and len(self._members) < self._needed

    @property
    def _needed(self) -> int:
        return provision.instances(self._wanted, self._slots_each)

    def want(self, executions: int) -> None:
        """From now on keep so many; those too many serve on as any other instance."""
        self._wanted = executions
        self._disarm()
        self._failures, self._reason = 0, ""
        for instance in list(self._members)[self._needed :]:
            instance.kept = False
            del self._members[instance]
        self.top_up()

    def top_up(self) -> bool:
        """Start what is missing; whether anything was."""
        if not self.short:
            return False
        began = 0
        for _ in range(provision.missing(self._needed, 0, len(self._members))):
            if not self._has_room():
                self._reason = _NO_ROOM
                self._again(_AGAIN_S)
                break
            self._members[self._start()] = self._loop.time()
            began += 1
        return began > 0

    def replaced(self, old: Instance, new: Instance) -> None:
        """The same start goes on in another instance."""
        if old in self._members:
            self._members[new] = self._members.pop(old)

    def started(self, instance: Instance) -> None:
        """It is initialised."""
        if instance in self._members:
            self._reason = ""

    def failed(self, instance: Instance, reason: str) -> None:
        """It could not be started; that it ended is told apart."""
        if instance.kept:
            self._reason = reason

    def ended(self, instance: Instance) -> None:
        """It is gone, for whatever reason."""
        began = self._members.pop(instance, None)
        if began is None:
            return
        self._failures = self._failures + 1 if self._loop.time() - began < _YOUNG_S else 0
        self._again(provision.back_off_s(self._failures))

    def supply(self) -> Supply:
        ready = sum(one.state in (InstanceState.IDLE, InstanceState.BUSY) for one in self._members)
        return Supply(
            allocated=min(self._wanted, len(self._members) * self._slots_each),
            available=min(self._wanted, ready * self._slots_each),
            reason=self._reason,
        )

    def close(self) -> None:
        """Start no more."""
        self._wanted = 0
        self._disarm()

    def _again(self, delay_s: float) -> None:
        self._disarm()
        if self._wanted:
            self._timer = self._loop.call_later(delay_s, self._try_again)

    def _try_again(self) -> None:
        self._timer = None
        self.top_up()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
