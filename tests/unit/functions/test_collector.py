"""Collecting garbage beside deployments."""

import asyncio

import pytest

from torpor.core.arn import FunctionRef
from torpor.core.errors import Conflict, ResourceNotFound
from torpor.functions.revisions import key_of


async def test_only_what_nothing_refers_to_is_removed(world):
    """Code and environments in use stay, those of deleted and replaced functions go."""
    await world.deployed("a", b"1")
    await world.deployed("b", b"2")
    await world.deployer.delete("b")
    collected = await world.collector.gc()
    assert (collected.bundles.count, collected.environments.count) == (1, 1)
    assert world.bundles.kept == {world.catalog.get("a").bundle.digest}
    assert world.environments.kept == {world.catalog.get("a").environment.digest}
    assert collected.as_json() == {
        "bundles": {"count": 1, "bytes": 100},
        "layers": {"count": 0, "bytes": 0},
        "environments": {"count": 1, "bytes": 10},
        "cache": {"count": 0, "bytes": 1},
        "logs": 0,
        "bytes_freed": 111,
    }


async def test_what_retired_instances_may_still_run_stays(world):
    """Old code stays while an invocation of it may still run, and goes afterwards."""
    old = await world.deployed(archive=b"old")
    world.node.lingering.add(key_of(world.catalog.record("echo").serving))
    await world.deployer.update_code("echo", b"new")
    await world.deployer.wait_settled("echo")
    await world.collector.gc()
    assert old.bundle.digest in world.bundles.kept
    assert old.environment.digest in world.environments.kept
    world.node.lingering.clear()
    await world.collector.gc()
    assert old.bundle.digest not in world.bundles.kept
    assert old.environment.digest not in world.environments.kept


async def test_an_invocation_whose_code_was_collected_meanwhile_runs_what_came_after(world, owner):
    """Code that goes while the first invocation still unpacks it has been replaced: the invocation takes the new."""
    await world.deployed(archive=b"old")
    extract = world.bundles.extract

    async def slow(bundle):
        world.bundles.extract = extract
        await world.deployer.update_code("echo", b"new")
        await world.deployer.wait_settled("echo")
        await world.collector.gc()
        raise ResourceNotFound(f"The code {bundle.digest} is not stored here any more.")

    world.bundles.extract = slow
    outcome = await world.invoker.invoke(FunctionRef("echo"), b"1", principal=owner, request_id="r")
    assert outcome.payload == b"1"
    assert world.node.calls[-1][0].bundle == world.catalog.get("echo").bundle
    world.revisions.forget("echo", "$LATEST")
    world.bundles.extract = _lost
    with pytest.raises(ResourceNotFound):  # nothing came after: it is really gone
        await world.invoker.invoke(FunctionRef("echo"), b"1", principal=owner, request_id="r")


async def _lost(bundle):
    raise ResourceNotFound(f"The code {bundle.digest} is not stored here any more.")


async def test_what_serves_during_an_update_stays(world):
    """While an update builds, or after it failed, what serves is in use too."""
    old = await world.deployed(archive=b"old")
    world.environments.error = OSError("no")
    await world.deployer.update_code("echo", b"new")
    await world.deployer.wait_settled("echo")
    await world.collector.gc()
    assert {old.bundle.digest, world.catalog.get("echo").bundle.digest} == world.bundles.kept
    assert old.environment.digest in world.environments.kept


async def test_code_between_upload_and_catalog_is_safe(world, config):
    """A collection waits until an upload that has begun is in the catalog."""
    entered, go_on = asyncio.Event(), asyncio.Event()
    add = world.bundles.add

    async def slow_add(archive):
        bundle = await add(archive)
        entered.set()
        await go_on.wait()
        return bundle

    world.bundles.add = slow_add
    creating = asyncio.create_task(world.deployer.create(config(), b"zip"))
    await entered.wait()
    collecting = asyncio.create_task(world.collector.gc())
    await asyncio.sleep(0)
    assert not world.bundles.swept_with
    go_on.set()
    function = await creating
    await collecting
    assert function.bundle.digest in world.bundles.kept


async def test_an_upload_whose_caller_left_is_safe(world, config):
    """A deployment that is being written when its caller leaves is in use."""
    creating = asyncio.create_task(world.deployer.create(config(), b"zip"))
    await world.writing()
    creating.cancel()
    await world.collector.gc()
    assert world.catalog.get("echo").bundle.digest in world.bundles.kept


async def test_a_collection_that_has_to_wait_too_long_gives_up(world, config):
    """While a build goes on and on, the collection ends with a conflict, and deployments go on."""
    world.environments.gate.clear()
    await world.deployer.create(config(), b"zip")
    await asyncio.sleep(0)
    with pytest.raises(Conflict, match="an environment is being built"):
        await world.collector.gc()
    await world.deployer.create(config("second"), b"zip")
    world.environments.gate.set()
    assert (await world.deployer.wait_settled("second")).environment is not None


async def test_late_logs_of_deleted_functions_are_removed(world):
    """Lines that an instance wrote after its function was deleted do not stay."""
    await world.deployed("a")
    world.logs.write("a", "out", "r", 1, b"kept")
    world.logs.write("ghost", "out", "r", 1, b"late")
    assert (await world.logs.read("ghost")) != []
    collected = await world.collector.gc()
    assert collected.logs == 1
    assert await world.logs.read("ghost") == []
    assert [line.line for line in await world.logs.read("a")] == ["kept"]
