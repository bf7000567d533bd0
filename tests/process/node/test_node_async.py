"""Handlers written with `async def`, over every launcher: one loop per instance, tasks for invocations."""

import asyncio
import json

import pytest

from torpor.core.invocation import Result

pytestmark = pytest.mark.slow


async def test_the_loop_is_kept_between_invocations(bench):
    """A lock and a task that one invocation leaves in the loop are there for the next one."""
    node = bench.open()
    revision = bench.revision(
        "import asyncio\nloops, left = [], []\n"
        "async def later():\n    await asyncio.sleep(0)\n    left.append('done')\n"
        "async def handler(event, context):\n"
        "    loops.append(asyncio.get_running_loop())\n"
        "    if not left:\n        left.append(asyncio.ensure_future(later()))\n"
        "    else:\n        await left[0]\n"
        "    return [len(set(map(id, loops))), len(left), context.aws_request_id]\n"
    )
    first = json.loads((await bench.call(node, revision, request_id="one")).payload)
    second = json.loads((await bench.call(node, revision, request_id="two")).payload)
    assert first == [1, 1, "one"]
    assert second == [1, 2, "two"]


async def test_invocations_are_tasks_of_one_loop_where_the_revision_allows_it(bench):
    """With max_concurrency above one, calls overlap in one thread, each with context variables of its own."""
    node = bench.open()
    revision = bench.revision(
        "import asyncio, contextvars, logging, os, threading\nmine = contextvars.ContextVar('mine', default='unset')\n"
        "here, gate = 0, asyncio.Event()\n"
        "async def handler(event, context):\n"
        "    global here\n    before = mine.get()\n    mine.set(event)\n    here += 1\n"
        "    if here == 4:\n        gate.set()\n"
        "    await asyncio.wait_for(gate.wait(), 10)\n    logging.warning('mine')\n"
        "    return [before, mine.get(), os.getpid(), threading.get_ident()]\n",
        max_concurrency=4,
    )
    outcomes = await asyncio.gather(*(bench.call(node, revision, n, request_id=f"call-{n}") for n in range(4)))
    answers = [json.loads(one.payload) for one in outcomes]
    assert [one[:2] for one in answers] == [["unset", n] for n in range(4)]
    assert len({tuple(one[2:]) for one in answers}) == 1
    lines = [line.decode() for line in bench.log.text().encode().splitlines() if b"[WARNING]" in line]
    assert sorted(line.split("\t")[2] for line in lines) == [f"call-{n}" for n in range(4)]


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ("raise KeyError('x')", "KeyError", "'x'"),
        ("return object()", "Runtime.MarshalError", "Object of type object is not JSON serializable"),
        ("asyncio.current_task().cancel(); await asyncio.sleep(1)", "CancelledError", ""),
    ],
)
async def test_an_async_handlers_error_answers_its_invocation(bench, body, kind, message):
    """The error object is Lambda's, its trace begins with the handler, and the instance goes on."""
    node = bench.open()
    revision = bench.revision(
        f"import asyncio\ncalls = 0\nasync def handler(event, context):\n    global calls\n    calls += 1\n"
        f"    if event == 'count':\n        return calls\n    {body}\n"
    )
    outcome = await bench.call(node, revision, request_id="some-id")
    error = json.loads(outcome.payload)
    assert (outcome.result, outcome.function_error) == (Result.ERROR, "Unhandled")
    assert (error["errorType"], error["requestId"]) == (kind, "some-id")
    assert message in error["errorMessage"]
    assert not error["stackTrace"] or "app.py" in error["stackTrace"][0]
    assert (await bench.call(node, revision, "count")).payload == b"2"


async def test_an_async_handler_that_leaves_or_takes_too_long_ends_its_instance(bench):
    """An exit is told with its status, a time-out with its seconds, and the next invocation finds a new instance."""
    node = bench.open()
    revision = bench.revision(
        "import asyncio, sys\nn = 0\nasync def handler(event, context):\n    global n\n    n += 1\n"
        "    if event == 'exit':\n        sys.exit(3)\n    if event == 'hang':\n        await asyncio.sleep(60)\n    return n\n",
        timeout_s=1,
    )
    left = json.loads((await bench.call(node, revision, "exit")).payload)
    assert left["errorType"] == "Runtime.ExitError"
    assert "exit status 3" in left["errorMessage"]
    assert (await bench.call(node, revision)).payload == b"1"
    assert (await bench.call(node, revision, "hang")).result is Result.TIMEOUT
    assert (await bench.call(node, revision)).payload == b"1"
    assert "never retrieved" not in bench.log.text()


@pytest.mark.parametrize("slots", [1, 3])
async def test_a_plain_function_may_return_a_coroutine(bench, slots):
    """What a decorator around an `async def` returns is awaited, in one loop, whatever the concurrency."""
    node = bench.open()
    revision = bench.revision(
        "import asyncio, functools\nloops = set()\n"
        "def traced(function):\n    @functools.wraps(function)\n    def wrapper(event, context):\n"
        "        return function(event, context)\n    return wrapper\n"
        "@traced\nasync def handler(event, context):\n"
        "    loops.add(id(asyncio.get_running_loop()))\n    await asyncio.sleep(0)\n    return len(loops)\n",
        max_concurrency=slots,
    )
    outcomes = await asyncio.gather(*(bench.call(node, revision) for _ in range(slots)))
    assert {one.payload for one in outcomes} == {b"1"}


async def test_a_loop_that_the_module_made_is_the_one_that_runs(bench):
    """What was bound to a loop while the module was imported works in the handler."""
    node = bench.open()
    revision = bench.revision(
        "import asyncio\nloop = asyncio.new_event_loop()\nasyncio.set_event_loop(loop)\nready = loop.create_future()\n"
        "ready.set_result('here')\nasync def handler(event, context):\n    return await ready\n"
    )
    assert (await bench.call(node, revision)).payload == b'"here"'
