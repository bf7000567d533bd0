"""What zygotes and blanks may take: memory of the node's budget, and blocks of user ids."""

from dataclasses import replace

import pytest

from torpor.core.invocation import Depth
from torpor.runtime.world import zygote_of

PLAIN = "def handler(event, context): return 1"
LARGE = "ballast = bytearray(b'x') * (48 << 20)"


def elsewhere(revision, key):
    """The same function in another environment."""
    return replace(revision, environment=replace(revision.environment, digest=key), key=f"{revision.key}-{key}")


def places(nursery):
    return nursery.sandboxes._zygotes._places


async def awake(nursery, key):
    """Until this environment has a zygote."""
    await nursery.until(lambda: key in places(nursery) and places(nursery)[key].zygote is not None)


@pytest.mark.slow
async def test_zygotes_and_blanks_are_measured(nursery):
    """What a zygote's libraries left in memory counts once, what waits with it too; nothing is counted for ever."""
    nursery.module("heavy", LARGE)
    zygote = await nursery.warm("import heavy\ndef handler(e, c): return 1")
    prepared = nursery.sandboxes.prepared
    assert 48 <= zygote.memory_mb <= 96
    await nursery.answer(nursery.revision(PLAIN))
    await nursery.until(lambda: len(nursery.place.blanks) == 2)
    assert all(0 < blank.memory_mb < 20 for blank in nursery.place.blanks)
    assert zygote.memory_mb < prepared.memory_mb == prepared.own_mb("own") < zygote.memory_mb + 40
    assert prepared.own_mb("another") == 0


@pytest.mark.slow
async def test_what_is_prepared_is_let_go_before_a_call_waits(nursery):
    """Another environment's unused zygote and blanks end at once when an instance needs their memory; its own stay."""
    nursery.module("heavy", LARGE)
    await nursery.call(
        elsewhere(nursery.revision("import heavy\ndef handler(e, c): return 1", keep_alive_s=0), "other")
    )
    await awake(nursery, "other")
    await nursery.until(lambda: not nursery.node.statistics().pools and places(nursery)["other"].resting().unused)
    prepared = nursery.sandboxes.prepared
    before = nursery.traces()
    assert prepared.spare_mb("own") == prepared.memory_mb >= 48
    assert prepared.spare_mb("other") == 0
    nursery.node._capacity._memory_mb = 100
    large = nursery.revision(PLAIN, memory_mb=90)
    assert await nursery.answer(large) == (1, Depth.SPAWN)
    assert places(nursery)["other"].zygote is None
    assert "asleep" in nursery.sandboxes.zygote_state("other")[1]
    await nursery.node.retire(large.key)
    await nursery.until(lambda: nursery.traces() < before)


@pytest.mark.slow
async def test_a_zygote_that_would_take_most_of_the_budget_is_not_kept(nursery):
    """Its functions start afresh, and say why."""
    nursery.module("heavy", LARGE)
    nursery.sandboxes.prepared.keep_within(90, lambda: 1000)
    revision = nursery.revision("import heavy\ndef handler(e, c): return 1")
    await nursery.call(revision)
    await nursery.until(lambda: nursery.place.refused)
    assert "more than half of the memory budget" in nursery.start[1]
    assert (await nursery.answer(nursery.revision(PLAIN)))[1] is Depth.SPAWN


@pytest.mark.slow
async def test_without_memory_left_nothing_is_prepared(nursery):
    """Zygotes are built once there is room again."""
    left = 10
    nursery.sandboxes.prepared.keep_within(1000, lambda: left)
    await nursery.call(nursery.revision(PLAIN))
    await nursery.settled()
    assert "no room" in nursery.start[1]
    left = 500
    await nursery.call(nursery.revision(PLAIN))
    await nursery.settled()
    assert nursery.start[0] is Depth.ZYGOTE


@pytest.mark.slow
async def test_where_user_ids_run_out_the_longest_unused_zygote_makes_way(nursery):
    """With ids for two: a third environment takes those of the one uncalled for longest, but not of one in use."""
    zygotes = nursery.sandboxes._zygotes
    while len(zygotes._free_blocks) > 2:
        zygotes._free_blocks.pop()
    zygotes._options = replace(zygotes._options, hot_s=0.0)
    used = elsewhere(nursery.revision("def handler(e, c): return 1"), "used")
    await nursery.call(used)
    await awake(nursery, "used")
    await nursery.node.retire(used.key)
    await nursery.until(lambda: not nursery.node.statistics().pools)
    assert await nursery.answer(elsewhere(nursery.revision(PLAIN), "used")) == (1, Depth.ZYGOTE)  # and it lives on
    for key in ("first", "second"):
        await nursery.call(elsewhere(nursery.revision(PLAIN, keep_alive_s=0), key))
        await awake(nursery, key)
        await nursery.until(lambda: len(nursery.node.statistics().pools) == 1)
    assert places(nursery)["first"].zygote is None
    assert places(nursery)["used"].zygote is not None
    assert await nursery.answer(elsewhere(nursery.revision(PLAIN), "second")) == (1, Depth.ZYGOTE)
    await nursery.call(elsewhere(nursery.revision(PLAIN), "third"))
    await nursery.until(lambda: "third" in places(nursery) and not places(nursery)["third"].building)
    assert "user ids" in nursery.sandboxes.zygote_state("third")[1]
    assert (await nursery.answer(elsewhere(nursery.revision(PLAIN), "third")))[1] is Depth.SPAWN


@pytest.mark.slow
async def test_a_zygote_built_beforehand_is_not_asleep_at_once(nursery):
    """Prepared from what was learned, and not called yet, it is kept as long as any other."""
    revision = nursery.revision(PLAIN)
    spec = zygote_of(revision.environment)
    assert await nursery.sandboxes.prepared.prepare(spec) == ""
    nursery.sandboxes._zygotes._check()
    assert nursery.start[0] is Depth.ZYGOTE
    assert not nursery.place.blanks  # none for what nobody calls
    assert await nursery.answer(revision) == (1, Depth.ZYGOTE)
