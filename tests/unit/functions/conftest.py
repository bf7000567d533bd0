"""Fakes for what lies under the use cases, and the use cases wired to them on a real database."""

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from torpor.core.arn import Home
from torpor.core.errors import InvalidBundle
from torpor.core.function import Bundle, Environment, FunctionConfig
from torpor.core.identity import Kind, Principal
from torpor.core.invocation import Depth, Outcome, Result, Usage
from torpor.core.limits import Limits
from torpor.functions.accounting import Accounting
from torpor.functions.catalog import Catalog
from torpor.functions.collector import CodeStores, Collector
from torpor.functions.concurrency import Concurrency
from torpor.functions.config_rules import ConfigRules
from torpor.functions.deploy import Deployer
from torpor.functions.invoke import Invoker
from torpor.functions.layers import Layers
from torpor.functions.log_reader import LogReader
from torpor.functions.provisioning import Provisioning
from torpor.functions.revisions import Revisions
from torpor.functions.roles import Roles
from torpor.functions.urls import Urls
from torpor.policy.provision import Supply
from torpor.store.database import Database
from torpor.store.ledger import Ledger, LedgerOptions
from torpor.store.logs import LogOptions, LogStore

HOME = Home()
OWNER = Principal(Kind.OWNER)


@dataclass
class Freed:
    count: int
    bytes: int


class FakeBundles:
    """Remembers digests; an archive `bad` is refused."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.kept: set[str] = set()
        self.swept_with: list[set[str]] = []
        self.extracted: list[str] = []

    async def add(self, archive: bytes) -> Bundle:
        await asyncio.sleep(0)
        if archive == b"bad":
            raise InvalidBundle("The archive is no zip.")
        digest = hashlib.sha256(archive).hexdigest()
        self.kept.add(digest)
        return Bundle(digest, len(archive))

    async def extract(self, bundle: Bundle) -> Path:
        self.extracted.append(bundle.digest)
        return self.root / bundle.digest

    async def unpacked_size(self, bundle: Bundle) -> int:
        return 10 * bundle.size

    def sweep(self, keep: set[str]) -> Freed:
        self.swept_with.append(keep)
        gone = self.kept - keep
        self.kept &= keep
        return Freed(len(gone), 100 * len(gone))


class FakeFolders:
    """The folders of layers, by their digests; keeps what it was asked to prepare and to keep."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.prepared: list[tuple[str, ...]] = []
        self.swept_with: list[list] = []

    async def prepare(self, layers, runtime):
        self.prepared.append(tuple(layer.arn for layer in layers))
        return await self.folder(layers, runtime)

    async def folder(self, layers, runtime):
        return self.root / "-".join(layer.digest[:8] for layer in layers) if layers else None

    def sweep(self, keep) -> Freed:
        self.swept_with.append(list(keep))
        return Freed(0, 0)


