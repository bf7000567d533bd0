"""A secret as it is kept: its versions, which of them are current, and never a value in clear."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

CURRENT, PREVIOUS = "AWSCURRENT", "AWSPREVIOUS"
NAME = r"[A-Za-z0-9/_+=.@-]{1,512}"
VARIABLE = rf"^[a-zA-Z][a-zA-Z0-9_]+={NAME}$"  # how a function names one: VARIABLE=SECRET
_variable = re.compile(VARIABLE)


class SecretKind(StrEnum):
    """The types of parameters, in SSM's words. A secret of Secrets Manager is a secure string."""

    SECURE = "SecureString"
    TEXT = "String"
    LIST = "StringList"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretVersion:
    """One value, sealed. `number` counts from 1 and never comes back."""

    id: str
    number: int
    sealed: bytes = field(repr=False)
    binary: bool = False
    stages: tuple[str, ...] = ()
    created: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A named value with its earlier ones, oldest first. `suffix` is what makes its ARN its own; `deletes` is when a
    deleted one goes for good.
    """

    name: str
    suffix: str
    kind: SecretKind = SecretKind.SECURE
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    versions: tuple[SecretVersion, ...] = ()
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    changed: datetime = field(default_factory=lambda: datetime.now(UTC))
    deletes: datetime | None = None

    def evolve(self, **changes: Any) -> Secret:
        return replace(self, **changes)

    def staged(self, stage: str) -> SecretVersion | None:
        """The version that has this stage."""
        return next((version for version in self.versions if stage in version.stages), None)

    @property
    def current(self) -> SecretVersion | None:
        return self.staged(CURRENT)


def split_variable(entry: str) -> tuple[str, str] | None:
    """The variable and the secret of `VARIABLE=SECRET`; None where it is not written so."""
    if _variable.match(entry) is None:
        return None
    variable, _, name = entry.partition("=")
    return variable, name
