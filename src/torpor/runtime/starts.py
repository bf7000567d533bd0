"""How the latest instance of each revision began, and which revisions are not to be forked, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torpor.core.function import Revision
from torpor.core.invocation import Depth
from torpor.policy.check import Verdict


@dataclass(frozen=True, slots=True)
class Start:
    """`reason` says why it was not forked from a zygote; empty when it was, or where that was not wanted."""

    depth: Depth
    reason: str = ""


class Unfit(Protocol):
    """Where reasons not to fork are kept over a restart: revision key → reason."""

    def load(self) -> Mapping[str, str]: ...

    def save(self, reasons: Mapping[str, str]) -> None: ...


class Starts:
    """Kept while a revision is deployed: also when it sleeps, so that its state can tell."""

    def __init__(self, kept: Unfit | None = None) -> None:
        self._kept = kept
        self._checked: dict[str, tuple[str, Verdict]] = {}  # revision key → (function, what its check found)
        self._latest: dict[str, tuple[str, Start]] = {}  # revision key → (function, start)
        self._unfit: dict[str, str] = {} if kept is None else dict(kept.load())

    def note(self, revision: Revision, start: Start) -> None:
        self._latest.pop(revision.key, None)
        self._latest[revision.key] = (revision.name, start)  # the latest is the last

    def of(self, function: str) -> Start | None:
        """The latest start of any revision of this function; None when there was none."""
        return next((start for name, start in reversed(self._latest.values()) if name == function), None)

    def unfit(self, revision: Revision) -> str:
        """Why this revision must not be forked; empty when it may be."""
        return self._unfit.get(revision.key, "")

    def declare_unfit(self, revision: Revision, reason: str) -> None:
        self._unfit[revision.key] = reason
        self._keep()

    def acquit(self, revision: Revision) -> None:
        """It was not the fork's fault."""
        if self._unfit.pop(revision.key, None) is not None:
            self._keep()

    def checked(self, revision: Revision, found: Verdict) -> None:
        """What the deployment check of a revision found."""
        self._checked[revision.key] = (revision.name, found)
        if found.unfit:
            self.declare_unfit(revision, found.unfit)
            self.note(revision, Start(Depth.SPAWN, found.unfit))

    def check_of(self, function: str) -> Verdict | None:
        """What the latest check of this function found; None when there was none since the server came up."""
        return next((found for name, found in reversed(self._checked.values()) if name == function), None)

    def _keep(self) -> None:
        if self._kept is not None:
            self._kept.save(dict(self._unfit))

    def forget(self, key: str) -> None:
        self._latest.pop(key, None)
        self._checked.pop(key, None)
        if self._unfit.pop(key, None) is not None:
            self._keep()
