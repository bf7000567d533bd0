"""When an idle instance has been kept long enough."""

from __future__ import annotations

from collections.abc import Sequence


def expired(idle_since: Sequence[float], now: float, keep_alive_s: float) -> int:
    """How many instances, from the longest idle on, to end now. `idle_since` ascends."""
    for index, since in enumerate(idle_since):
        if now - since < keep_alive_s:
            return index
    return len(idle_since)


def next_check_s(idle_since: Sequence[float], now: float, keep_alive_s: float) -> float | None:
    """In how many seconds the longest idle one expires; None when nothing is idle."""
    if not idle_since:
        return None
    return max(0.0, idle_since[0] + keep_alive_s - now)
