"""Moments as people write them: `10m`, `2h`, `2026-01-31`, `2026-01-31T12:00`, a Unix time."""

from __future__ import annotations

import re
from datetime import datetime

from torpor.cli.failures import WrongUse

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdw])")
_UNIX = re.compile(r"\d{9,11}(?:\.\d+)?")


def moment(text: str, *, now: float) -> float:
    """Unix time in seconds; what has no zone is local time. Raises WrongUse."""
    text = text.strip()
    if ago := _AGO.fullmatch(text):
        return max(0.0, now - float(ago[1]) * _SECONDS[ago[2]])
    if _UNIX.fullmatch(text):
        return float(text)
    try:
        return max(0.0, datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError):
        raise WrongUse(
            f"'{text}' is not a moment: write how long ago (90s, 10m, 2h, 7d), or when (2026-01-31, 2026-01-31T12:00)"
        ) from None
