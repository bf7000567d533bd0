"""What there is for one environment: its zygote, the old ones that instances still live of, its blanks."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from torpor.policy.preload import Resting, Spare
from torpor.runtime.blanks import Blank, Shape
from torpor.runtime.live_zygote import LiveZygote
from torpor.runtime.spec import LaunchSpec, ZygoteSpec

FIRST = "its environment is called for the first time"
_LATEST = 8  # starts remembered for each environment


class Place:
    """Kept while its environment is in use, and for a while after."""

    def __init__(self, spec: ZygoteSpec, modules: Sequence[str]) -> None:
        self.spec = spec
        self.modules = list(modules)
        self.zygote: LiveZygote | None = None
        self.old: list[LiveZygote] = []  # they fork no more; their instances live on
        self.reason = "its snapshot is not made yet" if spec.snapshot else FIRST
        self.words = b""  # what was written while its latest zygote was built
        self.refused = False  # by its libraries: there is no use in trying again
        self.failures = 0
        self.hangs = 0  # zygotes that no longer forked
        self.building: asyncio.Task[None] | None = None
        self.filling: asyncio.Task[None] | None = None
        self.calls: deque[float] = deque(maxlen=_LATEST)
        self.built = 0.0  # when its zygote was
        self.size_mb = 0  # of the latest zygote: what the next one is expected to take
        self.pattern: LaunchSpec | None = None  # the latest start: what blanks are made for
        self.blanks: deque[Blank] = deque()

    @property
    def since(self) -> float:
        """When it was last of use."""
        return max(self.calls[-1] if self.calls else 0.0, self.built)

    @property
    def memory_mb(self) -> int:
        """What its zygotes and blanks take. An old zygote's pages are its own while instances live of them."""
        zygotes = [*self.old, self.zygote] if self.zygote is not None else self.old
        return sum(one.memory_mb for one in zygotes) + sum(one.memory_mb for one in self.blanks)

    @property
    def empty(self) -> bool:
        return not (self.zygote or self.old or self.building or self.filling or self.blanks)

    def take_blank(self, shape: Shape) -> Blank | None:
        for blank in list(self.blanks):
            if blank.alive and blank.shape == shape and blank.zygote is self.zygote:
                self.blanks.remove(blank)
                return blank
        return None

    def unwanted(self, shape: Shape) -> Callable[[Blank], bool]:
        """Tells blanks that are of no use for starts of this shape."""
        return lambda blank: blank.shape != shape or not blank.alive

    def resting(self) -> Resting:
        """Its zygote, as policy sees it; only blanks live of an unused one."""
        assert self.zygote is not None
        unused = self.zygote.unused or len(self.blanks) == self.zygote.born
        return Resting(self.zygote.memory_mb, self.since, unused)

    def spares(self) -> list[Spare]:
        """What could be given up at once: its blanks, and its zygote if nothing else lives of it."""
        found = [Spare(one.memory_mb, self.since, blank=True) for one in self.blanks]
        if self.zygote is not None and (zygote := self.resting()).unused:
            found.append(Spare(zygote.memory_mb, self.since, blank=False))
        return found
