"""What idle instances do: nothing at all. They are frozen after a moment, and thawed by the next call."""

import asyncio
import json
from pathlib import Path

import pytest

from torpor.core.invocation import Depth

pytestmark = pytest.mark.slow

TICKING = """
import threading, time

ticks = 0

def tick():
    global ticks
    while True:
        time.sleep(0.002)
        ticks += 1

threading.Thread(target=tick, daemon=True).start()

def handler(event, context):
    before = ticks
    time.sleep(event)
    return [before, ticks]
"""
SLEEP = "import time\ndef handler(event, context):\n    time.sleep(event)\n    return event\n"


@pytest.fixture
def freezer(sandboxes):
    """The sandboxes, where they can freeze."""
    if not sandboxes.can_freeze:
        pytest.skip("no version 2 control group can be written here")
    return sandboxes


def _pool(node):
    (pool,) = node.statistics().pools
    return pool


async def test_what_runs_in_the_background_stops_between_invocations(walled, freezer):
    """A thread of the function's goes on while an invocation runs, and stands still while the instance is idle."""
    node = walled.open()
    revision = walled.revision(TICKING)
    before, after = json.loads((await walled.call(node, revision, 0.3)).payload)
    assert after - before > 20
    await walled.until(lambda: _pool(node).frozen == 1)
    (group,) = _groups(freezer)
    frozen_ms = _cpu_ms(group)
    await asyncio.sleep(1.0)
    assert _cpu_ms(group) == frozen_ms
    later, _ = json.loads((await walled.call(node, revision, 0)).payload)
    # Ten times a second at the most went by unfrozen; a second of it would have been some four hundred.
    assert later - after < 150


async def test_a_frozen_instance_takes_the_next_call(walled, freezer):
    """It is the same instance, warm and quick, and freezes again."""
    node = walled.open()
    revision = walled.revision(SLEEP)
    for _ in range(3):
        outcome = await walled.call(node, revision, 0)
        assert outcome.function_error is None
        await walled.until(lambda: _pool(node).frozen == 1)
    assert outcome.usage.depth is Depth.WARM
    assert outcome.usage.duration_ms < 1000
    assert freezer.can_freeze


async def test_calls_back_to_back_write_to_no_control_group(walled, freezer, monkeypatch):
    """While an instance is called again and again it is neither frozen nor thawed."""
    node = walled.open(freeze_after_s=5.0)
    revision = walled.revision(SLEEP)
    await walled.call(node, revision, 0)
    (group,) = _groups(freezer)
    written = (group / "cgroup.freeze").stat().st_mtime_ns
    for _ in range(50):
        await walled.call(node, revision, 0)
    assert (group / "cgroup.freeze").stat().st_mtime_ns == written
    assert _pool(node).frozen == 0


async def test_a_frozen_instance_ends_when_it_was_kept_long_enough(walled, freezer):
    """Keep alive ends what is frozen, whole and at once, and its group is gone."""
    node = walled.open(freeze_after_s=0.05)
    revision = walled.revision(TICKING, keep_alive_s=0.6)
    await walled.call(node, revision, 0)
    await walled.until(lambda: _pool(node).frozen == 1)
    await walled.until(lambda: node.statistics().pools == ())
    assert _groups(freezer) == []


async def test_a_frozen_instance_can_be_retired(walled, freezer):
    """An update ends the frozen instances of the old revision."""
    node = walled.open()
    revision = walled.revision(SLEEP)
    await walled.call(node, revision, 0)
    await walled.until(lambda: _pool(node).frozen == 1)
    await node.retire(revision.key)
    await walled.until(lambda: node.statistics().pools == ())
    assert _groups(freezer) == []


async def test_a_frozen_instance_makes_room(walled, freezer):
    """Memory is taken from what is frozen as from what is idle."""
    node = walled.open(memory_budget_mb=40)
    one, two = (walled.revision(SLEEP, name=name) for name in ("one", "two"))
    await walled.call(node, one, 0)
    await walled.until(lambda: _pool(node).frozen == 1)
    assert (await walled.call(node, two, 0)).function_error is None
    assert node.statistics().of("one") == ()
    assert freezer.can_freeze


async def test_a_node_closes_over_frozen_instances(walled, freezer):
    """Stopping waits for none of them."""
    node = walled.open()
    revision = walled.revision(SLEEP)
    await asyncio.gather(*(walled.call(node, revision, 0.2) for _ in range(3)))
    await walled.until(lambda: _pool(node).frozen == 3)
    async with asyncio.timeout(5):
        await node.close(grace_s=20)
    assert _groups(freezer) == []


async def test_what_a_frozen_instance_wrote_is_not_lost(walled, freezer):
    """Output that a thread wrote just before the freeze stands in the log."""
    node = walled.open()
    revision = walled.revision(
        "import threading, time\n"
        "def late():\n    time.sleep(0.03)\n    print('late', flush=True)\n"
        "def handler(event, context):\n    threading.Thread(target=late).start()\n"
    )
    await walled.call(node, revision)
    await walled.until(lambda: _pool(node).frozen == 1)
    await walled.until(lambda: "late" in walled.log.text())
    assert freezer.can_freeze


async def test_where_nothing_can_be_frozen_instances_run_on(bench):
    """The same node over any launcher serves after the time at which it would have frozen."""
    node = bench.open(freeze_after_s=0.01)
    revision = bench.revision(TICKING)
    await bench.call(node, revision, 0)
    await asyncio.sleep(0.1)
    assert (await bench.call(node, revision, 0)).function_error is None


def _groups(launcher):
    """The living instances' folders in the hierarchy that freezes."""
    parts = [part for live in launcher._alive for part in live._group._parts]
    return [part.folder for part in parts if (part.folder / "cgroup.freeze").exists()]


def _cpu_ms(group: Path):
    stat = dict(line.split() for line in (group / "cpu.stat").read_text().splitlines())
    return int(stat["usage_usec"]) // 1000