class FakeEnvironments:
    """Builds at once, or when `gate` is set; `error` makes builds fail."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.kept: set[str] = set()
        self.built: list[str] = []
        self.building = 0
        self.most = 0
        self.cancelled = 0

    async def ensure(
        self, code_dir: Path, *, runtime: str, source_builds: bool, more: tuple[str, ...] = ()
    ) -> Environment:
        self.building += 1
        self.most = max(self.most, self.building)
        try:
            await self.gate.wait()
            if self.error is not None:
                raise self.error
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.building -= 1
        digest = hashlib.sha256(f"{code_dir.name}{runtime}{source_builds}".encode()).hexdigest()
        self.kept.add(digest)
        self.built.append(digest)
        return Environment(digest, f"/py/{runtime}", "/env/site", ("/env",), runtime)

    def sweep(self, keep: set[str]) -> Freed:
        gone = self.kept - keep
        self.kept &= keep
        return Freed(len(gone), 10 * len(gone))

    async def prune_cache(self) -> Freed:
        return Freed(0, 1)


class FakeNode:
    """Echoes the payload."""

    def __init__(self) -> None:
        self.calls = []
        self.retired: list[str] = []
        self.lingering: set[str] = set()  # keys of revisions that still run something
        self.reserved: dict[str, int | None] = {}
        self.error: Exception | None = None
        self.provisioned: dict[str, int] = {}  # by version
        self.snapshots: list[str] = []  # versions
        self.no_snapshot = ""
        self.supplies: dict[str, Supply] = {}

    async def snapshot(self, revision) -> str:
        self.snapshots.append(revision.version)
        return self.no_snapshot

    def provision(self, revision, executions: int) -> None:
        self.provisioned[revision.version] = executions
        self.supplies[revision.key] = Supply(executions, executions)

    def supply(self, revision_key: str) -> Supply:
        return self.supplies.get(revision_key, Supply())

    async def invoke(self, revision, invocation) -> Outcome:
        await asyncio.sleep(0)
        self.calls.append((revision, invocation))
        if self.error is not None:
            raise self.error
        usage = make_usage(function=revision.name, request_id=invocation.request_id)
        return Outcome(payload=invocation.payload, usage=usage, executed_version=revision.version)

    async def retire(self, revision_key: str) -> None:
        self.retired.append(revision_key)

    def running(self) -> frozenset[str]:
        return frozenset(self.lingering)

    def reserve(self, function: str, concurrency: int | None) -> None:
        self.reserved[function] = concurrency


def make_usage(**changes) -> Usage:
    values = {
        "function": "echo",
        "version": "$LATEST",
        "request_id": "r",
        "at": 1_700_000_000.0,
        "depth": Depth.SPAWN,
        "init_ms": 10.0,
        "duration_ms": 1.5,
        "billed_ms": 12,
        "memory_mb": 128,
        "max_memory_mb": 40,
        "cpu_ms": 3.25,
        "result": Result.OK,
    }
    return Usage(**values | changes)


@dataclass
class World:
    """Everything wired together, as the composition root does it."""

    database: Database
    catalog: Catalog
    bundles: FakeBundles
    environments: FakeEnvironments
    node: FakeNode
    ledger: Ledger
    logs: LogStore

    def __post_init__(self) -> None:
        self.folders = FakeFolders(self.bundles.root)
        self.revisions = Revisions(self.bundles, self.folders, HOME)
        self.deployer = Deployer(
            self.catalog,
            bundles=self.bundles,
            layers=self.folders,
            environments=self.environments,
            node=self.node,
            logs=self.logs,
            revisions=self.revisions,
            rules=ConfigRules(),
            retry_s=0.01,
        )
        self.invoker = Invoker(self.catalog, self.revisions, self.node, self.ledger)
        self.urls = Urls(self.catalog)
        self.concurrency = Concurrency(self.catalog, self.node, 1000)
        self.concurrency.restore()
        self.provisioning = Provisioning(self.catalog, self.revisions, self.node, 1000)
        self.provisioning.restore()
        self.roles = Roles(self.catalog)
        self.accounting = Accounting(self.ledger)
        limits = Limits(layers_unpacked=1000)
        self.layers = Layers(self.database, self.bundles, self.deployer.code_gate, home=HOME, limits=limits)
        self.log_reader = LogReader(self.catalog, self.logs)
        self.collector = Collector(
            self.catalog,
            self.deployer,
            code=CodeStores(self.bundles, self.folders, self.layers.in_use),
            environments=self.environments,
            logs=self.logs,
            wait_s=0.05,
        )

    async def reopened(self) -> "World":
        """The same data folder under a new server, whose predecessor was stopped."""
        await self.provisioning.close()
        await self.deployer.close()
        catalog = await Catalog.open(self.database, HOME)
        fresh = World(self.database, catalog, self.bundles, FakeEnvironments(), FakeNode(), self.ledger, self.logs)
        fresh.deployer.resume()
        return fresh

    async def provided(self) -> None:
        """Return when the node was told everything that is provisioned."""
        while self.provisioning.settling:  # noqa: ASYNC110 - nothing else tells of it
            await asyncio.sleep(0)

    async def writing(self) -> None:
        """Return while a change of the catalog is being written."""
        while not self.catalog.changes.writing:  # noqa: ASYNC110 - nothing else tells of it
            await asyncio.sleep(0)

    async def deployed(self, name: str = "echo", archive: bytes = b"zip", **changes):
        await self.deployer.create(FunctionConfig(name=name, handler="app.h", **changes), archive)
        return await self.deployer.wait_settled(name)

    async def close(self) -> None:
        await self.provisioning.close()
        await self.collector.close()
        await self.deployer.close()
        await self.catalog.wait_written()


@pytest.fixture
async def world(tmp_path):
    database = Database(tmp_path / "torpor.db")
    ledger = Ledger(database, LedgerOptions(group_s=0))
    logs = LogStore(tmp_path / "logs", LogOptions(group_s=0))
    catalog = await Catalog.open(database, HOME)
    made = World(database, catalog, FakeBundles(tmp_path), FakeEnvironments(), FakeNode(), ledger, logs)
    yield made
    await made.close()
    logs.close()
    ledger.close()
    database.close()


@pytest.fixture
def config():
    def make(name: str = "echo", **changes) -> FunctionConfig:
        return FunctionConfig(name=name, handler="app.h", **changes)

    return make


@pytest.fixture
def usage_row():
    return make_usage


@pytest.fixture
def owner():
    return OWNER
