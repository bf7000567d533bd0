"""Reservations and the overall limit, over guests that answer when they are told to."""

import asyncio
import itertools
import threading

import pytest

from torpor.core.errors import StartFailed, Throttled
from torpor.core.invocation import Invocation
from torpor.testing.revisions import make_revision
from torpor.wire.frames import Kind

RESERVED = "ReservedFunctionConcurrentInvocationLimitExceeded"
OVERALL = "ConcurrentInvocationLimitExceeded"


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
    return lambda name, **config: make_revision(tmp_path / name, "", name=name, timeout_s=20, **config)


def call(node, revision):
    return asyncio.create_task(node.invoke(revision, Invocation(payload=b"{}")))


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - seen from outside only
            await asyncio.sleep(0.005)


def busy(node, name):
    return sum(pool.busy for pool in node.statistics().of(name))


def waiting(node, name):
    return sum(pool.waiting for pool in node.statistics().of(name))


async def refused(task):
    with pytest.raises(Throttled) as caught:
        await task
    return caught.value.reason


async def test_a_reservation_is_the_most_that_a_function_gets(stage, gate, held, revision):
    """The one too many is refused at once, those that still wait for their instance counted; others are not touched."""
    node, mine, other = stage.open(held), revision("mine"), revision("other")
    node.reserve("mine", 2)
    calls = [call(node, mine), call(node, mine)]
    assert await refused(call(node, mine)) == RESERVED
    calls.append(call(node, other))
    await until(lambda: busy(node, "mine") == 2)
    assert await refused(call(node, mine)) == RESERVED
    gate.set()
    await asyncio.gather(*calls)
    assert (await call(node, mine)).payload == b"1"


async def test_a_reservation_of_nothing_stops_the_function(stage, gate, held, revision):
    """Zero refuses everything and starts nothing, until it is taken back."""
    gate.set()
    node, mine = stage.open(held), revision("mine")
    node.reserve("mine", 0)
    assert await refused(call(node, mine)) == RESERVED
    assert stage.launcher.instances == []
    assert node.statistics().pools == ()
    node.reserve("mine", None)
    assert (await call(node, mine)).payload == b"1"


async def test_both_revisions_of_an_update_share_the_reservation(stage, gate, held, revision):
    """What still runs on the old code counts."""
    node, old = stage.open(held), revision("mine")
    new = revision("mine", memory_mb=256)
    node.reserve("mine", 1)
    running = call(node, old)
    await until(lambda: busy(node, "mine") == 1)
    await node.retire(old.key)
    assert await refused(call(node, new)) == RESERVED
    gate.set()
    await running
    assert (await call(node, new)).payload == b"1"


async def test_what_is_reserved_is_kept_from_the_others(stage, gate, held, revision):
    """Of three at a time, two reserved ones leave one to everybody else, even while they are not used."""
    node = stage.open(held, concurrency=3)
    mine, other = revision("mine"), revision("other")
    node.reserve("mine", 2)
    calls = [call(node, other)]
    assert [await refused(call(node, other)) for _ in range(2)] == [OVERALL, OVERALL]
    calls += [call(node, mine) for _ in range(2)]
    await until(lambda: busy(node, "mine") == 2)
    assert (busy(node, "other"), waiting(node, "other")) == (1, 0)
    gate.set()
    await asyncio.gather(*calls)


async def test_a_reservation_made_late_waits_for_what_runs(stage, gate, held, revision):
    """Together they never run more than the limit, and the reserved one is next."""
    node = stage.open(held, concurrency=2)
    mine, other = revision("mine"), revision("other")
    calls = [call(node, other), call(node, other)]
    await until(lambda: busy(node, "other") == 2)
    node.reserve("mine", 1)
    calls.append(call(node, mine))
    await until(lambda: waiting(node, "mine") == 1)
    assert (busy(node, "mine"), busy(node, "other")) == (0, 2)
    gate.set()
    await asyncio.gather(*calls)


