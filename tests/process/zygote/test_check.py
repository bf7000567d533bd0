"""The deployment check with real zygotes: what it finds out is known before the first call."""

import asyncio

import pytest

from torpor.core.invocation import Depth
from torpor.policy import check
from torpor.policy.check import Ending, Verdict
from torpor.runtime.starts import Start

PLAIN = "def handler(event, context): return 1"
SECRET_PID = "import os, shared\nforked = os.getpid() != shared.pid\n"  # a fresh instance imports it itself


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    monkeypatch.setattr(check, "_FORKED_S", 1.0)
    monkeypatch.setattr(check, "_FORKED_LEAST_S", 1.0)
    monkeypatch.setattr(check, "_SLOW_PART", 60.0)  # a busy machine is slow afresh as well


def shared(nursery):
    nursery.module("shared", "import os\npid = os.getpid()")


def traced(nursery):
    return b"\n".join(line.line for line in nursery.log.lines)


@pytest.mark.slow
async def test_before_the_first_call_there_is_a_zygote_with_its_modules(nursery):
    """What it imports is learned by the check, which never calls the handler; the first call is forked."""
    nursery.module("heavy", "import os\nborn = os.getpid()")
    revision = nursery.revision(
        "import heavy\nprint('imported')\ndef handler(e, c): print('called'); return heavy.born"
    )
    assert await nursery.node.check(revision) == Verdict(Ending.READY)
    assert "heavy" in nursery.place.zygote.modules
    assert nursery.node.start_of(revision.name) == Start(Depth.ZYGOTE)
    assert nursery.node.statistics().pools == ()
    assert b"imported" in traced(nursery)
    assert b"INIT_REPORT" in traced(nursery)
    assert b"called" not in traced(nursery)
    assert await nursery.answer(revision) == (3, Depth.ZYGOTE)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("does", "how"), [("import time; time.sleep(60)", "hung"), ("raise RuntimeError('no forks')", "no forks")]
)
@pytest.mark.parametrize("warm", [True, False])
async def test_what_goes_wrong_in_a_fork_alone_is_started_afresh_from_then_on(nursery, does, how, warm):
    """Whether there was a zygote before or not: the first call starts by spawn at once, and the reason is told."""
    shared(nursery)
    if warm:
        await nursery.warm("import shared\ndef handler(e, c): return 1")
    revision = nursery.revision(f"{SECRET_PID}if forked:\n    {does}\n{PLAIN}")
    found = await nursery.node.check(revision)
    assert found.ending is Ending.READY
    assert how in found.unfit
    assert nursery.node.start_of(revision.name) == Start(Depth.SPAWN, found.unfit)
    async with asyncio.timeout(5):
        assert await nursery.answer(revision) == (1, Depth.SPAWN)
    assert nursery.node.start_of(revision.name) == Start(Depth.SPAWN, found.unfit)
    await nursery.node.retire(revision.key)
    assert nursery.node.check_of(revision.name) is None


@pytest.mark.slow
async def test_what_goes_wrong_either_way_is_told_and_not_blamed_on_the_fork(nursery):
    """The error is in the check's result and in the log; the first call gets it, too."""
    await nursery.warm()
    revision = nursery.revision("import no_such_module\ndef handler(e, c): return 1")
    found = await nursery.node.check(revision)
    assert (found.ending, found.unfit) == (Ending.FAILED, "")
    assert "no_such_module" in found.error
    assert nursery.node.check_of(revision.name) == found
    assert b"does not initialise: Runtime.ImportModuleError" in traced(nursery)
    assert (await nursery.call(revision)).function_error == "Unhandled"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "config", "reason"),
    [
        ("import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()", {}, "thread"),
        ("", {"variables": {"OMP_NUM_THREADS": "4"}}, "OMP_NUM_THREADS"),
    ],
)
async def test_why_it_will_not_be_forked_is_known_after_the_check(nursery, text, config, reason):
    """Libraries that forbid a fork, and variables that do."""
    nursery.module("lively", text)
    revision = nursery.revision("import lively\ndef handler(e, c): return 1", **config)
    assert (await nursery.node.check(revision)).ending is Ending.READY
    start = nursery.node.start_of(revision.name)
    assert start.depth is Depth.SPAWN
    assert reason in start.reason


@pytest.mark.slow
async def test_a_check_takes_nobodys_memory(nursery):
    """Where there is no room it is not made, and a call is not kept from its own."""
    nursery.node._capacity._memory_mb = 200
    busy = nursery.revision("import time\ndef handler(e, c): time.sleep(e); return 1", memory_mb=150)
    running = asyncio.create_task(nursery.answer(busy, 1))
    await nursery.until(lambda: nursery.node.statistics().pools)
    found = await nursery.node.check(nursery.revision(PLAIN, memory_mb=128))
    assert found.ending is Ending.UNKNOWN
    assert "memory" in found.error
    assert (await running)[0] == 1
    assert len(nursery.node._capacity._consumers) == len(nursery.node.statistics().pools)


@pytest.mark.slow
@pytest.mark.parametrize("blanks", [0])
async def test_a_check_that_is_cancelled_leaves_nothing(nursery):
    """Its instance ends, its memory is free, and its code is not held as being in use."""
    await nursery.warm()
    before = nursery.traces()
    revision = nursery.revision("import time\nprint('asleep', flush=True)\ntime.sleep(60)\n" + PLAIN)
    task = asyncio.create_task(nursery.node.check(revision))
    await nursery.until(lambda: b"asleep" in traced(nursery))
    assert revision.key in nursery.node.running()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    assert revision.key not in nursery.node.running()
    assert nursery.node.check_of(revision.name) is None
    await nursery.until(lambda: nursery.traces() == before)
