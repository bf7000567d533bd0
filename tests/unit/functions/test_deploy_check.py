"""Deployment checks in the background: bounded, coalesced, cancelled with what they are about; and the warm-up."""

import asyncio
from types import SimpleNamespace

import pytest

from torpor.core.errors import FunctionNotFound, InvalidBundle
from torpor.core.function import State
from torpor.functions import check as checks_module
from torpor.functions.check import DeploymentChecks, NoChecks
from torpor.functions.warm_up import WarmUp
from torpor.policy.check import Ending, Verdict


class CheckingNode:
    """Checks at once, or when `gate` is set."""

    def __init__(self):
        self.gate = asyncio.Event()
        self.gate.set()
        self.found = Verdict(Ending.READY)
        self.checked, self.versions, self.prepared = [], [], []
        self.running = self.most = self.cancelled = 0

    async def check(self, revision):
        self.running += 1
        self.most = max(self.most, self.running)
        self.checked.append((revision.name, revision.config.memory_mb))
        self.versions.append(revision.version)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1
        return self.found

    def check_of(self, function):
        return self.found if any(name == function for name, _ in self.checked) else None

    async def prepare(self, environment):
        self.prepared.append(environment.digest)
        return ""


@pytest.fixture
async def node():
    return CheckingNode()


@pytest.fixture
async def checks(world, node):
    made = DeploymentChecks(world.catalog, world.revisions, node)
    world.deployer._checks = made
    yield made
    node.gate.set()
    await made.close()
    assert not made._tasks


async def built(world, name):
    """Built and serving; its check may have begun."""
    async with asyncio.timeout(10):
        while build := world.deployer._builds.get((name, "$LATEST")):
            await asyncio.wait({build})
    assert world.catalog.get(name).state is State.ACTIVE


async def test_who_waits_for_a_deployment_waits_for_its_check(world, node, checks):
    """It is over when the function is told to be settled, and no revision is kept for it."""
    await world.deployed("echo")
    assert node.checked == [("echo", 128)]
    assert checks.state("echo") == {"state": "passed", "error": ""}
    assert world.revisions.made(world.catalog.record("echo")) is None


async def test_a_function_is_active_while_it_is_checked(world, node, checks, config):
    """The check delays neither its state nor calls."""
    node.gate.clear()
    await world.deployer.create(config("echo"), b"zip")
    await built(world, "echo")
    assert checks.state("echo")["state"] == "pending"
    waited = await world.deployer.wait_settled("echo", 0.01)
    assert waited.state is State.ACTIVE


async def test_many_deployments_are_checked_two_at_a_time(world, node, checks, config):
    """None is left out, and nothing runs above the bound."""
    node.gate.clear()
    names = [f"f{number}" for number in range(12)]
    for name in names:
        await world.deployer.create(config(name), b"zip")
    for name in names:
        await built(world, name)
    node.gate.set()
    for name in names:
        await world.deployer.wait_settled(name)
    assert sorted(name for name, _ in node.checked) == sorted(names)
    assert node.most == 2


async def test_a_new_revision_supersedes_the_check_of_the_old(world, node, checks, config):
    """The one that runs is cancelled, and those between are never begun."""
    node.gate.clear()
    await world.deployer.create(config("echo"), b"zip")
    await built(world, "echo")
    for memory in (256, 512):
        await world.deployer.update_config("echo", {"memory_mb": memory})
        await built(world, "echo")
    node.gate.set()
    await world.deployer.wait_settled("echo")
    assert (node.checked[0], node.checked[-1]) == (("echo", 128), ("echo", 512))
    assert node.cancelled == len(node.checked) - 1


async def test_a_deleted_function_is_checked_no_more(world, node, checks, config):
    """Running or waiting, its check ends with it; who waits is told that it is gone."""
    node.gate.clear()
    for name in ("a", "b", "c"):
        await world.deployer.create(config(name), b"zip")
        await built(world, name)
    waiter = asyncio.create_task(world.deployer.wait_settled("c"))
    for name in ("c", "a"):
        await world.deployer.delete(name)
    node.gate.set()
    await world.deployer.wait_settled("b")
    with pytest.raises(FunctionNotFound):
        await waiter
    assert "c" not in [name for name, _ in node.checked]
    assert node.cancelled == 1


async def test_a_published_version_is_checked_as_well(world, node, checks):
    """It is a revision of its own; deleting it ends its check alone."""
    await world.deployed("echo")
    published = await world.deployer.publish("echo")
    await world.deployer.wait_settled("echo", version=published.version)
    assert node.versions == ["$LATEST", published.version]
    node.gate.clear()
    for version in (None, published.version):
        checks.begin(world.catalog.record("echo", version))
    await asyncio.sleep(0)
    await world.deployer.delete_version("echo", published.version)
    node.gate.set()
    await world.deployer.wait_settled("echo")
    assert ("echo", published.version) not in checks._running


async def test_what_goes_wrong_in_a_check_fails_no_deployment(world, node, checks):
    """The function is Active; its state tells what was found, or that nothing was."""
    node.found = Verdict(Ending.FAILED, error="Runtime.ImportModuleError: no")
    assert (await world.deployed("echo")).state is State.ACTIVE
    assert checks.state("echo") == {"state": "failed", "error": "Runtime.ImportModuleError: no"}

    async def lost(bundle):
        raise InvalidBundle("it is not there any more")

    world.bundles.extract, before = lost, world.bundles.extract
    checks.begin(world.catalog.record("echo"))
    await checks.wait(("echo", "$LATEST"), 10)
    world.bundles.extract = before
    assert checks.state("nobody") == {"state": "unknown", "error": ""}


async def test_too_many_that_wait_are_learned_by_their_calls(world, node, checks, config, monkeypatch):
    """Those that wait longest are let go."""
    monkeypatch.setattr(checks_module, "_MOST_WAITING", 3)
    await world.deployed("echo")
    node.gate.clear()
    record = world.catalog.record("echo")
    for number in range(10):
        checks.begin(record.evolve(function=record.function.evolve(config=config(f"f{number}"))))
    assert len(checks._waiting) == 3
    assert ("f9", "$LATEST") in checks._waiting


async def test_without_checks_nothing_is_checked(world):
    """The setting turns them off."""
    world.deployer._checks = NoChecks()
    await world.deployed("echo")
    assert NoChecks().state("echo")["state"] == "off"


async def test_a_server_that_comes_up_prepares_what_was_called_most(world, node):
    """The environments of the latest calls, those called most first, as far as their functions are still there."""
    await world.deployed("often", b"one")
    await world.deployed("seldom", b"two")
    await world.deployed("never", b"three")
    digests = [world.catalog.record(name).serving.environment.digest for name in ("often", "seldom")]
    warm_up = WarmUp(world.catalog, lambda: ["seldom", "often", "gone", "often"], node)
    warm_up.begin()
    await warm_up.wait()
    assert node.prepared == digests
    await warm_up.close()


async def test_a_warm_up_ends_with_the_server(world):
    """It is cancelled where it waits."""
    await world.deployed("echo")
    begun = asyncio.Event()

    async def prepare(environment):
        begun.set()
        await asyncio.Event().wait()

    warm_up = WarmUp(world.catalog, lambda: ["echo"], SimpleNamespace(prepare=prepare))
    warm_up.begin()
    await begun.wait()
    await warm_up.close()
