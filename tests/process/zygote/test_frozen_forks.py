"""Forked instances sleep and wake like any other: frozen when idle, thawed by a call, killed as they are."""

import asyncio
import json

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


@pytest.fixture
def nursery(nursery):
    if not nursery.sandboxes.can_freeze:
        pytest.skip("no version 2 control group can be written here")
    return nursery


async def test_a_forked_instance_does_not_run_while_it_is_idle(nursery):
    """Its threads stand still, its zygote forks on meanwhile, and the next call finds it as it was."""
    await nursery.warm()
    revision = nursery.revision(TICKING)
    (before, after), depth = await nursery.answer(revision, 0.2)
    assert depth is Depth.ZYGOTE
    assert after - before > 10
    frozen = lambda: sum(one.frozen for one in nursery.node.statistics().of(revision.name)) == 1  # noqa: E731
    await nursery.until(frozen)
    await asyncio.sleep(1.0)
    assert (await nursery.answer(nursery.revision("def handler(e, c): return 1")))[1] is Depth.ZYGOTE
    outcome = await nursery.call(revision, 0)
    assert outcome.usage.depth is Depth.WARM
    assert json.loads(outcome.payload)[0] - after < 150


async def test_a_frozen_fork_can_be_ended(nursery):
    """Retired while it is frozen, it is gone at once, with all that it had."""
    await nursery.warm()
    revision = nursery.revision(TICKING)
    await nursery.answer(revision, 0)
    await nursery.until(lambda: any(one.frozen for one in nursery.node.statistics().of(revision.name)))
    async with asyncio.timeout(5):
        await nursery.node.retire(revision.key)
        await nursery.until(lambda: not nursery.node.statistics().of(revision.name))
