"""Instances that are forked: what they are told apart by, what works in them, and how they end."""

import asyncio
import json
import os
import signal

import pytest

from torpor.core.invocation import Depth, Result

SAME = """
import os, random, secrets, ssl, tempfile, uuid, sys
import shared
def handler(event, context):
    shared.things.append(1)
    return {
        "random": random.random(), "secrets": secrets.token_hex(8), "uuid": str(uuid.uuid4()), "ssl": ssl.RAND_bytes(8).hex(),
        "temporary": tempfile.mktemp(), "things": len(shared.things), "pid": os.getpid(),
        "preloaded": shared.loaded_in, "here": os.getpid(), "torpor": [name for name in sys.modules if name.startswith("torpor")],
        "path": sys.path, "argv": sys.argv, "main": sys.modules["__main__"].__file__, "stdout": sys.stdout.name,
    }
"""
SHARED = "import os, random, ssl\nthings = []\nloaded_in = os.getpid()\nrandom.random()\nssl.RAND_bytes(1)\n"


@pytest.mark.slow
async def test_siblings_share_libraries_and_nothing_else(nursery):
    """Forked from one zygote, each has its own state, its own chance, and its own process 2."""
    nursery.module("shared", SHARED)
    revisions = [nursery.revision(SAME) for _ in range(4)]
    spawned, depth = await nursery.answer(revisions[0])
    assert (depth, spawned["preloaded"]) == (Depth.SPAWN, 2)
    await nursery.settled()
    answers = [await nursery.answer(revision) for revision in revisions[1:]]
    assert {depth for _, depth in answers} == {Depth.ZYGOTE}
    seen = [answer for answer, _ in answers]
    assert all(one["preloaded"] not in (1, 2) for one in seen)
    assert {one["things"] for one in seen} == {1}
    assert {one["pid"] for one in seen} == {2}
    for chance in ("random", "secrets", "uuid", "ssl", "temporary"):
        assert len({one[chance] for one in (*seen, spawned)}) == 4, chance
    for alike in ("torpor", "path", "argv", "main", "stdout"):
        assert {json.dumps(one[alike]) for one in seen} == {json.dumps(spawned[alike])}, alike


ORDINARY = """
import multiprocessing, subprocess, sys, threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
def double(number):
    return 2 * number
def handler(event, context):
    with ThreadPoolExecutor(2) as pool:
        threads = list(pool.map(double, [1, 2]))
    with multiprocessing.get_context("fork").Pool(2) as pool:
        forked = pool.map(double, [3, 4])
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        spawned = list(pool.map(abs, [-5, -6]))
    said = subprocess.run([sys.executable, "-c", "print(7)"], capture_output=True, text=True, check=True).stdout
    return [threads, forked, spawned, said]
"""


@pytest.mark.slow
async def test_threads_pools_and_programs_work(nursery):
    """Threads, forked and spawned pools and subprocesses are in a forked instance as in any other."""
    await nursery.warm(ORDINARY)
    assert await nursery.answer(nursery.revision(ORDINARY)) == ([[2, 4], [6, 8], [5, 6], "7\n"], Depth.ZYGOTE)


@pytest.mark.slow
async def test_what_goes_wrong_is_told_as_of_any_other_instance(nursery):
    """Errors, exits, signals, time-outs and want of memory are the same outcomes."""
    await nursery.warm()
    cases = {
        "raise ValueError('so')": Result.ERROR,
        "import os; os._exit(3)": Result.EXIT,
        "import os; os.abort()": Result.EXIT,
        "import time; time.sleep(60)": Result.TIMEOUT,
        "x = [bytearray(1 << 20) for _ in range(4096)]": Result.OUT_OF_MEMORY,
    }
    for code, result in cases.items():
        revision = nursery.revision(f"def handler(event, context):\n    {code}", timeout_s=5)
        outcome = await nursery.call(revision)
        assert (outcome.result, outcome.usage.depth) == (result, Depth.ZYGOTE), code


@pytest.mark.slow
async def test_what_is_printed_reaches_the_log(nursery):
    """Standard output, standard error and logging are the instance's own, line by line."""
    await nursery.warm("import logging\ndef handler(e, c): return 1")
    code = "import logging, sys\ndef handler(e, c):\n    print('out'); print('err', file=sys.stderr); logging.warning('logged')"
    revision = nursery.revision(code)
    assert (await nursery.answer(revision))[1] is Depth.ZYGOTE
    lines = b"\n".join(line.line for line in nursery.log.lines)
    assert all(word in lines for word in (b"out", b"err", b"logged"))


@pytest.mark.slow
async def test_the_own_code_and_variables_are_those_of_the_function(nursery):
    """Each forked instance sees its own /var/task and variables, of whatever other function was forked before."""
    await nursery.warm()
    code = (
        "import os\ndef handler(e, c): return [os.environ['WHO'], open('/var/task/app.py').read()[-1], os.getcwd()]\n#"
    )
    for number in range(4):
        revision = nursery.revision(f"{code}{number}", variables={"WHO": f"f{number}"})
        assert await nursery.answer(revision) == ([f"f{number}", str(number), "/var/task"], Depth.ZYGOTE)


@pytest.mark.slow
async def test_a_killed_zygote_is_replaced_and_its_instances_live_on(nursery):
    """When a zygote dies those born of it go on, the next start is told why it was slow, and then there is another."""
    first = await nursery.warm()
    revision = nursery.revision("n = 0\ndef handler(e, c):\n    global n; n += 1; return n")
    assert await nursery.answer(revision) == (1, Depth.ZYGOTE)
    await nursery.settled()
    os.kill(nursery.zygote_process(), signal.SIGKILL)
    await nursery.until(lambda: nursery.place.zygote is not first)
    assert await nursery.answer(revision) == (2, Depth.WARM)
    await nursery.until(lambda: nursery.place.zygote is not None)
    assert await nursery.answer(revision) == (3, Depth.WARM)
    assert (await nursery.answer(nursery.revision("def handler(e, c): return 0")))[1] is Depth.ZYGOTE


@pytest.mark.slow
@pytest.mark.parametrize("blanks", [0])
async def test_nothing_is_left_of_many_instances(nursery):
    """After many starts descriptors, processes and control groups are as before."""
    await nursery.warm()

    async def some():
        revisions = [nursery.revision("def handler(e, c): return 0") for _ in range(4)]
        assert {depth for _, depth in await asyncio.gather(*map(nursery.answer, revisions))} == {Depth.ZYGOTE}
        for revision in revisions:
            await nursery.node.retire(revision.key)
        await nursery.until(lambda: len(nursery.node.statistics().pools) == 1)  # the first one's, kept alive

    await some()
    before = nursery.traces()
    for _ in range(10):
        await some()
    await nursery.until(lambda: nursery.traces() == before)
