"""How the latest instance of each revision began, and which revisions are not to be forked, with the reason."""

from __future__ import annotations

from dataclasses import dataclass

from torpor.core.function import Revision
from torpor.core.invocation import Depth


@dataclass(frozen=True, slots=True)
class Start:
    """`reason` says why it was not forked from a zygote; empty when it was, or where that was not wanted."""

    depth: Depth
    reason: str = ""


class Starts:
    """Kept while a revision is deployed: also when it sleeps, so that its state can tell."""

    def __init__(self) -> None:
        self._latest: dict[str, tuple[str, Start]] = {}  # revision key → (function, start)
        self._unfit: dict[str, str] = {}

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

    def acquit(self, revision: Revision) -> None:
        """It was not the fork's fault."""
        self._unfit.pop(revision.key, None)

    def forget(self, key: str) -> None:
        self._latest.pop(key, None)
        self._unfit.pop(key, None)
