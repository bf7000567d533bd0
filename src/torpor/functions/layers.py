"""Publish layers, find them, and say which a function uses. A deleted version goes on to serve its functions."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torpor.core.arn import Home
from torpor.core.errors import Conflict, InvalidBundle, InvalidValue, PreconditionFailed, ResourceNotFound
from torpor.core.function import FunctionLayer
from torpor.core.layer import LayerVersion
from torpor.core.limits import MIB, Limits
from torpor.functions.changes import Changes
from torpor.functions.gate import Gate
from torpor.functions.ports import CodeStore
from torpor.store.database import Database
from torpor.store.layer_table import LayerTable

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_VERSION_ARN = re.compile(
    r"arn:aws[a-zA-Z-]*:lambda:(?P<region>[a-z0-9-]+):(?P<account>\d{12}):layer:(?P<name>[a-zA-Z0-9_-]+):(?P<version>\d{1,18})"
)
_SHORT = re.compile(r"(?P<name>[a-zA-Z0-9_-]+)(?::(?P<version>\d{1,18}))?")


@dataclass(frozen=True, slots=True)
class Policy:
    """A layer version's policy as JSON, and the revision to change it at."""

    text: str
    revision: str


class Layers:
    """Reading never waits; a change is on the disk before it is seen."""

    def __init__(
        self,
        database: Database,
        bundles: CodeStore,
        code_gate: Gate,
        *,
        home: Home,
        limits: Limits,
        stored: tuple[Iterable[LayerVersion], Mapping[str, int]] = ((), {}),
    ) -> None:
        self._table = LayerTable(database)
        self._bundles = bundles
        self._gate = code_gate  # shared between a bundle's `add` and this
        self._home = home
        self._limits = limits
        self._versions = {(one.name, one.version): one for one in stored[0]}
        self._last = dict(stored[1])
        self._changes = Changes()

    @classmethod
    async def open(
        cls, database: Database, bundles: CodeStore, code_gate: Gate, *, home: Home, limits: Limits
    ) -> Layers:
        """Read everything that is stored."""
        stored = await asyncio.to_thread(LayerTable(database).read_all)
        return cls(database, bundles, code_gate, home=home, limits=limits, stored=stored)

    async def wait_written(self) -> None:
        """Wait for the changes that are being written, whose callers may have gone."""
        await self._changes.wait_written()

    def get(self, name: str, version: int) -> LayerVersion:
        """Raises ResourceNotFound."""
        found = self._versions.get((name, version))
        if found is None:
            raise ResourceNotFound("The resource you requested does not exist.")
        return found

    def versions(self, name: str) -> tuple[LayerVersion, ...]:
        """Those of one layer, the newest first."""
        mine = [one for one in self._versions.values() if one.name == name]
        return tuple(sorted(mine, key=lambda one: -one.version))

    def all(self) -> tuple[LayerVersion, ...]:
        """Every version, in the order of names, the newest of each first."""
        return tuple(sorted(self._versions.values(), key=lambda one: (one.name, -one.version)))

    async def publish(self, name: str, archive: bytes | Path, **about: Any) -> LayerVersion:
        """Store a new version, numbered one higher than any before. Raises InvalidValue, InvalidBundle."""
        if _NAME.fullmatch(name) is None:
            raise InvalidValue(f"'{name[:100]}' cannot name a layer: letters, digits, - and _, 64 at most.")
        async with self._gate.shared():
            bundle = await self._bundles.add(archive)
            unpacked = await self._bundles.unpacked_size(bundle)
            if unpacked > self._limits.layers_unpacked:
                raise InvalidBundle(
                    f"Unzipped size must be smaller than {self._limits.layers_unpacked} bytes, and is {unpacked}. "
                    "Name large libraries in the function's requirements.txt: they are not bounded so."
                )

            def prepare() -> LayerVersion:
                number = self._last.get(name, 0) + 1
                return LayerVersion(name=name, version=number, bundle=bundle, unpacked=unpacked, **about)

            return await self._changes.replace(prepare, self._table.put, self._put)

    async def delete(self, name: str, version: int) -> None:
        """Remove a version; what is not there is removed already."""
        if (name, version) not in self._versions:
            return

        def prepare() -> LayerVersion:
            return self.get(name, version)

        await self._changes.replace(
            prepare, self._table.delete, lambda gone: self._versions.pop((gone.name, gone.version))
        )

    def resolve(self, wanted: Sequence[str]) -> tuple[FunctionLayer, ...]:
        """The layers that a function shall use: ARNs of versions, NAME:VERSION, or NAME for the newest.

        Raises InvalidValue, in Lambda's words where it has any.
        """
        if len(wanted) > self._limits.layers:
            raise InvalidValue(f"Cannot reference more than {self._limits.layers} layers.")
        versions = [self._named(text) for text in wanted]
        arns: dict[str, str] = {}
        for one in versions:
            arn = self._home.layer_arn(one.name, one.version)
            if one.name in arns:
                raise InvalidValue(
                    "Two different versions of the same layer are not allowed to be referenced in the same function. "
                    f"{arns[one.name]} and {arn} are versions of the same layer."
                )
            arns[one.name] = arn
        unpacked = sum(one.unpacked for one in versions)
        if unpacked > self._limits.layers_unpacked:
            raise InvalidValue(
                f"The layers unpack to {unpacked // MIB} MB together, more than the "
                f"{self._limits.layers_unpacked // MIB} MB allowed: name large libraries in requirements.txt instead."
            )
        return tuple(
            FunctionLayer(arn=arns[one.name], digest=one.bundle.digest, size=one.bundle.size, unpacked=one.unpacked)
            for one in versions
        )

    async def in_use(self) -> set[str]:
        """Digests of all versions that are there, those included whose publishers have gone meanwhile."""
        await self.wait_written()
        return {one.bundle.digest for one in self._versions.values()}

    # Policies: kept and told, and without effect, since there is one account here.

    def policy(self, name: str, version: int) -> Policy:
        """Raises ResourceNotFound, also where there is none."""
        found = self.get(name, version)
        if not found.statements:
            raise ResourceNotFound("No policy is associated with the given resource.")
        return Policy(_policy(found), found.policy_revision)

    async def allow(
        self, name: str, version: int, statement_id: str, statement: Mapping[str, Any], revision: str | None = None
    ) -> LayerVersion:
        """Add a statement to the version's policy. Raises Conflict, PreconditionFailed, ResourceNotFound."""

        def prepare() -> LayerVersion:
            found = self._at(name, version, revision)
            if statement_id in found.statements:
                raise Conflict(
                    f"The statement id ({statement_id}) provided already exists. Please provide a new statement id, or "
                    "remove the existing statement."
                )
            statements = {**found.statements, statement_id: json.dumps(statement, separators=(",", ":"))}
            return found.evolve(statements=statements, policy_revision=str(uuid.uuid4()))

        return await self._changes.replace(prepare, self._table.put, self._put)

    async def disallow(self, name: str, version: int, statement_id: str, revision: str | None = None) -> None:
        """Remove a statement. Raises ResourceNotFound, PreconditionFailed."""

        def prepare() -> LayerVersion:
            found = self._at(name, version, revision)
            if statement_id not in found.statements:
                raise ResourceNotFound(f"Statement {statement_id} is not found in resource policy.")
            left = {one: text for one, text in found.statements.items() if one != statement_id}
            return found.evolve(statements=left, policy_revision=str(uuid.uuid4()))

        await self._changes.replace(prepare, self._table.put, self._put)

    def _at(self, name: str, version: int, revision: str | None) -> LayerVersion:
        found = self.get(name, version)
        if revision is not None and revision != found.policy_revision:
            raise PreconditionFailed("The Revision Id provided does not match the latest Revision Id.")
        return found

    def _named(self, text: str) -> LayerVersion:
        match = (_VERSION_ARN.fullmatch(text) or _SHORT.fullmatch(text)) if isinstance(text, str) else None
        if match is None:
            raise InvalidValue(f"{str(text)[:200]!r} names no layer: write its version's ARN, NAME:VERSION or NAME.")
        scope = match.groupdict()
        here = scope.get("region", self._home.region), scope.get("account", self._home.account)
        found = None
        if here == (self._home.region, self._home.account):
            number = match["version"]
            latest = self.versions(match["name"])[:1]
            found = self._versions.get((match["name"], int(number))) if number else (latest[0] if latest else None)
        if found is None:
            raise InvalidValue(f"Layer version {text} does not exist.")
        return found

    def _put(self, version: LayerVersion) -> None:
        self._versions[version.name, version.version] = version
        self._last[version.name] = max(version.version, self._last.get(version.name, 0))


def _policy(version: LayerVersion) -> str:
    statements = [json.loads(text) for text in version.statements.values()]
    return json.dumps({"Version": "2012-10-17", "Id": "default", "Statement": statements}, separators=(",", ":"))
