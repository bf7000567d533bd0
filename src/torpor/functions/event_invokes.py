"""How asynchronous invocations of a function, version or alias are tried again, and where their results go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from torpor.core.arn import LATEST, FunctionRef
from torpor.core.attached import EventInvoke
from torpor.core.errors import InvalidValue, ResourceNotFound
from torpor.functions.catalog import Catalog


@dataclass(frozen=True, slots=True)
class EventInvokePage:
    """Some configurations by qualifier, and the one to go on after: None on the last page."""

    configs: Mapping[str, EventInvoke]
    next: str | None


class EventInvokes:
    """Stores, changes, lists and removes configurations; without a qualifier that of `$LATEST`."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def get(self, ref: FunctionRef) -> EventInvoke:
        """The configuration. Raises FunctionNotFound, and ResourceNotFound where there is none."""
        self._catalog.get(ref.name, ref.qualifier)
        config = self._catalog.event_invokes.get(ref.name, key_of(ref))
        if config is None:
            arn = self._catalog.home.function_arn(ref.name, key_of(ref))
            raise ResourceNotFound(f"The function {arn} doesn't have an EventInvokeConfig")
        return config

    async def put(self, ref: FunctionRef, changes: Mapping[str, Any]) -> EventInvoke:
        """Store a configuration in place of the old one. Raises FunctionNotFound and InvalidValue."""
        return await self._save(ref, EventInvoke(), changes)

    async def update(self, ref: FunctionRef, changes: Mapping[str, Any]) -> EventInvoke:
        """Change what is given. Raises FunctionNotFound, ResourceNotFound and InvalidValue."""
        return await self._save(ref, self.get(ref), changes)

    async def delete(self, ref: FunctionRef) -> None:
        """Raises FunctionNotFound and ResourceNotFound."""
        await self._catalog.event_invokes.remove(ref.name, key_of(ref), check=lambda: self.get(ref))

    def list(self, name: str, after: str | None = None, limit: int = 50) -> EventInvokePage:
        """Those of a function, its versions and aliases. Raises FunctionNotFound."""
        self._catalog.get(name)
        configs = self._catalog.event_invokes.of(name)
        found = [key for key in configs if after is None or key > after]
        page = found[:limit]
        return EventInvokePage({key: configs[key] for key in page}, page[-1] if len(found) > limit else None)

    async def _save(self, ref: FunctionRef, old: EventInvoke, changes: Mapping[str, Any]) -> EventInvoke:
        if not changes:
            raise InvalidValue("You must specify at least one of error handling or destination setting.")
        config = replace(old, modified=datetime.now(UTC), **changes)
        await self._catalog.event_invokes.save(
            ref.name, key_of(ref), config, check=lambda: self._catalog.get(ref.name, ref.qualifier)
        )
        return config


def key_of(ref: FunctionRef) -> str:
    """The qualifier that a configuration is kept under."""
    return ref.qualifier or LATEST
