"""What an instance has used since it was last asked: processor time and peak memory, as the kernel counts them."""

from __future__ import annotations

from dataclasses import dataclass

from torpor.runtime.spec import Launched


@dataclass(frozen=True, slots=True)
class Reading:
    cpu_ms: float  # since the last reading
    max_memory_mb: int  # since the instance began


class Meter:
    """The first reading includes what the start itself cost: the cold invocation bears it."""

    def __init__(self, launched: Launched) -> None:
        self._launched: Launched | None = launched
        self._read_ms = 0.0
        self._total_ms = 0.0
        self._peak_mb = 0

    def read(self) -> Reading:
        """Valid at any time; what the instance used after `freeze` is not seen."""
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
