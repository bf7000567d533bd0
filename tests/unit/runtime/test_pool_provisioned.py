"""Instances that are kept ready, over guests that say what a test wants."""

import asyncio
import threading
from dataclasses import replace

import pytest

from torpor.core.errors import StartFailed, Throttled
from torpor.core.invocation import Depth, Invocation
from torpor.policy import provision
from torpor.testing.revisions import make_revision
from torpor.wire.frames import Kind

OVERALL = "ConcurrentInvocationLimitExceeded"
RESERVED = "ReservedFunctionConcurrentInvocationLimitExceeded"


@pytest.fixture
def gate():
    """Opened, it lets every held invocation be answered; at the end it is open in any case."""
    made = threading.Event()
    yield made
    made.set()


@pytest.fixture
def held(gate):
    def script(guest):
        guest.ready()
        while (frame := guest.receive()) is not None:
            gate.wait(10)
            guest.send(Kind.RESULT, frame.id, b"1")

    return script


@pytest.fixture
def revision(tmp_path):
    made = make_revision(tmp_path / "f", "", name="f", timeout_s=20)

    def version(number):
        return replace(made, version=number, key=f"{made.key}-{number}")

    return version


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Nobody waits for the next try."""
    monkeypatch.setattr(provision, "_BACK_OFF_S", (0.01, 0.01))


def call(node, revision):
    return asyncio.create_task(node.invoke(revision, Invocation(payload=b"{}")))


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - seen from outside only
            await asyncio.sleep(0.005)


async def ready(node, revision, count):
    await until(lambda: node.supply(revision.key).available == count)


async def refused(task):
    with pytest.raises(Throttled) as caught:
        await task
    return caught.value.reason


async def test_instances_are_there_before_a_call_and_stay(stage, gate, held, revision):
    """No call waits for a start or bears one; idle for ever, they are frozen and not ended."""
    gate.set()
    node, one = stage.open(held, keep_alive_s=0.0, freeze_after_s=0.0), revision("1")
    node.provision(one, 2)
    assert node.supply(one.key).allocated == 2
    await ready(node, one, 2)
    await until(lambda: all(instance.frozen for instance in stage.launcher.instances))
    outcome = await call(node, one)
    assert (outcome.usage.depth, outcome.usage.init_ms) == (Depth.WARM, 0.0)
    assert len(stage.launcher.instances) == 2
    assert "INIT_REPORT" in stage.log.text()


async def test_what_is_beyond_spills_over(stage, gate, held, revision):
    """A third call at a time starts an instance on demand, which falls asleep; the two stay."""
    node, one = stage.open(held, keep_alive_s=0.0), revision("1")
    node.provision(one, 2)
    await ready(node, one, 2)
    calls = [call(node, one) for _ in range(3)]
    await until(lambda: sum(pool.busy for pool in node.statistics().pools) == 3)
    gate.set()
    assert sorted(outcome.usage.depth for outcome in await asyncio.gather(*calls)) == ["spawn", "warm", "warm"]
    await until(lambda: node.statistics().instances == 2)
    assert node.supply(one.key).available == 2


async def test_the_kept_are_used_first(stage, gate, held, revision):
    """One on demand that was used later is left to fall asleep."""
    node, one = stage.open(held), revision("1")
    gate.set()
    await call(node, one)
    node.provision(one, 1)
    await ready(node, one, 1)
    for _ in range(3):
        await call(node, one)
    pool = next(iter(node._pools.values()))
    assert [instance.kept for instance in pool._free] == [False, True]


async def test_a_dead_one_is_replaced(stage, revision):
    """It takes its own invocation with it, and another stands in its place."""

    def mortal(guest):
        guest.ready()
        guest.receive()

    node, one = stage.open(mortal), revision("1")
    node.provision(one, 1)
    await ready(node, one, 1)
    outcome = await call(node, one)
    assert outcome.function_error == "Unhandled"
    await until(lambda: len(stage.launcher.instances) == 2)
    await ready(node, one, 1)


async def test_a_failing_initialisation_is_told_and_tried_again(stage, held, revision):
    """The reason is Lambda's, until one succeeds."""

    def broken(guest):
        guest.send(Kind.INIT_ERROR, 0, b'{"errorType": "ValueError", "errorMessage": "no model"}')
        guest.receive()

    node, one = stage.open(broken, broken, held), revision("1")
    node.provision(one, 1)
    await until(lambda: node.supply(one.key).reason)
    assert node.supply(one.key).reason == "FUNCTION_ERROR_INIT_FAILURE: ValueError: no model"
    await ready(node, one, 1)
    assert node.supply(one.key).reason == ""


