"""Which version an alias sends an invocation to."""

from __future__ import annotations

from collections.abc import Mapping


def pick(primary: str, weights: Mapping[str, float], draw: float) -> str:
    """A version of `weights` with the probability of its weight, `primary` with what is left; 0 ≤ `draw` < 1."""
    for version, weight in weights.items():
        if draw < weight:
            return version
        draw -= weight
    return primary
