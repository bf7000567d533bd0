"""What our own interface offers of the use cases, as narrow contracts, and the facts of the running server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torpor.core.function import Bundle, Function, FunctionConfig, FunctionUrl
from torpor.gateway.keys import AccessKeys
from torpor.gateway.layers import Layers
from torpor.gateway.stacks import Stacks
from torpor.gateway.vault import Secrets
from torpor.store.log_files import LogLine


class Page(Protocol):
    """Some functions, and the name to go on after."""

    @property
    def functions(self) -> tuple[Function, ...]: ...

    @property
    def next(self) -> str | None: ...


class Catalog(Protocol):
    def __len__(self) -> int: ...

    def get(self, name: str, qualifier: str | None = None) -> Function: ...

    def find(self, name: str) -> object | None: ...

    def list(self, after: str | None = None, limit: int = 50) -> Page: ...

    def url(self, name: str, qualifier: str | None = None) -> FunctionUrl | None: ...


class Deployer(Protocol):
    async def put(self, config: FunctionConfig, archive: bytes | Path) -> Function: ...

    async def delete(self, name: str) -> None: ...

    async def wait_settled(self, name: str, timeout_s: float | None = None, *, checked: bool = True) -> Function: ...


class Urls(Protocol):
    async def put(self, name: str, *, auth: str, invoke_mode: str | None = None) -> FunctionUrl:
        """Open the function's URL, or change who may call it, and how it answers. Raises FunctionNotFound."""
        ...

    async def delete(self, name: str) -> None: ...


class Concurrency(Protocol):
    """Reserved concurrency; None: nothing is reserved."""

    def get(self, name: str) -> int | None: ...

    def check(self, name: str, concurrency: int) -> None:
        """Raise InvalidValue when the others would be left too little."""
        ...

    async def put(self, name: str, concurrency: int) -> int: ...


class Report(Protocol):
    def as_json(self) -> dict[str, Any]: ...


class Accounting(Protocol):
    async def usage(self, since: float = 0.0, function: str | None = None) -> Report: ...


class Collector(Protocol):
    async def gc(self) -> Report: ...


class LogReader(Protocol):
    async def read(self, function: str, *, since_ms: int, request_id: str | None, limit: int) -> list[LogLine]: ...

    def follow(self, function: str, *, since_ms: int, request_id: str | None, limit: int) -> AsyncIterator[LogLine]: ...


@dataclass(frozen=True, slots=True)
class Instances:
    """How many of a function's instances wait and work, how the latest began and why so, what its check found."""

    idle: int = 0
    busy: int = 0
    start: Mapping[str, str] | None = None
    check: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCases:
    """Everything that `/_torpor/…` does. `instances` counts those of NAME or NAME:VERSION, or with None all."""

    catalog: Catalog
    deployer: Deployer
    urls: Urls
    concurrency: Concurrency
    accounting: Accounting
    collector: Collector
    logs: LogReader
    keys: AccessKeys
    secrets: Secrets
    stacks: Stacks
    layers: Layers
    instances: Callable[[str | None], Instances]
    archive: Callable[[Bundle], Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What does not change while the server runs. `url` is where clients reach it."""

    version: str
    url: str
    data: str
    auth: str
    region: str
    account: str
    pid: int

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}
