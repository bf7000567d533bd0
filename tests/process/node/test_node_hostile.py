"""Handlers that mean harm: each fails its own invocation as documented, while another function keeps answering."""

import asyncio
import contextlib
import json

import pytest

from torpor.core.invocation import Depth, Result

pytestmark = pytest.mark.slow


@contextlib.asynccontextmanager
async def load(bench, node):
    """Another function, called by two callers all the while; it must not see a single error."""
    revision = bench.revision("def handler(event, context):\n    return event\n", name="victim", timeout_s=30)
    answers, going = [], True

    async def caller():
        while going:
            outcome = await bench.call(node, revision, len(answers))
            answers.append(outcome)

    callers = [asyncio.create_task(caller()) for _ in range(2)]
    await bench.until(lambda: len(answers) > 10)
    before = len(answers)
    yield
    await bench.until(lambda: len(answers) > before)
    going = False
    await asyncio.gather(*callers)
    assert {one.function_error for one in answers} == {None}
    assert sum(one.usage.depth is not Depth.WARM for one in answers) <= 2


def hostile(bench, body, **config):
    indented = "\n".join(f"    {line}" for line in body.splitlines())
    code = f"import os, signal, sys, time\ndef handler(event, context):\n    if event: return event\n{indented}\n"
    return bench.revision(code, name="hostile", **config)


async def attack(bench, body, **config):
    """Run it under load and once more afterwards; returns the attack's outcome and error."""
    node = bench.open(limits={"log_rate": 8_000_000, "log_burst": 8_000_000})
    revision = hostile(bench, body, **config)
    async with load(bench, node):
        outcome = await bench.call(node, revision)
    assert (await bench.call(node, revision, 1)).payload == b"1"
    assert len(node.statistics().of("hostile")) == 1
    assert node.statistics().of("hostile")[0].idle == 1
    return outcome, json.loads(outcome.payload) or {}


async def test_closing_every_descriptor(bench):
    """Without a control channel there is no answer: the process is ended and the invocation fails."""
    outcome, error = await attack(bench, "os.closerange(0, 4096)")
    assert outcome.result is Result.EXIT
    assert error["errorType"] == "Runtime.ExitError"


async def test_closing_every_descriptor_and_staying(bench):
    """Hanging up and going on is ended well before the timeout."""
    outcome, error = await attack(bench, "os.closerange(0, 4096)\ntime.sleep(60)", timeout_s=30)
    assert outcome.usage.duration_ms < 5000
    assert error["errorMessage"].endswith("it hung up on torpor's control channel")


async def test_writing_garbage_to_every_descriptor(bench):
    """Garbage on the control channel is a breach of the protocol: the process is ended, whatever it returns."""
    body = "for fd in range(0, 4096):\n    try: os.write(fd, b'garbage' * 50)\n    except OSError: pass\nreturn 'fine'"
    outcome, error = await attack(bench, body)
    assert outcome.result is Result.EXIT
    assert error["errorType"] == "Runtime.ExitError"
    assert "control channel" in error["errorMessage"]


async def test_forging_answers(bench):
    """An answer to a request that is not open is a breach of the protocol."""
    body = (
        "import socket, struct\n"
        "for fd in range(3, 4096):\n"
        "    try: socket.socket(fileno=os.dup(fd)).sendall(struct.pack('<BQI', 18, 999, 2) + b'{}')\n"
        "    except OSError: pass\n"
        "time.sleep(60)"
    )
    _outcome, error = await attack(bench, body, timeout_s=30)
    assert "an answer to request 999, which is not open," in error["errorMessage"]


async def test_an_answer_of_boundless_length(bench):
    """A frame that announces more than is allowed ends the process before anything is kept."""
    body = (
        "import socket, struct\n"
        "for fd in range(3, 4096):\n"
        "    try: socket.socket(fileno=os.dup(fd)).sendall(struct.pack('<BQI', 18, 1, 2**32 - 1))\n"
        "    except OSError: pass\n"
        "time.sleep(60)"
    )
    _outcome, error = await attack(bench, body, timeout_s=30)
    assert "a frame of 4294967295 bytes" in error["errorMessage"]


