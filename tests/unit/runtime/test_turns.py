"""Taking turns: a few at a time, kinds in rotation, nothing lost by who leaves."""

import asyncio

from torpor.runtime.turns import Turns


class Workers:
    """Takes turns, and notes who has had one."""

    def __init__(self, at_once):
        self.turns = Turns(at_once)
        self.begun = []
        self.may_end = asyncio.Event()

    async def work(self, kind):
        await self.turns.take(kind)
        self.begun.append(kind)
        try:
            await self.may_end.wait()
        finally:
            self.turns.give_back()


async def _settle():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_no_more_than_so_many_have_their_turn_at_a_time():
    """The others wait until one has ended, and then all come to it."""
    workers = Workers(at_once=3)
    tasks = [asyncio.create_task(workers.work("one")) for _ in range(10)]
    await _settle()
    assert len(workers.begun) == 3
    workers.may_end.set()
    await asyncio.gather(*tasks)
    assert len(workers.begun) == 10


async def test_the_many_of_one_kind_do_not_keep_another_waiting():
    """A kind that comes last has its turn after one of each other, in whatever number those wait."""
    workers = Workers(at_once=1)
    kinds = ["first", "many", "many", "many", "some", "some", "single"]
    tasks = [asyncio.create_task(workers.work(kind)) for kind in kinds]
    await _settle()
    workers.may_end.set()
    await asyncio.gather(*tasks)
    assert workers.begun == ["first", "many", "some", "single", "many", "some", "many"]


async def test_who_leaves_while_waiting_or_as_its_turn_comes_takes_none_away():
    """Afterwards as many have their turn at a time as before."""
    workers = Workers(at_once=1)
    await workers.turns.take("ours")
    tasks = [asyncio.create_task(workers.work(place)) for place in range(3)]
    await _settle()
    tasks[0].cancel()
    await _settle()
    workers.may_end.set()
    workers.turns.give_back()  # to the second, who leaves in this very moment
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert workers.begun == [2]
    await asyncio.wait_for(workers.work("later"), 1)
