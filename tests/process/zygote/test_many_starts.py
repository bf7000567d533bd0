"""After thousands of forked starts and stops everything is as after the first hundred."""

import asyncio
from pathlib import Path

import pytest

from torpor.core.arn import Home
from torpor.core.invocation import Depth
from torpor.core.limits import Limits
from torpor.runtime.world import build_world

STARTS, AT_ONCE = 2000, 8
PLAIN = "def handler(event, context): return 1"


def _resident_kb(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)


def _held(pid):
    """(descriptors, mounts) of a process."""
    process = Path(f"/proc/{pid}")
    return len(list((process / "fd").iterdir())), len((process / "mountinfo").read_text().splitlines())


def _standing(nursery):
    """What may not grow: of ourselves, and of each process that stays, from the sentinel to the zygote."""
    kept = {pid: _held(pid) for pid in nursery.processes()}
    free = len(nursery.sandboxes._free_ids), len(nursery.place.zygote._free_ids), nursery.place.zygote.born
    return nursery.traces(), kept, _held("self"), free


@pytest.mark.full
@pytest.mark.timeout(900)
@pytest.mark.parametrize("blanks", [0])
async def test_thousands_of_forked_starts_leave_nothing_and_take_nothing_more(nursery):
    """Descriptors, processes, mounts, control groups, user ids and memory stay flat, in the server and below it."""
    await nursery.warm(keep_alive_s=0)
    revision = nursery.revision(PLAIN)

    async def one():
        world = build_world(revision, home=Home(), limits=Limits())
        launched = await nursery.sandboxes.start(world.spec)
        assert launched.depth is Depth.ZYGOTE, launched.reason
        await launched.close()

    async def some(count):
        for _ in range(count // AT_ONCE):
            await asyncio.gather(*(one() for _ in range(AT_ONCE)))

    await some(200)
    await nursery.until(lambda: nursery.place.zygote.unused and not nursery.place.old)
    before = _standing(nursery)
    resident = {pid: _resident_kb(pid) for pid in before[1]}
    ours = _resident_kb("self")
    await some(STARTS)
    await nursery.until(lambda: _standing(nursery) == before)
    assert {pid: _resident_kb(pid) - was for pid, was in resident.items() if _resident_kb(pid) - was > 1024} == {}
    assert _resident_kb("self") - ours < 16 * 1024
