"""The node's contract, over every launcher: how many instances there are, and for how long."""

import asyncio
import json

import pytest

from torpor.core.errors import StartFailed, Throttled
from torpor.core.invocation import Depth

pytestmark = pytest.mark.slow

SLEEP = "import time, os\ndef handler(event, context):\n    time.sleep(event)\n    return os.environ['AWS_LAMBDA_LOG_STREAM_NAME']\n"


async def test_concurrent_calls_get_an_instance_each_and_no_more(bench):
    """As many instances as calls at once; afterwards they are used again."""
    node = bench.open()
    revision = bench.revision(SLEEP)
    outcomes = await asyncio.gather(*(bench.call(node, revision, 0.3) for _ in range(4)))
    assert len({one.payload for one in outcomes}) == 4
    assert node.statistics().instances == 4
    again = await asyncio.gather(*(bench.call(node, revision, 0) for _ in range(4)))
    assert {one.usage.depth for one in again} == {Depth.WARM}
    assert node.statistics().instances == 4


async def test_the_most_recently_used_instance_is_taken(bench):
    """One caller keeps one instance warm, so that the others may expire."""
    node = bench.open()
    revision = bench.revision(SLEEP)
    await asyncio.gather(*(bench.call(node, revision, 0.2) for _ in range(2)))
    assert len({(await bench.call(node, revision, 0)).payload for _ in range(5)}) == 1


async def test_after_keep_alive_there_is_nothing(bench):
    """An idle instance ends, its pool with it, and the next call starts anew."""
    node = bench.open()
    revision = bench.revision(SLEEP, keep_alive_s=0.2)
    await bench.call(node, revision, 0)
    assert node.statistics().instances == 1
    await bench.until(lambda: node.statistics().pools == ())
    assert (await bench.call(node, revision, 0)).usage.depth is not Depth.WARM


async def test_where_memory_is_short_calls_wait_and_are_served_in_turn(bench):
    """With memory for one, six calls run on one instance, and none is refused."""
    node = bench.open(memory_budget_mb=1)
    revision = bench.revision(SLEEP)
    outcomes = await asyncio.gather(*(bench.call(node, revision, 0.05) for _ in range(6)))
    assert len({one.payload for one in outcomes}) == 1
    assert {one.function_error for one in outcomes} == {None}


async def test_a_function_that_keeps_busy_does_not_starve_another(bench):
    """With memory for one at a time, a second function gets its turn amid the first one's queue."""
    node = bench.open(memory_budget_mb=1)
    busy, other = bench.revision(SLEEP, name="busy"), bench.revision(SLEEP, name="other")
    crowd = [asyncio.create_task(bench.call(node, busy, 0.05)) for _ in range(10)]
    await bench.until(lambda: any(one.busy for one in node.statistics().of("busy")))
    assert (await bench.call(node, other, 0)).function_error is None
    assert not all(task.done() for task in crowd)
    await asyncio.gather(*crowd)


