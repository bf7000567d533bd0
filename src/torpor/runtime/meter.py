"""What an instance has used since it was last asked: processor time and peak memory, as the kernel counts them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torpor.runtime.spec import Launched


@dataclass(frozen=True, slots=True)
class Reading:
    cpu_ms: float  # since the last reading
    max_memory_mb: int  # since the instance began


_LONG_MS = 5.0  # of such an invocation the counters are always read
_EVERY_S = 0.05


class Meter:
    """The first reading includes what the start itself cost: the cold invocation bears it.

    The counters cost system calls. Those of short invocations close together are not read each time: what these used is
    told with the last of them, and none of it is left out.
    """

    def __init__(self, launched: Launched) -> None:
        self._launched: Launched | None = launched
        self._looked_at = -math.inf
        self._read_ms = 0.0
        self._total_ms = 0.0
        self._peak_mb = 0

    def read(self, duration_ms: float, now: float) -> Reading:
        """After an invocation of `duration_ms`, at monotonic second `now`. What was used after `freeze` is not seen."""
        if duration_ms >= _LONG_MS or now - self._looked_at >= _EVERY_S:
            self._looked_at = now
            self._refresh()
        used, self._read_ms = self._total_ms - self._read_ms, self._total_ms
        return Reading(used, self._peak_mb)

    def freeze(self) -> None:
        """Take the last look: the kernel's counters are about to go."""
        self._refresh()
        self._launched = None

    def _refresh(self) -> None:
        if self._launched is not None:
            self._total_ms = max(self._total_ms, self._launched.cpu_ms())
            self._peak_mb = max(self._peak_mb, self._launched.max_memory_mb())
