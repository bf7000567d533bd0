"""When a pool freezes, thaws and ends its instances, told by guests that only count."""

import asyncio

from torpor.testing.revisions import make_revision
from torpor.wire.frames import Kind


def echo(guest):
    guest.echo()


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - seen from outside only
            await asyncio.sleep(0.005)


async def test_an_idle_instance_is_frozen_once_and_thawed_by_the_next_call(stage):
    """One write when it has been idle for a moment, one when it is called; the pool's statistics tell."""
    node = stage.open(echo, freeze_after_s=0.02)
    await stage.call()
    (instance,) = stage.launcher.instances
    await until(lambda: instance.frozen)
    assert node.statistics().pools[0].frozen == node.statistics().pools[0].idle == 1
    await stage.call()
    assert (instance.freezes, instance.thaws) == (1, 1)
    await until(lambda: instance.frozen)
    assert instance.freezes == 2


async def test_calls_back_to_back_neither_freeze_nor_thaw(stage):
    """A busy instance costs no write to its control group."""
    stage.open(echo, freeze_after_s=1)
    for _ in range(100):
        await stage.call()
    (instance,) = stage.launcher.instances
    assert (instance.freezes, instance.thaws) == (0, 0)


async def test_a_frozen_instance_ends_after_its_keep_alive(stage):
    """Freezing first and ending later come from one timer."""
    node = stage.open(echo, freeze_after_s=0.02, keep_alive_s=0.1)
    await stage.call()
    await until(lambda: node.statistics().pools == ())
    (instance,) = stage.launcher.instances
    assert (instance.freezes, instance.thaws) == (1, 0)


async def test_what_was_started_for_a_caller_that_left_rests_too(stage):
    """An instance that nobody ever called is frozen, and ends, like any other."""
    node = stage.open(echo, freeze_after_s=0.02, keep_alive_s=0.1)
    call = asyncio.create_task(stage.call())
    await until(lambda: node.statistics().pools)
    call.cancel()
    await until(lambda: node.statistics().pools == ())
    assert [one.freezes for one in stage.launcher.instances] in ([1], [])


async def test_a_control_group_that_is_gone_fails_one_call_at_most(stage):
    """When an instance cannot be thawed it is ended, its caller told, and the next call gets another."""
    stage.open(echo, freeze_after_s=0.01)
    await stage.call()
    (instance,) = stage.launcher.instances
    await until(lambda: instance.frozen)

    def gone():
        raise OSError("no such group")

    instance.thaw = gone
    outcome = await stage.call()
    assert outcome.function_error == "Unhandled"
    assert (await stage.call()).payload == b'"echo"'


async def test_an_instance_with_several_slots_is_frozen_when_all_are_free(stage, tmp_path):
    """While one of its invocations runs, it does."""
    held = []

    def two_at_a_time(guest):
        guest.ready()
        while (frame := guest.receive()) is not None:
            held.append((guest, frame))

    stage.revision = make_revision(tmp_path / "slots", "", max_concurrency=2, timeout_s=5)
    stage.open(two_at_a_time, freeze_after_s=0.02)
    calls = [asyncio.create_task(stage.call()) for _ in range(2)]
    await until(lambda: len(held) == 2)
    answer(*held[0])
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(0.06)
    (instance,) = stage.launcher.instances
    assert not instance.frozen
    answer(*held[1])
    await until(lambda: instance.frozen)
    await asyncio.gather(*calls)


def answer(guest, frame):
    guest.send(Kind.RESULT, frame.id, b"1")
