"""Any interleaving of changes, cancellations, collections and restarts leaves a consistent whole."""

import asyncio
import random
from contextlib import suppress

import pytest

from torpor.core.arn import FunctionRef
from torpor.core.errors import BuildFailed, UserError
from torpor.core.function import State, UpdateStatus
from torpor.functions import lifecycle

NAMES = ("a", "b", "c")


async def act(world, config, dice) -> None:
    name, archive = dice.choice(NAMES), dice.choice((b"1", b"2", b"3"))
    deployer = world.deployer
    actions = (
        lambda: deployer.create(config(name), archive),
        lambda: deployer.put(config(name, memory_mb=dice.choice((128, 256))), archive),
        lambda: deployer.update_code(name, archive),
        lambda: deployer.update_config(name, {"runtime": dice.choice(("python3.11", "python3.12"))}),
        lambda: deployer.update_config(name, {"timeout_s": dice.randint(1, 9)}),
        lambda: deployer.delete(name),
        lambda: world.urls.put(name, auth="NONE"),
        world.collector.gc,
    )
    task = asyncio.ensure_future(dice.choice(actions)())
    for _ in range(dice.randint(0, 6)):
        await asyncio.sleep(0)
    if dice.random() < 0.3:
        task.cancel()
    world.environments.error = BuildFailed("no") if dice.random() < 0.2 else None
    with suppress(UserError, asyncio.CancelledError):
        await task


async def check(world, owner) -> None:
    for record in world.catalog.records():
        function = await world.deployer.wait_settled(record.name)
        assert lifecycle.is_settled(function)
    await world.catalog.wait_written()
    await world.collector.gc()  # maybe one that somebody cancelled, and that had looked before the last change
    await world.collector.gc()
    kept_code, kept_environments = set(), set()
    for record in world.catalog.records():
        function, serving = record.function, record.serving
        assert (serving is not None) == (function.state is State.ACTIVE)
        kept_code.add(function.bundle.digest)
        if serving is not None:
            kept_code.add(serving.bundle.digest)
            kept_environments.add(serving.environment.digest)
            await world.invoker.invoke(FunctionRef(record.name), b"", principal=owner, request_id="r")
            revision = world.node.calls[-1][0]
            assert (revision.bundle, revision.config) == (serving.bundle, serving.config)
        if function.update_status is UpdateStatus.SUCCESSFUL:
            assert serving.bundle == function.bundle
    assert world.bundles.kept == kept_code
    assert world.environments.kept >= kept_environments
    assert all(world.catalog.find(name) for name in NAMES if world.urls.find(name))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
async def test_changes_in_any_order(world, config, owner, seed):
    """Afterwards everything is settled, what serves is kept, and the disk says the same as the memory."""
    dice = random.Random(seed)
    for _ in range(4):
        world.environments.gate.clear()
        asyncio.get_running_loop().call_later(0.01, world.environments.gate.set)
        await asyncio.gather(*(act(world, config, dice) for _ in range(8)))
    await check(world, owner)
    reopened = await world.reopened()
    assert {record.name: record for record in reopened.catalog.records()} == {
        record.name: record for record in world.catalog.records()
    }
    await reopened.close()
