"""What the use cases need from the packages underneath, as narrow contracts that a fake can keep too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Protocol

from torpor.core.function import Bundle, Environment, FunctionLayer, Revision
from torpor.core.invocation import Invocation, Outcome, Streamed, Usage
from torpor.policy.check import Verdict
from torpor.policy.provision import Supply
from torpor.store.function_table import FunctionRecord
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

    async def unpacked_size(self, bundle: Bundle) -> int: ...

    def sweep(self, keep: set[str]) -> Freed: ...


class LayerStore(Protocol):
    """The folders that functions see at /opt. `sweep` blocks; it is called while no code is being deployed."""

    async def prepare(self, layers: Sequence[FunctionLayer], runtime: str) -> Path | None: ...

    async def folder(self, layers: Sequence[FunctionLayer], runtime: str) -> Path | None: ...

    def sweep(self, keep: Sequence[tuple[Sequence[FunctionLayer], str]]) -> Freed: ...


class EnvironmentStore(Protocol):
    """Environments by digest. `sweep` blocks; it is called while nothing is between `ensure` and the catalog."""

    async def ensure(
        self, code_dir: Path, *, runtime: str, source_builds: bool, more: tuple[str, ...] = ()
    ) -> Environment: ...

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

    async def stream(
        self, revision: Revision, invocation: Invocation, ended: Callable[[Outcome], None]
    ) -> Streamed: ...

    async def retire(self, revision_key: str) -> None: ...

    async def snapshot(self, revision: Revision) -> str:
        """Initialise it once, for its instances to be forked from; empty, or why they cannot be."""
        ...

    def running(self) -> frozenset[str]:
        """Keys of the revisions that have instances or waiting invocations, retired ones included."""
        ...

    def reserve(self, function: str, concurrency: int | None) -> None:
        """Let this function have so many invocations at a time, and never more; None: it shares with the others."""
        ...


class Provider(Protocol):
    """The node, for provisioned concurrency."""

    def provision(self, revision: Revision, executions: int) -> None:
        """Keep initialised instances of it for so many invocations at a time; 0: none."""
        ...

    def supply(self, revision_key: str) -> Supply:
        """What there is of what it is to keep."""
        ...


class CheckRunner(Protocol):
    """The node, for deployment checks."""

    async def check(self, revision: Revision) -> Verdict:
        """Initialise it without a call; what is found is remembered for its starts."""
        ...

    def check_of(self, function: str) -> Verdict | None: ...


class Preparer(Protocol):
    """The node, for zygotes to be had before anybody calls."""

    async def prepare(self, environment: Environment) -> str:
        """Have one for this environment; empty, or why there is none."""
        ...


class Checks(Protocol):
    """Checks of what was deployed, in the background; told apart by name and version."""

    def begin(self, record: FunctionRecord) -> None: ...

    def cancel(self, key: tuple[str, str]) -> None: ...

    async def wait(self, key: tuple[str, str], timeout_s: float | None) -> None:
        """Until nothing of this function is being checked, or the time is up."""
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
