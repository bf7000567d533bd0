"""What belongs to a function by a name of its own: aliases, resource policies, settings of asynchronous invocation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A name for a version. `weights` sends a share (0 to 1) of the invocations to a second version."""

    function: str
    name: str
    version: str
    description: str = ""
    weights: Mapping[str, float] = field(default_factory=dict)
    revision_id: str = ""

    @property
    def versions(self) -> tuple[str, ...]:
        """All versions that it leads to."""
        return (self.version, *self.weights)

    def evolve(self, **changes: Any) -> Alias:
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Policy:
    """A resource policy: its statements by their ids, each in IAM's form."""

    statements: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provision:
    """Provisioned concurrency of a version or an alias: initialised instances for so many invocations at a time."""

    executions: int
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True, kw_only=True)
class EventInvoke:
    """How asynchronous invocations are tried again, and where their results go; None: not set. ARNs or empty."""

    retries: int | None = None
    max_age_s: int | None = None
    on_success: str | None = None
    on_failure: str | None = None
    modified: datetime = field(default_factory=lambda: datetime.now(UTC))
