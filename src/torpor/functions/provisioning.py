"""Provisioned concurrency: versions and aliases whose instances are initialised before anybody calls.

A configuration is stored for a version or an alias; what each version is to have follows from all of a function's, and
is told to the node whenever one of them, an alias, or what a version runs changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import structlog

from torpor.core.arn import LATEST, FunctionRef
from torpor.core.attached import Provision
from torpor.core.errors import Conflict, InvalidValue, ProvisionNotFound, ResourceNotFound, TorporError
from torpor.core.function import Revision, State
from torpor.functions.catalog import Catalog
from torpor.functions.ports import Provider
from torpor.functions.revisions import Revisions
from torpor.policy import provision, reserve
from torpor.policy.provision import Standing, Supply

_log = structlog.get_logger(__name__)
_UNPUBLISHED = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."


@dataclass(frozen=True, slots=True)
class ProvisionPage:
    """Some configurations by qualifier with how it stands with them, and the one to go on after: None on the last."""

    configs: Mapping[str, tuple[Provision, Standing]]
    next: str | None


class Provisioning:
    """Stores configurations, and has the node keep what they ask for. `limit` is the overall concurrency."""

    def __init__(self, catalog: Catalog, revisions: Revisions, node: Provider, limit: int) -> None:
        self._catalog = catalog
        self._revisions = revisions
        self._node = node
        self._limit = limit
        self._kept: dict[str, dict[str, Revision]] = {}  # by name and version, what the node was told to keep
        self._settling: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._closed = False
        catalog.watch(self._changed)

    def restore(self) -> None:
        """Have what was configured before the server came up."""
        for name in self._catalog.provisions.names():
            self._changed(name)

    async def close(self) -> None:
        """Begin no more."""
        self._closed = True
        for task in self._settling.values():
            task.cancel()
        while self._settling:
            await asyncio.wait(self._settling.values())

    @property
    def settling(self) -> bool:
        """Whether there is something that the node was not told yet."""
        return bool(self._settling)

    def get(self, ref: FunctionRef) -> tuple[Provision, Standing]:
        """Raises FunctionNotFound, ResourceNotFound, InvalidValue, and ProvisionNotFound where nothing is set."""
        key = self._key(ref, "The function resource provided must be an alias or a published version.")
        config = self._catalog.provisions.get(ref.name, key)
        if config is None:
            raise ProvisionNotFound("No Provisioned Concurrency Config found for this function")
        return config, self._standings(ref.name)[key]

    def list(self, name: str, after: str | None = None, limit: int = 50) -> ProvisionPage:
        """Those of a function's versions and aliases. Raises FunctionNotFound."""
        self._catalog.get(name)
        configs, standings = self._catalog.provisions.of(name), self._standings(name)
        found = [key for key in configs if after is None or key > after]
        page = found[:limit]
        return ProvisionPage(
            {key: (configs[key], standings[key]) for key in page}, page[-1] if len(found) > limit else None
        )

    async def put(self, ref: FunctionRef, executions: int) -> tuple[Provision, Standing]:
        """Keep so many. Raises FunctionNotFound, ResourceNotFound, Conflict and InvalidValue."""
        key = self._key(ref, _UNPUBLISHED)
        config = Provision(executions=executions)
        await self._catalog.provisions.save(ref.name, key, config, check=lambda: self._check(ref, key, executions))
        return config, self._standings(ref.name)[key]

    async def delete(self, ref: FunctionRef) -> None:
        """Raises FunctionNotFound, ResourceNotFound and InvalidValue; what is not there is no error, as on AWS."""
        key = self._key(ref, _UNPUBLISHED)
        await self._catalog.provisions.remove(ref.name, key, check=lambda: self._key(ref, _UNPUBLISHED))

    def _key(self, ref: FunctionRef, refusal: str) -> str:
        self._catalog.get(ref.name)
        if ref.qualifier in (None, LATEST):
            raise InvalidValue(refusal)
        assert ref.qualifier is not None
        if not ref.qualifier.isdigit() and self._catalog.alias(ref.name, ref.qualifier) is None:
            arn = self._catalog.home.function_arn(ref.name, ref.qualifier)
            raise ResourceNotFound(f"Cannot find alias arn: {arn}")
        self._catalog.get(ref.name, ref.qualifier)
        return ref.qualifier

    def _check(self, ref: FunctionRef, key: str, executions: int) -> None:
        self._key(ref, _UNPUBLISHED)
        versions, configs = self._shares(ref.name, key), self._catalog.provisions.of(ref.name)
        if LATEST in versions:
            raise InvalidValue(_UNPUBLISHED)
        if any(self._catalog.get(ref.name, version).config.snap_start for version in versions):
            raise InvalidValue("Provisioned Concurrency is not supported for functions enabled with SnapStart.")
        for other in configs:
            if other != key and set(self._shares(ref.name, other)) & set(versions):
                raise Conflict(
                    "Version is pointed by a Provisioned Concurrency alias"
                    if key.isdigit()
                    else "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned "
                    "version"
                )
        others = sum(config.executions for other, config in configs.items() if other != key)
        self._check_sum(ref.name, others + executions)

    def _check_sum(self, name: str, total: int) -> None:
        """Whether all of a function's together have room."""
        reserved = self._catalog.reserved(name)
        if reserved is not None:
            if total > reserved:
                raise InvalidValue(
                    "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for "
                    "function"
                )
            return
        others = sum(count for other, count in claims(self._catalog).items() if other != name)
        if total > self._limit - others:
            raise InvalidValue(
                "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency "
                f"[{self._limit - others}]."
            )
        if total > reserve.reservable(self._limit, others):
            raise InvalidValue(
                "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below "
                f"its minimum value of [{reserve.least_unreserved(self._limit)}]."
            )

    def _shares(self, name: str, key: str) -> provision.Shares:
        """The versions that a qualifier leads to, with their shares."""
        alias = self._catalog.alias(name, key)
        if alias is None:
            return {key: 1.0}
        return {**alias.weights, alias.version: 1.0 - sum(alias.weights.values())}

    def _wanted(self, name: str) -> tuple[dict[str, int], dict[str, provision.Shares]]:
        requested = {key: config.executions for key, config in self._catalog.provisions.of(name).items()}
        return requested, {key: self._shares(name, key) for key in requested}

    def _standings(self, name: str) -> dict[str, Standing]:
        requested, shares = self._wanted(name)
        versions = {version for of in shares.values() for version in of}
        return provision.standings(requested, shares, {version: self._supply(name, version) for version in versions})

    def _supply(self, name: str, version: str) -> Supply:
        record = self._catalog.resolve(name, version)
        if record is not None and record.function.state is State.FAILED:
            return Supply(reason=record.function.state_reason)
        kept = self._kept.get(name, {}).get(version)
        return Supply() if kept is None else self._node.supply(kept.key)

    # ── having it ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _changed(self, name: str) -> None:
        if self._closed or not (name in self._kept or self._catalog.provisions.of(name)):
            return
        if name in self._settling:
            self._again.add(name)
            return
        task = asyncio.get_running_loop().create_task(self._settle(name), name=f"provision-{name}")
        self._settling[name] = task
        task.add_done_callback(lambda done: self._settled(name, done))

    def _settled(self, name: str, task: asyncio.Task[None]) -> None:
        del self._settling[name]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("nothing is provisioned", action="provision.failed", function=name, exc_info=error)
        if name in self._again:
            self._again.discard(name)
            self._changed(name)

    async def _settle(self, name: str) -> None:
        requested, shares = self._wanted(name)
        wanted = provision.targets(requested, shares)
        kept = self._kept.setdefault(name, {})
        for version in [version for version in kept if version not in wanted]:
            self._node.provision(kept.pop(version), 0)
        for version, executions in wanted.items():
            revision = await self._revision(name, version)
            if revision is not None:
                kept[version] = revision
                self._node.provision(revision, executions)
        if not kept:
            del self._kept[name]

    async def _revision(self, name: str, version: str) -> Revision | None:
        """What a version runs; None while it is being built."""
        record = self._catalog.resolve(name, version)
        if record is None or record.serving is None:
            return None
        try:
            return self._revisions.made(record) or await self._revisions.make(record, record.serving)
        except TorporError as error:
            _log.warning("nothing is provisioned", action="provision.refused", function=name, reason=error.message)
            return None


def claims(catalog: Catalog) -> dict[str, int]:
    """What functions take from the overall concurrency for themselves: what they reserved, or else provisioned."""
    provisioned = {name: total(catalog, name) for name in catalog.provisions.names()}
    return provisioned | dict(catalog.reservations())


def total(catalog: Catalog, name: str) -> int:
    """All that is provisioned of a function."""
    return sum(config.executions for config in catalog.provisions.of(name).values())
