"""Reserved concurrency: stored, told to the node, and never so much that the others are left too little."""

import pytest

from torpor.core.errors import FunctionNotFound, InvalidValue
from torpor.functions.concurrency import Concurrency


async def test_a_reservation_is_kept_over_a_restart(world):
    """It is stored before it is told, and the next server's node knows it from the beginning."""
    await world.deployed()
    assert world.concurrency.get("echo") is None
    assert await world.concurrency.put("echo", 5) == 5
    assert await world.concurrency.put("echo", 0) == 0
    assert world.concurrency.get("echo") == 0
    assert world.node.reserved == {"echo": 0}
    fresh = await world.reopened()
    assert fresh.concurrency.get("echo") == 0
    assert fresh.node.reserved == {"echo": 0}
    await world.concurrency.delete("echo")
    assert world.node.reserved == {"echo": None}
    assert (await world.reopened()).node.reserved == {}


async def test_the_others_are_left_a_hundred(world):
    """All reservations together leave what AWS leaves, whoever asks last; one's own counts once."""
    await world.deployed("one")
    await world.deployed("two")
    await world.concurrency.put("one", 500)
    await world.concurrency.put("one", 600)
    await world.concurrency.put("two", 300)
    with pytest.raises(InvalidValue, match=r"UnreservedConcurrentExecution below its minimum value of \[100\]"):
        await world.concurrency.put("two", 301)
    assert world.concurrency.get("two") == 300
    with pytest.raises(InvalidValue, match="not -1"):
        await world.concurrency.put("two", -1)


async def test_under_a_small_limit_only_a_stop_can_be_reserved(world):
    """A server that may run no more than a hundred at a time keeps them all for those without a reservation."""
    await world.deployed()
    small = Concurrency(world.catalog, world.node, 50)
    with pytest.raises(InvalidValue, match=r"\[50\]"):
        await small.put("echo", 1)
    assert await small.put("echo", 0) == 0


async def test_a_deleted_function_reserves_nothing(world):
    """Its share goes back to the others, and a new function of its name begins without."""
    await world.deployed()
    await world.concurrency.put("echo", 7)
    await world.deployer.delete("echo")
    assert world.node.reserved == {"echo": None}
    await world.deployed()
    assert world.concurrency.get("echo") is None
    assert (await world.reopened()).concurrency.get("echo") is None


async def test_what_does_not_exist_reserves_nothing(world):
    """No operation takes a name that is no function's."""
    with pytest.raises(FunctionNotFound):
        await world.concurrency.put("none", 1)
    with pytest.raises(FunctionNotFound):
        world.concurrency.get("none")
    with pytest.raises(FunctionNotFound):
        await world.concurrency.delete("none")
    assert world.node.reserved == {}
