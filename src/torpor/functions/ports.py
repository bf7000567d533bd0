"""What the use cases need from the packages underneath, as narrow contracts that a fake can keep too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Protocol

from torpor.core.function import Bundle, Environment, Revision
from torpor.core.invocation import Invocation, Outcome, Usage
from torpor.store.log_files import LogLine
from torpor.store.usage_totals import Totals


class Freed(Protocol):
    """What a sweep removed."""

    @property
    def count(self) -> int: ...

    @property
    def bytes(self) -> int: ...


class CodeStore(Protocol):
    """Bundles by digest. `sweep` blocks; it is called while nothing is between `add` and the catalog."""

    async def add(self, archive: bytes | Path) -> Bundle: ...

    async def extract(self, bundle: Bundle) -> Path: ...

    def sweep(self, keep: set[str]) -> Freed: ...


class EnvironmentStore(Protocol):
    """Environments by digest. `sweep` blocks; it is called while nothing is between `ensure` and the catalog."""

    async def ensure(self, code_dir: Path, *, runtime: str, source_builds: bool) -> Environment: ...

    def sweep(self, keep: set[str]) -> Freed: ...

    async def prune_cache(self) -> Freed: ...


class Begun(Protocol):
    """An invocation under way. `leave`: the caller does not want to know any more."""

    def leave(self) -> None: ...


class Runner(Protocol):
    """What runs revisions: the node. A key that was retired may be invoked again, after a roll-back."""

    async def invoke(self, revision: Revision, invocation: Invocation) -> Outcome: ...

    def begin(
        self, revision: Revision, invocation: Invocation, done: Callable[[Outcome | Exception], None]
    ) -> Begun: ...

    async def retire(self, revision_key: str) -> None: ...

    def running(self) -> frozenset[str]:
        """Keys of the revisions that have instances or waiting invocations, retired ones included."""
        ...

    def reserve(self, function: str, concurrency: int | None) -> None:
        """Let this function have so many invocations at a time, and never more; None: it shares with the others."""
        ...


class UsageBook(Protocol):
    """The ledger. `record` returns at once; `summary` blocks on the database."""

    def record(self, usage: Usage) -> None: ...

    def summary(self, since: float, function: str | None) -> dict[str, Totals]: ...


class Logs(Protocol):
    """The functions' logs."""

    async def read(self, function: str, *, since_ms: int, request_id: str | None, limit: int) -> list[LogLine]: ...

    def follow(self, function: str, *, since_ms: int, request_id: str | None, limit: int) -> AsyncIterator[LogLine]: ...

    async def delete(self, function: str) -> None: ...

    def sweep(self, keep: set[str]) -> int: ...
