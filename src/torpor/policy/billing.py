"""What an invocation is billed: whole milliseconds, initialisation included, as AWS does since August 2025."""

from __future__ import annotations

import math


def billed_ms(duration_ms: float, init_ms: float = 0.0) -> int:
    """Duration and initialisation together, rounded up to the next millisecond, and never nothing."""
    return max(1, math.ceil(duration_ms + init_ms))