async def test_a_start_that_fails_is_told_and_tried_again(stage, held, revision):
    """Whatever the machine's reason is."""
    node, one = stage.open(StartFailed("no room on the disk"), held), revision("1")
    node.provision(one, 1)
    await until(lambda: node.supply(one.key).reason)
    assert node.supply(one.key).reason == "no room on the disk"
    await ready(node, one, 1)


async def test_memory_that_is_missing_is_told_and_taken_when_there_is_some(stage, gate, held, revision):
    """What others hold is not taken from them while they run; afterwards it is."""
    node, one, two = stage.open(held, memory_budget_mb=256, keep_alive_s=0.0), revision("1"), revision("2")
    calls = [call(node, two), call(node, two)]
    await until(lambda: sum(pool.busy for pool in node.statistics().pools) == 2)
    big = replace(one, config=one.config.evolve(memory_mb=250))
    node.provision(big, 1)
    assert "memory budget" in node.supply(big.key).reason
    gate.set()
    await asyncio.gather(*calls)
    await ready(node, big, 1)


async def test_fewer_leave_the_others_to_fall_asleep(stage, held, revision):
    """What is no longer kept serves on as any other; with none left the pool is gone."""
    node, one = stage.open(held, keep_alive_s=0.0), revision("1")
    node.provision(one, 3)
    await ready(node, one, 3)
    node.provision(one, 1)
    await until(lambda: node.statistics().instances == 1)
    node.provision(one, 0)
    await until(lambda: node.statistics().pools == ())


async def test_what_is_provisioned_is_kept_from_others(stage, gate, held, revision):
    """Under a limit of three, two provisioned ones leave one to everybody else; its own calls are always taken."""
    node, one, other = stage.open(held, concurrency=3), revision("1"), revision("$LATEST")
    node.provision(one, 2)
    await ready(node, one, 2)
    calls = [call(node, other)]
    assert await refused(call(node, other)) == OVERALL
    calls += [call(node, one), call(node, one)]
    assert await refused(call(node, one)) == OVERALL
    await until(lambda: sum(pool.busy for pool in node.statistics().pools) == 3)
    gate.set()
    await asyncio.gather(*calls)
    node.provision(one, 0)
    gate.clear()
    calls = [call(node, other) for _ in range(3)]
    assert await refused(call(node, other)) == OVERALL
    gate.set()
    await asyncio.gather(*calls)


async def test_a_reservation_that_is_all_provisioned_leaves_nothing_to_the_rest(stage, gate, held, revision):
    """As on AWS, that stops $LATEST."""
    node, one, latest = stage.open(held), revision("1"), revision("$LATEST")
    node.reserve("f", 2)
    node.provision(one, 2)
    await ready(node, one, 2)
    assert await refused(call(node, latest)) == RESERVED
    calls = [call(node, one), call(node, one)]
    assert await refused(call(node, one)) == RESERVED
    gate.set()
    await asyncio.gather(*calls)


async def test_a_retired_revision_keeps_none(stage, held, revision):
    """Its version was deleted."""
    node, one = stage.open(held), revision("1")
    node.provision(one, 2)
    await ready(node, one, 2)
    await node.retire(one.key)
    await until(lambda: node.statistics().pools == ())
