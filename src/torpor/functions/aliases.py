"""Aliases: names for versions. Moving one is how a new version goes live, and how it is rolled back."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from torpor.core.arn import LATEST
from torpor.core.attached import Alias
from torpor.core.errors import Conflict, InvalidValue, PreconditionFailed, ResourceNotFound
from torpor.functions.catalog import Catalog

_NAME = re.compile(r"(?!\d+\Z)[a-zA-Z0-9_-]{1,128}")
_MOST_WEIGHTS = 1


@dataclass(frozen=True, slots=True)
class AliasPage:
    """Some aliases in order of their names, and the name to go on after: None on the last page."""

    aliases: tuple[Alias, ...]
    next: str | None


class Aliases:
    """Makes, moves, lists and removes aliases."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def get(self, function: str, name: str) -> Alias:
        """The alias. Raises FunctionNotFound, and ResourceNotFound without the alias."""
        self._catalog.get(function)
        alias = self._catalog.alias(function, name)
        if alias is None:
            raise ResourceNotFound(f"Cannot find alias arn: {self._catalog.home.function_arn(function, name)}")
        return alias

    def list(
        self, function: str, *, version: str | None = None, after: str | None = None, limit: int = 50
    ) -> AliasPage:
        """Up to `limit` aliases, of all versions or those that lead to one. Raises FunctionNotFound."""
        self._catalog.get(function)
        found = [
            alias
            for name, alias in self._catalog.aliases.of(function).items()
            if (after is None or name > after) and (version is None or version in alias.versions)
        ]
        page = tuple(found[:limit])
        return AliasPage(page, page[-1].name if len(found) > limit else None)

    async def create(
        self,
        function: str,
        name: str,
        version: str,
        *,
        description: str = "",
        weights: Mapping[str, float] | None = None,
    ) -> Alias:
        """Name a version. Raises FunctionNotFound, Conflict where the name is taken, and InvalidValue."""
        alias = Alias(
            function=function,
            name=name,
            version=version,
            description=description,
            weights=dict(weights or {}),
            revision_id=str(uuid.uuid4()),
        )
        arn = self._catalog.home.function_arn(function, name)

        def check() -> None:
            self._check(alias)
            if self._catalog.alias(function, name) is not None:
                raise Conflict(f"Alias already exists: {arn}")

        await self._catalog.aliases.save(function, name, alias, check=check)
        return alias

    async def update(
        self,
        function: str,
        name: str,
        *,
        version: str | None = None,
        description: str | None = None,
        weights: Mapping[str, float] | None = None,
        revision_id: str | None = None,
    ) -> Alias:
        """Change what is given. Raises ResourceNotFound, PreconditionFailed, InvalidValue and FunctionNotFound."""
        while True:
            old = self.get(function, name)
            if revision_id is not None and revision_id != old.revision_id:
                raise PreconditionFailed(
                    "The Revision Id provided does not match the latest Revision Id. Call the GetAlias API to "
                    "retrieve the latest Revision Id"
                )
            new = old.evolve(
                version=version or old.version,
                description=old.description if description is None else description,
                weights=old.weights if weights is None else dict(weights),
                revision_id=str(uuid.uuid4()),
            )
            try:
                await self._replace(old, new)
            except _Changed:
                continue  # somebody moved it meanwhile: look again
            return new

    async def put(self, function: str, name: str, version: str, weights: Mapping[str, float] | None = None) -> Alias:
        """Make the alias, or move it. Raises FunctionNotFound and InvalidValue."""
        if self._catalog.alias(function, name) is None:
            return await self.create(function, name, version, weights=weights)
        return await self.update(function, name, version=version, weights=weights or {})

    async def delete(self, function: str, name: str) -> bool:
        """Remove the alias with what was set for it; returns whether there was one. Raises FunctionNotFound."""
        self._catalog.get(function)
        existed = self._catalog.alias(function, name) is not None
        catalog = self._catalog
        for attached in (catalog.urls, catalog.policies, catalog.event_invokes, catalog.provisions):
            if attached.get(function, name) is not None:
                await attached.remove(function, name, check=_nothing)
        await self._catalog.aliases.remove(function, name, check=_nothing)
        return existed

    async def _replace(self, old: Alias, new: Alias) -> None:
        def check() -> None:
            if self._catalog.alias(old.function, old.name) is not old:
                raise _Changed
            self._check(new)

        await self._catalog.aliases.save(new.function, new.name, new, check=check)

    def _check(self, alias: Alias) -> None:
        if _NAME.fullmatch(alias.name) is None:
            raise InvalidValue(f"{alias.name!r} is not an alias's name: letters, digits, - and _, and not a number.")
        self._catalog.get(alias.function)
        self._require_version(alias.function, alias.version)
        if len(alias.weights) > _MOST_WEIGHTS:
            raise InvalidValue("Number of items in AdditionalVersionWeights cannot be greater than 1")
        if LATEST in alias.versions and self._catalog.provisions.get(alias.function, alias.name) is not None:
            raise InvalidValue(
                "$LATEST can have no provisioned concurrency, which this alias has: delete that first, or publish a "
                "version."
            )
        for version, weight in alias.weights.items():
            _check_weight(alias, version, weight)
            self._require_version(alias.function, version)

    def _require_version(self, function: str, version: str) -> None:
        if self._catalog.alias(function, version) is not None:
            raise InvalidValue(f"{version!r} is an alias: name a version by its number, or $LATEST.")
        self._catalog.get(function, version)


class _Changed(Exception):
    """Somebody else changed the alias meanwhile."""


def _nothing() -> None:
    """What belongs to an alias may go at any time."""


def _check_weight(alias: Alias, version: str, weight: float) -> None:
    if not 0.0 <= weight <= 1.0:
        raise InvalidValue(f"The weight of version {version} is {weight}: it must be between 0.0 and 1.0.")
    if version == alias.version:
        raise InvalidValue(
            f"Invalid function version {version}. Function version {version} is already included in routing "
            "configuration."
        )
    if LATEST in (alias.version, version):
        raise InvalidValue("$LATEST is not supported for an alias pointing to more than 1 version")