async def test_a_full_queue_throttles(bench):
    """Whoever finds the queue full is refused at once, the others are served."""
    node = bench.open(memory_budget_mb=1, limits={"queue_per_function": 2})
    revision = bench.revision(SLEEP)
    await bench.call(node, revision, 0)
    calls = [asyncio.create_task(bench.call(node, revision, 0.3)) for _ in range(4)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    refused = [one for one in results if isinstance(one, Throttled)]
    assert len(refused) == 1
    assert refused[0].reason == "ConcurrentInvocationLimitExceeded"


async def test_waiting_too_long_throttles(bench):
    """A call that found no instance within its time is refused; a running one is not disturbed."""
    node = bench.open(queue_wait_s=0.2, memory_budget_mb=1)
    revision = bench.revision(SLEEP)
    await bench.call(node, revision, 0)
    running = asyncio.create_task(bench.call(node, revision, 1))
    await bench.until(lambda: node.statistics().pools[0].busy == 1)
    with pytest.raises(Throttled):
        await bench.call(node, revision, 0)
    assert (await running).function_error is None


async def test_a_slow_start_is_waited_for_beyond_the_queues_time(bench):
    """The time in the queue does not run out on someone whose instance is on its way."""
    node = bench.open(queue_wait_s=0.05)
    revision = bench.revision("import time\ntime.sleep(0.4)\ndef handler(e, c): return 1\n")
    assert (await bench.call(node, revision)).payload == b"1"


async def test_a_caller_that_leaves_before_its_turn_costs_nothing(bench):
    """A cancelled call that had not begun never reaches a handler."""
    node = bench.open(memory_budget_mb=1)
    revision = bench.revision(
        "import time\ncalls = []\ndef handler(event, context):\n    calls.append(event)\n    time.sleep(0.3)\n    return calls\n"
    )
    first = asyncio.create_task(bench.call(node, revision, 1))
    await bench.until(lambda: bool(node.statistics().pools) and node.statistics().pools[0].busy == 1)
    second = asyncio.create_task(bench.call(node, revision, 2))
    await bench.until(lambda: node.statistics().pools[0].waiting == 1)
    second.cancel()
    await bench.until(lambda: node.statistics().pools[0].waiting == 0)
    await first
    assert json.loads((await bench.call(node, revision, 3)).payload) == [1, 3]
    assert bench.abandoned == []


async def test_a_caller_that_leaves_later_is_billed(bench):
    """What has begun runs to its end, and its account is kept."""
    node = bench.open()
    revision = bench.revision(SLEEP)
    call = asyncio.create_task(bench.call(node, revision, 0.2))
    await bench.until(lambda: bool(node.statistics().pools) and node.statistics().pools[0].busy == 1)
    call.cancel()
    await bench.until(lambda: bool(bench.abandoned))
    assert bench.abandoned[0].usage.duration_ms >= 200
    assert (await bench.call(node, revision, 0)).usage.depth is Depth.WARM


async def test_a_retired_revision_finishes_and_ends(bench):
    """Running and waiting calls of a retired revision are answered, then its instances are gone."""
    node = bench.open()
    revision = bench.revision(SLEEP)
    await bench.call(node, revision, 0)
    running = asyncio.create_task(bench.call(node, revision, 0.3))
    await bench.until(lambda: node.statistics().pools[0].busy == 1)
    await node.retire(revision.key)
    assert node.running() == {revision.key}  # so its code is still in use
    assert (await running).function_error is None
    await bench.until(lambda: node.statistics().pools == ())
    assert not node.running()
    await node.retire("unknown")


async def test_closing_finishes_what_runs(bench):
    """Within the grace running calls are answered, new ones are refused, and nothing is left."""
    node = bench.open()
    revision = bench.revision(SLEEP)
    running = asyncio.create_task(bench.call(node, revision, 0.4))
    await bench.until(lambda: bool(node.statistics().pools) and node.statistics().pools[0].busy == 1)
    closing = asyncio.create_task(node.close(grace_s=10))
    await asyncio.sleep(0)
    with pytest.raises(StartFailed):
        await bench.call(node, revision, 0)
    assert (await running).function_error is None
    await closing
    assert node.statistics().pools == ()


async def test_closing_ends_what_does_not_finish(bench):
    """After the grace a running call fails, and a waiting one too."""
    node = bench.open(memory_budget_mb=1)
    revision = bench.revision(SLEEP)
    await bench.call(node, revision, 0)
    calls = [asyncio.create_task(bench.call(node, revision, 60)) for _ in range(2)]
    await bench.until(lambda: node.statistics().pools[0].waiting == 1)
    await node.close(grace_s=0.05)
    running, waiting = await asyncio.gather(*calls, return_exceptions=True)
    assert "torpor was stopped" in json.loads(running.payload)["errorMessage"]
    assert isinstance(waiting, StartFailed)
    assert node.statistics().pools == ()


async def test_closing_during_a_start_leaves_nothing(bench):
    """A start under way is undone."""
    node = bench.open()
    revision = bench.revision("import time\ntime.sleep(60)\ndef handler(e, c): pass\n")
    call = asyncio.create_task(bench.call(node, revision))
    await bench.until(lambda: bool(node.statistics().pools) and node.statistics().pools[0].starting == 1)
    await node.close(grace_s=0)
    with pytest.raises(StartFailed):
        await call
    assert node.statistics().pools == ()


async def test_memory_is_made_by_ending_idle_instances(bench):
    """When the budget is used up, another function's idle instance makes room."""
    node = bench.open(memory_budget_mb=40)
    one, two = (bench.revision(SLEEP, name=name, memory_mb=128) for name in ("one", "two"))
    await bench.call(node, one, 0)
    assert (await bench.call(node, two, 0)).function_error is None
    assert node.statistics().of("one") == ()


async def test_within_a_memory_budget_a_burst_is_served_by_what_fits(bench):
    """Calls beyond the budget wait for those within it, and all are answered."""
    node = bench.open(memory_budget_mb=300)
    revision = bench.revision(SLEEP, memory_mb=256)
    outcomes = await asyncio.gather(*(bench.call(node, revision, 0.05) for _ in range(8)))
    assert {one.function_error for one in outcomes} == {None}
