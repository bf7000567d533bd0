"""Collect garbage: bundles, environments and logs that no function refers to, and that nothing still runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from torpor.core.errors import Conflict
from torpor.core.function import FunctionConfig
from torpor.functions.catalog import Catalog
from torpor.functions.deploy import Deployer
from torpor.functions.gate import Gate
from torpor.functions.ports import CodeStore, EnvironmentStore, Freed, LayerStore, Logs

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Collected:
    """What was removed. `logs` counts those of deleted functions whose last lines came late."""

    bundles: Freed
    layers: Freed
    environments: Freed
    cache: Freed
    logs: int

    def as_json(self) -> dict[str, Any]:
        parts = {"bundles": self.bundles, "layers": self.layers, "environments": self.environments, "cache": self.cache}
        plain: dict[str, Any] = {name: {"count": part.count, "bytes": part.bytes} for name, part in parts.items()}
        return plain | {"logs": self.logs, "bytes_freed": sum(part.bytes for part in parts.values())}


@dataclass(frozen=True, slots=True)
class CodeStores:
    """Where code is kept. `published` gives the digests of the layers that can be asked for, once all are written."""

    bundles: CodeStore
    layers: LayerStore
    published: Callable[[], Awaitable[set[str]]]


class KeepsLogs(Protocol):
    """Knows of logs that are no function's own, and stay."""

    def kept(self) -> set[str]: ...


class Collector:
    """Works beside deployments: running builds are waited for, new ones wait for the moment it takes."""

    def __init__(
        self,
        catalog: Catalog,
        deployer: Deployer,
        *,
        code: CodeStores,
        environments: EnvironmentStore,
        logs: Logs,
        groups: KeepsLogs | None = None,
        wait_s: float = 60.0,
    ) -> None:
        self._catalog = catalog
        self._deployer = deployer
        self._code = code
        self._environments = environments
        self._logs = logs
        self._groups = groups
        self._wait_s = wait_s
        self._running: asyncio.Task[Collected] | None = None

    async def gc(self) -> Collected:
        """Remove what nothing refers to. Raises Conflict when uploads or builds do not end in time."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._collect())
            self._running.add_done_callback(_look)
        # Shielded: a sweep in its thread goes on in any case, and must keep its gate shut until its end.
        return await asyncio.shield(self._running)

    async def close(self) -> None:
        """Wait for a collection that is going on."""
        if self._running is not None:
            await asyncio.wait({self._running})

    async def _collect(self) -> Collected:
        async with self._alone(self._deployer.code_gate, "code is being uploaded"):
            published = await self._code.published()
            bundles = await asyncio.to_thread(self._code.bundles.sweep, self._code_in_use() | published)
            layers = await asyncio.to_thread(
                self._code.layers.sweep, [(one.layers, one.runtime) for one in self._configs()]
            )
            names = {record.name for record in self._catalog.records()}
            names |= self._groups.kept() if self._groups is not None else set()
            logs = await asyncio.to_thread(self._logs.sweep, names)
        async with self._alone(self._deployer.environment_gate, "an environment is being built"):
            environments = await asyncio.to_thread(self._environments.sweep, self._environments_in_use())
            # Environments are hard links into the cache of wheels: only when both are gone is their room free.
            cache = await self._environments.prune_cache()
        collected = Collected(bundles, layers, environments, cache, logs)
        _log.info("garbage collected", action="gc.done", **collected.as_json())
        return collected

    @asynccontextmanager
    async def _alone(self, gate: Gate, reason: str) -> AsyncIterator[None]:
        try:
            async with gate.alone(self._wait_s):
                await self._catalog.wait_written()  # of callers that were cancelled, and so left the gate
                yield
        except TimeoutError as error:
            raise Conflict(f"Nothing was collected, since {reason}. Try again when it is done.") from error

    def _code_in_use(self) -> set[str]:
        digests = {serving.bundle.digest for serving in self._deployer.retired()}
        for record in self._catalog.records():
            digests.add(record.function.bundle.digest)
            if record.serving is not None:
                digests.add(record.serving.bundle.digest)
        digests.update(layer.digest for config in self._configs() for layer in config.layers)
        return digests

    def _configs(self) -> Iterator[FunctionConfig]:
        """Every configuration that may be run."""
        for serving in self._deployer.retired():
            yield serving.config
        for record in self._catalog.records():
            yield record.function.config
            if record.serving is not None:
                yield record.serving.config

    def _environments_in_use(self) -> set[str]:
        digests = {serving.environment.digest for serving in self._deployer.retired()}
        for record in self._catalog.records():
            if record.function.environment is not None:
                digests.add(record.function.environment.digest)
            if record.serving is not None:
                digests.add(record.serving.environment.digest)
        return digests


def _look(task: asyncio.Task[Collected]) -> None:
    if not task.cancelled():
        task.exception()  # who asked may have gone: then nobody else looks
