"""Layers: archives that functions share, each version immutable, unpacked under /opt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from torpor.core.function import Bundle


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerVersion:
    """One published version. `unpacked` in bytes; runtimes and architectures say what it is made for, no more.

    `statements` are those of its policy, as JSON by their ids; `policy_revision` changes with each of them.
    """

    name: str
    version: int
    bundle: Bundle
    unpacked: int
    description: str = ""
    license: str = ""
    runtimes: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    statements: Mapping[str, str] = field(default_factory=dict)
    policy_revision: str = ""
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    def evolve(self, **changes: Any) -> LayerVersion:
        return replace(self, **changes)
