"""A log group as CloudWatch Logs knows it: a function's own, or one that somebody made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from torpor.core.arn import is_function_name
from torpor.core.function import FunctionConfig

PREFIX = "/aws/lambda/"
_NAME = re.compile(r"[a-zA-Z0-9_\-/.#]{1,512}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogGroup:
    """What was said of a group. `explicit`: it was made, and is there without a function."""

    name: str
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    retention_days: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    explicit: bool = False

    def evolve(self, **changes: Any) -> LogGroup:
        return replace(self, **changes)


def log_group_of(config: FunctionConfig) -> str:
    """Where a function's lines go: its own group, or the one that it names."""
    return config.log_group or f"{PREFIX}{config.name}"


def is_group_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def function_of(group: str) -> str | None:
    """The function whose own group this is; None for any other."""
    name = group.removeprefix(PREFIX)
    return name if group.startswith(PREFIX) and is_function_name(name) else None


def key_of(group: str) -> str:
    """Where the group's lines are kept: under the function's name, or under its own behind a sign that none has."""
    return function_of(group) or f"={group}"