async def test_printing_without_end(bench):
    """A hundred megabytes are read at the allowed rate, on the printer's own time: it runs out of it."""
    _outcome, error = await attack(bench, "for i in range(100): print('x' * 999_999)\nreturn None", timeout_s=2)
    assert error["errorType"] == "Sandbox.Timedout"
    kept = sum(len(one.line) for one in bench.log.lines if one.line.startswith(b"x"))
    assert 8_000_000 <= kept <= 30_000_000


async def test_ignoring_every_signal(bench):
    """A handler that ignores what can be ignored is killed at its timeout."""
    body = "for n in range(1, 65):\n    try: signal.signal(n, signal.SIG_IGN)\n    except (OSError, ValueError): pass\nwhile True: pass"
    _outcome, error = await attack(bench, body, timeout_s=1)
    assert error["errorType"] == "Sandbox.Timedout"


async def test_leaving_at_once(bench):
    """os._exit fails the invocation with the status."""
    _outcome, error = await attack(bench, "os._exit(42)")
    assert error["errorMessage"].endswith("Runtime exited with error: exit status 42")


async def test_threads_that_print_after_the_answer(bench):
    """What a thread prints between invocations is logged under no request, and harms nobody."""
    body = (
        "import threading\n"
        "def chatter():\n    while True: print('chatter'); time.sleep(0.0001)\n"
        "threading.Thread(target=chatter, daemon=True).start()\nreturn 'started'"
    )
    node = bench.open()
    revision = hostile(bench, body)
    async with load(bench, node):
        assert (await bench.call(node, revision)).payload == b'"started"'
        await bench.until(lambda: any(one.line == b"chatter" and not one.request_id for one in bench.log.lines))
        assert (await bench.call(node, revision, 1)).payload == b"1"


async def test_killing_its_parent_and_everyone_else(walled):
    """Nothing outside is reached; what it does to its own instance fails its own invocation."""
    body = (
        "for target in (os.getppid(), 1, -1):\n"
        "    try: os.kill(target, signal.SIGKILL)\n    except OSError: pass\n"
        "return 'alive'"
    )
    outcome, error = await attack(walled, body)
    assert outcome.payload == b'"alive"' or error["errorType"] == "Runtime.ExitError"


async def test_forking_without_end(walled):
    """The process limit stops it; its invocation fails or times out, and every child ends with it."""
    body = "while True:\n    try: os.fork()\n    except OSError: time.sleep(0.01)"
    _outcome, error = await attack(walled, body, timeout_s=2)
    assert error["errorType"] in ("Sandbox.Timedout", "Runtime.ExitError", "Runtime.OutOfMemory")


async def test_filling_tmp(walled):
    """/tmp has its own size, and overfilling it is an ordinary error to the handler."""
    body = "with open('/tmp/fill', 'wb') as f:\n    while True: f.write(b'x' * 1_000_000)"
    _outcome, error = await attack(walled, body, timeout_s=30)
    assert error["errorType"] == "OSError"
    assert "No space left on device" in error["errorMessage"]


async def test_allocating_without_end(walled):
    """The memory limit ends the whole instance, and the error says so."""
    body = "hoard = []\nwhile True: hoard.append(bytearray(10_000_000))"
    outcome, error = await attack(walled, body, timeout_s=30)
    assert outcome.result is Result.OUT_OF_MEMORY
    assert error["errorType"] == "Runtime.OutOfMemory", error


async def test_allocating_in_a_child(walled):
    """A child that meets the memory limit is not survived: the instance ends."""
    body = (
        "import subprocess\n"
        "code = 'x=[]\\nwhile True: x.append(bytearray(10_000_000))'\n"
        "return subprocess.run([sys.executable, '-c', code]).returncode"
    )
    _outcome, error = await attack(walled, body, timeout_s=30)
    assert error["errorType"] == "Runtime.OutOfMemory", error