async def test_beyond_the_overall_limit_calls_are_refused_at_once(stage, gate, held, revision):
    """The one too many is refused with Lambda's reason, whether the others run or wait for their instances yet."""
    node = stage.open(held, concurrency=2)
    one, other = revision("one"), revision("other")
    calls = [call(node, one), call(node, other)]
    assert await refused(call(node, other)) == OVERALL
    await until(lambda: busy(node, "one") == busy(node, "other") == 1)
    assert await refused(call(node, one)) == OVERALL
    gate.set()
    await asyncio.gather(*calls)
    assert (await call(node, one)).payload == b"1"


async def test_where_memory_is_short_a_call_waits_for_its_time(stage, held, revision):
    """Within the limit nobody is refused at once; who found no room in the queue's time is."""
    node = stage.open(held, memory_budget_mb=128, queue_wait_s=0.05)
    other = revision("other")
    running = call(node, other)
    await until(lambda: busy(node, "other") == 1)
    large = call(node, revision("large", memory_mb=128))
    await until(lambda: waiting(node, "large") == 1)
    assert await refused(large) == OVERALL
    running.cancel()


async def test_who_left_or_was_refused_no_longer_counts(stage, gate, held, revision):
    """However a call ceases to wait, its place below the limit is free again, reservations changed meanwhile or not."""
    node = stage.open(StartFailed("no"), StartFailed("no"), held, concurrency=1)
    mine = revision("mine")
    with pytest.raises(StartFailed):
        await call(node, mine)
    for reserved in (1, None):
        gone = call(node, mine)
        await asyncio.sleep(0)
        node.reserve("mine", reserved)
        gone.cancel()
        await asyncio.wait({gone})
    gate.set()
    await until(lambda: all(pool.starting == 0 for pool in node.statistics().pools))
    assert (await call(node, mine)).payload == b"1"
    capacity = node._capacity
    assert (capacity._held, capacity._queued, capacity._running) == (0, 0, 0)


async def test_who_leaves_gives_the_reservation_back(stage, gate, held, revision):
    """A caller that leaves while its instance is starting no longer counts."""
    node, mine = stage.open(held), revision("mine")
    node.reserve("mine", 1)
    gone = call(node, mine)
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait({gone})
    gate.set()
    assert (await call(node, mine)).payload == b"1"


async def test_a_failed_start_gives_the_reservation_back(stage, gate, held, revision):
    """Nothing is counted for ever that never ran."""
    gate.set()
    node, mine = stage.open(StartFailed("no"), StartFailed("no"), held), revision("mine")
    node.reserve("mine", 1)
    with pytest.raises(StartFailed):
        await call(node, mine)
    assert (await call(node, mine)).payload == b"1"


async def test_a_dead_instance_takes_one_call_with_it(stage, gate, held, revision):
    """The function is not held responsible: the next call gets another instance, and one that hangs delays nobody."""

    def dies(guest):
        guest.ready()
        guest.receive()

    node, mine = stage.open(dies, held), revision("mine")
    assert (await call(node, mine)).function_error == "Unhandled"
    stuck = call(node, mine)
    await until(lambda: busy(node, "mine") == 1)
    second = call(node, mine)
    await until(lambda: busy(node, "mine") == 2)
    gate.set()
    assert [one.payload for one in await asyncio.gather(stuck, second)] == [b"1", b"1"]
    assert len(stage.launcher.instances) == 3


@pytest.mark.slow
async def test_a_large_instance_gets_its_room_beside_busy_small_ones(stage, revision):
    """Small instances that are never idle together give way one by one, and go on afterwards."""

    paces = itertools.cycle((0.031, 0.037, 0.041, 0.043))  # seldom done at once

    def brief(guest):
        guest.ready()
        pace = next(paces)
        while (frame := guest.receive()) is not None:
            threading.Event().wait(pace)
            guest.send(Kind.RESULT, frame.id, b"1")

    node = stage.open(brief, memory_budget_mb=160)
    small, large = revision("small", memory_mb=128), revision("large", memory_mb=160)
    await call(node, small)  # from now on it is known to use ten of them
    over = asyncio.Event()

    async def keep_calling():
        while not over.is_set():
            await call(node, small)

    callers = [asyncio.create_task(keep_calling()) for _ in range(4)]
    await until(lambda: busy(node, "small") == 4)
    async with asyncio.timeout(4):
        assert (await call(node, large)).payload == b"1"
    await until(lambda: busy(node, "small") >= 1)
    over.set()
    await asyncio.gather(*callers)
