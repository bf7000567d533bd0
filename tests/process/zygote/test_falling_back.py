"""When an instance is not forked, it is started afresh, works, and says why."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from torpor.core.invocation import Depth

PLAIN = "def handler(event, context): return 1"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()",
            "libraries (lively) start 1 thread when",
        ),
        ("import subprocess\nchild = subprocess.Popen(['sleep', '600'])", "libraries (lively) start processes when"),
        ("kept = open(__file__)", "libraries (lively) keep open /"),
    ],
)
async def test_libraries_that_forbid_a_fork_are_refused_with_the_reason(nursery, text, reason):
    """A thread, a process or an open file after the imports: no fork is safe, and instances start by spawn."""
    nursery.module("lively", text)
    revision = nursery.revision("import lively\ndef handler(e, c): return 1")
    await nursery.call(revision)
    await nursery.until(lambda: nursery.place.refused)
    again = nursery.revision("import lively\ndef handler(e, c): return 2")
    assert await nursery.answer(again) == (2, Depth.SPAWN)
    assert reason in nursery.node.start_of(again.name).reason
    assert nursery.node.start_of(again.name).depth is Depth.SPAWN


@pytest.mark.slow
async def test_a_library_that_fails_to_import_is_left_out(nursery):
    """What cannot be imported beforehand is skipped, and everything else is loaded."""
    nursery.module("moody", "import os\nif os.getpid() != 2: raise RuntimeError('not here')")
    code = "import moody, csv\ndef handler(e, c): return 1"
    zygote = await nursery.warm(code)
    assert "not here" in zygote.skipped["moody"]
    assert await nursery.answer(nursery.revision(code)) == (1, Depth.ZYGOTE)
    await nursery.settled()
    assert nursery.place.zygote is zygote  # that it is imported each time is no news


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "files", "reason"),
    [
        ({"variables": {"OMP_NUM_THREADS": "4"}}, {}, "OMP_NUM_THREADS"),
        ({"variables": {"PYTHONHASHSEED": "0"}}, {}, "PYTHONHASHSEED"),
        ({}, {"csv.py": "mine = True"}, "its own csv.py"),
    ],
)
async def test_what_a_fork_could_not_give_is_started_afresh(nursery, config, files, reason):
    """Variables that are read when libraries are loaded, and code that hides a library, are honoured by a fresh start."""
    await nursery.warm("import csv\ndef handler(e, c): return 1")
    revision = nursery.revision("import csv\ndef handler(e, c): return 'mine' in vars(csv)", **config)
    for name, text in files.items():
        (Path(revision.code_dir) / name).write_text(text)
    assert await nursery.answer(revision) == (bool(files), Depth.SPAWN)
    assert reason in nursery.node.start_of(revision.name).reason


@pytest.mark.slow
async def test_code_that_initialises_only_afresh_is_never_forked_again(nursery):
    """A handler that cannot be loaded in a fork is loaded in a fresh instance, for the same call, and that is remembered."""
    nursery.module("shared", "import os\npid = os.getpid()")
    await nursery.warm("import shared\ndef handler(e, c): return 1")
    revision = nursery.revision("import os, shared\nassert shared.pid == os.getpid()\ndef handler(e, c): return 1")
    assert await nursery.answer(revision) == (1, Depth.SPAWN)
    assert "failed in a forked instance" in nursery.node.start_of(revision.name).reason


@pytest.mark.slow
async def test_a_fault_of_the_functions_own_is_not_blamed_on_the_fork(nursery):
    """Code that cannot be loaded either way fails with its own error."""
    await nursery.warm()
    outcome = await nursery.call(nursery.revision("import no_such_module\ndef handler(e, c): return 1"))
    assert b"no_such_module" in outcome.payload
    assert outcome.function_error == "Unhandled"


@pytest.mark.slow
async def test_a_zygote_that_hangs_costs_no_answer(nursery):
    """A stopped zygote delays a start by its bound, and then the call is served from a fresh interpreter."""
    await nursery.warm()
    os.kill(nursery.zygote_process(), signal.SIGSTOP)
    nursery.sandboxes._options = type(nursery.sandboxes._options)(
        data_dir=nursery.sandboxes._options.data_dir, run_dir=nursery.sandboxes._options.run_dir, start_timeout_s=1.0
    )
    for _ in range(4):  # more than there are blanks
        revision = nursery.revision(PLAIN)
        assert (await nursery.answer(revision))[0] == 1
    assert nursery.node.start_of(revision.name).depth is Depth.SPAWN


@pytest.mark.slow
@pytest.mark.parametrize("blanks", [0])
async def test_a_hung_zygote_is_replaced_and_a_fifth_one_is_the_last(nursery):
    """One that does not fork in time gives way to another; where they all hang, the libraries are to blame."""
    options = nursery.sandboxes._zygotes._options
    nursery.sandboxes._zygotes._options = replace(options, fork_s=1.0, check_s=0.1)
    for last in (False, True):
        zygote = await nursery.warm()
        nursery.place.hangs = 4 * last
        zygote.forked_at = 0.0
        os.kill(nursery.zygote_process(), signal.SIGSTOP)
        revision = nursery.revision(PLAIN)
        assert await nursery.answer(revision) == (1, Depth.SPAWN)
        assert "did not fork within 1 s" in nursery.node.start_of(revision.name).reason
        await nursery.until(lambda: not nursery.place.old)
        assert nursery.place.refused is last
    await nursery.settled()
    assert await nursery.answer(nursery.revision(PLAIN)) == (1, Depth.SPAWN)
    assert "did not fork" in nursery.start[1]


@pytest.mark.slow
@pytest.mark.parametrize("blanks", [0])
async def test_a_slow_zygote_is_kept(nursery):
    """One that forked a moment ago is at work: a birth that comes too late starts afresh, and says why."""
    options = nursery.sandboxes._zygotes._options
    nursery.sandboxes._zygotes._options = replace(options, fork_s=1.0)
    zygote = await nursery.warm()
    zygote.forked_at = nursery.sandboxes._zygotes._clock() + 600  # others are born all the time
    process = nursery.zygote_process()
    os.kill(process, signal.SIGSTOP)
    assert await nursery.answer(nursery.revision(PLAIN)) == (1, Depth.SPAWN)
    os.kill(process, signal.SIGCONT)
    nursery.sandboxes._zygotes._options = options
    assert nursery.place.zygote is zygote
    assert await nursery.answer(nursery.revision(PLAIN)) == (1, Depth.ZYGOTE)
