"""A stack: what was deployed from one template, as whoever deploys it writes it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torpor.core.errors import Conflict


class StackChanged(Conflict):
    """The stack was changed by another deployment meanwhile: look at it, and deploy again."""


@dataclass(frozen=True, slots=True)
class Stack:
    """`revision` counts what was stored, from 1. `document` is JSON, whose meaning is its writer's."""

    name: str
    revision: int
    document: Mapping[str, Any]
