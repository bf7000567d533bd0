"""The node's contract, over every launcher: results, errors, logs and accounts of single invocations."""

import asyncio
import json

import pytest

from torpor.core.invocation import Depth, Result

pytestmark = pytest.mark.slow

ECHO = "def handler(event, context):\n    return event\n"


async def test_a_result_comes_back_and_the_instance_is_used_again(bench):
    """The first call starts an instance and says so, the second finds it warm, with its globals."""
    node = bench.open()
    revision = bench.revision("n = 0\ndef handler(event, context):\n    global n\n    n += 1\n    return [n, event]\n")
    first = await bench.call(node, revision, {"a": 1})
    second = await bench.call(node, revision, "text")
    assert json.loads(first.payload) == [1, {"a": 1}]
    assert json.loads(second.payload) == [2, "text"]
    assert (first.usage.depth, second.usage.depth) == (Depth.SPAWN, Depth.WARM)
    assert first.usage.init_ms > 0
    assert second.usage.init_ms == 0
    assert first.usage.billed_ms >= first.usage.init_ms + first.usage.duration_ms
    assert first.usage.cpu_ms > 0
    assert first.usage.max_memory_mb > 0
    assert first.function_error is None
    assert first.executed_version == "$LATEST"


async def test_the_handlers_world_is_lambdas(bench):
    """Variables, search path, working folder and context are those that Lambda documents."""
    node = bench.open()
    revision = bench.revision(
        "import os, sys\n"
        "def handler(event, context):\n"
        "    return {'env': dict(os.environ), 'path': sys.path[:3], 'cwd': os.getcwd(), 'type': type(event).__mro__[1].__name__,\n"
        "            'data': event.get_data(), 'ms': context.get_remaining_time_in_millis(), 'arn': context.invoked_function_arn}\n",
        variables={"MINE": "yes", "AWS_REGION": "mars", "LANG": "C"},
        timeout_s=3,
    )
    outcome = await bench.call(
        node, revision, {"k": 1}, trace_id="Root=1-2-3", qualifier="$LATEST", client_context='{"custom": {}}'
    )
    world = json.loads(outcome.payload)
    env = world["env"]
    assert env["MINE"] == "yes"
    assert env["AWS_REGION"] == env["AWS_DEFAULT_REGION"] == "us-east-1"
    assert env["LANG"] == "C"
    assert env["_HANDLER"] == "app.handler"
    assert env["_X_AMZN_TRACE_ID"] == "Root=1-2-3"
    assert env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "128"
    assert env["AWS_LAMBDA_INITIALIZATION_TYPE"] == "on-demand"
    assert env["AWS_LAMBDA_LOG_GROUP_NAME"] == "/aws/lambda/function"
    assert env["AWS_CONTAINER_CREDENTIALS_FULL_URI"].endswith("/_torpor/credentials")
    assert env["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
    assert not any(name.startswith("_TORPOR") for name in env)
    assert world["path"][0] == env["LAMBDA_TASK_ROOT"]
    assert world["path"][2] == "/opt/python"
    assert world["cwd"].endswith("/var/task") or world["cwd"] == revision.code_dir
    assert world["data"] == {"k": 1}
    assert world["type"] == "dict"
    assert 0 < world["ms"] <= 3000
    assert world["arn"] == "arn:aws:lambda:us-east-1:000000000000:function:function:$LATEST"


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ("return 1 / 0", "ZeroDivisionError", "division by zero"),
        ("return float('nan')", "Runtime.MarshalError", "Unable to marshal response: "),
        ("return b'bytes'", "Runtime.MarshalError", "Object of type bytes is not JSON serializable"),
        ("x = []; x.append(x); return x", "Runtime.MarshalError", "Circular reference detected"),
        ("return object()", "Runtime.MarshalError", "Object of type object is not JSON serializable"),
    ],
)
async def test_a_handlers_error_answers_its_invocation(bench, body, kind, message):
    """The error object is Lambda's, the error is logged, and the instance goes on."""
    node = bench.open()
    revision = bench.revision(f"def handler(event, context):\n    if event: return event\n    {body}\n")
    outcome = await bench.call(node, revision)
    error = json.loads(outcome.payload)
    assert error["errorType"] == kind
    assert message in error["errorMessage"]
    assert error["requestId"] == outcome.usage.request_id
    assert outcome.function_error == "Unhandled"
    assert outcome.result is Result.ERROR
    assert f"[ERROR] {kind}" in bench.log.text(outcome.usage.request_id)
    after = await bench.call(node, revision, 5)
    assert (after.payload, after.usage.depth) == (b"5", Depth.WARM)


async def test_a_trace_shows_the_users_frames_only(bench):
    """The first frame is the handler's own, in /var/task."""
    node = bench.open()
    outcome = await bench.call(node, bench.revision("def handler(event, context):\n    return 1 / 0\n"))
    (frame,) = json.loads(outcome.payload)["stackTrace"]
    assert frame.endswith('/var/task/app.py", line 2, in handler\n    return 1 / 0\n')


async def test_a_response_over_the_limit_is_lambdas_error(bench):
    """Seven megabytes are refused with the exact text, and the instance goes on."""
    node = bench.open()
    revision = bench.revision("def handler(event, context):\n    return 'x' * event\n")
    outcome = await bench.call(node, revision, 7_000_000)
    assert json.loads(outcome.payload) == {
        "errorType": "Function.ResponseSizeTooLarge",
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    }
    assert outcome.result is Result.TOO_LARGE
    fits = await bench.call(node, revision, 6_291_554)
    assert len(fits.payload) == 6_291_556
    assert fits.usage.depth is Depth.WARM


async def test_a_large_event_arrives_whole(bench):
    """Six megabytes in, untouched."""
    node = bench.open()
    revision = bench.revision("def handler(event, context):\n    return len(event)\n")
    assert (await bench.call(node, revision, "x" * 6_000_000)).payload == b"6000000"


@pytest.mark.parametrize(
    ("code", "handler", "kind", "message"),
    [
        ("import nothing_like_it", "app.handler", "Runtime.ImportModuleError",
         "Unable to import module 'app': No module named 'nothing_like_it'"),
        ("", "app.handler", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
        ("def handler(:", "app.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app'"),
        ("", "app", "Runtime.MalformedHandlerName", "Bad handler 'app'"),
        ("raise KeyError('at import')", "app.handler", "KeyError", "'at import'"),
        ("import sys; sys.exit(3)", "app.handler", "Runtime.ExitError", "Runtime exited with error: exit status 3"),
        ("import os; os._exit(0)", "app.handler", "Runtime.ExitError", "Runtime exited without providing a reason"),
    ],
)  # fmt: skip
async def test_a_failing_initialisation_answers_each_invocation(bench, code, handler, kind, message):
    """Whoever waited hears why, the next one tries again, and nothing stays behind."""
    node = bench.open()
    revision = bench.revision(code, handler=handler)
    for _ in range(2):
        outcome = await bench.call(node, revision)
        error = json.loads(outcome.payload)
        assert error["errorType"] == kind
        assert message in error["errorMessage"]
        assert error.get("requestId", "") == ""
        assert outcome.function_error == "Unhandled"
        assert outcome.usage.depth is not Depth.WARM
        assert outcome.usage.init_ms > 0
    await bench.until(lambda: node.statistics().pools == ())


async def test_an_initialisation_that_hangs_is_ended(bench):
    """Start timeout and function timeout together bound it, and the error says what happened."""
    node = bench.open(start_timeout_s=0.2)
    revision = bench.revision("import time\ntime.sleep(60)\ndef handler(e, c): pass\n", timeout_s=1)
    outcome = await bench.call(node, revision)
    error = json.loads(outcome.payload)
    assert error["errorType"] == "Sandbox.Timedout"
    assert "Initialisation timed out after 1.20 seconds" in error["errorMessage"]
    assert outcome.result is Result.TIMEOUT


async def test_a_timeout_kills_and_replaces(bench):
    """The text is Lambda's, the bill is the timeout, and the next call gets a fresh instance."""
    node = bench.open()
    revision = bench.revision(
        "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "def handler(event, context):\n    print('before', flush=True)\n    time.sleep(event)\n    return 'done'\n",
        timeout_s=1,
    )
    outcome = await bench.call(node, revision, 60)
    request = outcome.usage.request_id
    assert json.loads(outcome.payload) == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {request} Error: Task timed out after 1.00 seconds",
    }
    assert outcome.result is Result.TIMEOUT
    assert outcome.usage.duration_ms == 1000
    text = bench.log.text(request)
    assert "before" in text
    assert "Task timed out after 1.00 seconds" in text
    again = await bench.call(node, revision, 0)
    assert again.payload == b'"done"'
    assert again.usage.depth is not Depth.WARM


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("import sys; sys.exit(7)", "Runtime exited with error: exit status 7"),
        ("import sys; sys.exit()", "Runtime exited without providing a reason"),
        ("import os; os._exit(0)", "Runtime exited without providing a reason"),
        ("import os; os._exit(9)", "Runtime exited with error: exit status 9"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "Runtime exited with error: signal: killed"),
        ("import ctypes; ctypes.string_at(0)", "Runtime exited with error: signal: segmentation fault"),
    ],
)
async def test_a_process_that_leaves_fails_its_own_invocation(bench, body, message):
    """The text says how it left; the next call is answered by another instance."""
    node = bench.open()
    revision = bench.revision(f"def handler(event, context):\n    if event: return event\n    {body}\n")
    outcome = await bench.call(node, revision)
    assert json.loads(outcome.payload) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {outcome.usage.request_id} Error: {message}",
    }
    assert outcome.result is Result.EXIT
    assert (await bench.call(node, revision, 1)).usage.depth is not Depth.WARM


async def test_output_is_logged_between_start_and_report(bench):
    """print, logging and standard error reach the log, in order and tagged; the tail is what the caller asked for."""
    node = bench.open()
    revision = bench.revision(
        "import logging, sys\nprint('loading')\n"
        "def handler(event, context):\n    print('one'); logging.warning('two %s', 2)\n"
        "    print('three', file=sys.stderr); sys.stdout.write('unfinished')\n"
    )
    outcome = await bench.call(node, revision, want_log=True)
    request = outcome.usage.request_id
    lines = [one.line.decode() for one in bench.log.lines]
    assert lines[0].startswith("INIT_START Runtime Version: ")
    assert lines[1] == "loading"
    assert lines[2] == f"START RequestId: {request} Version: $LATEST"
    assert lines[3] == "one"
    level, at, tagged, text = lines[4].split("\t")
    assert (level, tagged, text) == ("[WARNING]", request, "two 2")
    assert at.endswith("Z")
    assert lines[5] == "three"
    assert lines[6] == "unfinished"
    assert lines[7] == f"END RequestId: {request}"
    report = lines[8].split("\t")
    assert report[0] == f"REPORT RequestId: {request}"
    assert [part.partition(":")[0] for part in report[1:]] == [
        "Duration", "Billed Duration", "Memory Size", "Max Memory Used", "Init Duration",
    ]  # fmt: skip
    assert {one.request_id for one in bench.log.lines[2:]} == {request}
    assert outcome.log_tail.decode().splitlines() == lines[2:]
    warm = await bench.call(node, revision, want_log=True)
    assert b"Init Duration" not in warm.log_tail
    assert b"loading" not in warm.log_tail


async def test_the_tail_is_the_last_four_kilobytes(bench):
    """However much is printed, the tail ends with the report."""
    node = bench.open()
    revision = bench.revision("def handler(event, context):\n    for i in range(1000): print('line', i)\n")
    outcome = await bench.call(node, revision, want_log=True)
    assert len(outcome.log_tail) == 4096
    assert outcome.log_tail.splitlines()[-1].startswith(b"REPORT")


async def test_a_very_long_line_is_split(bench):
    """No line in the log is longer than Lambda's largest log event, and nothing is lost."""
    node = bench.open()
    outcome = await bench.call(node, bench.revision("def handler(e, c):\n    print('x' * 1_000_000)\n"))
    parts = [one.line for one in bench.log.lines if one.line.startswith(b"x")]
    assert outcome.function_error is None
    assert max(map(len, parts)) <= 256 * 1024
    assert sum(map(len, parts)) == 1_000_000


async def test_what_was_imported_is_learned(bench):
    """The report names modules of interpreter and environment, and never the bundle's own."""
    node = bench.open()
    revision = bench.revision("import colorsys, mine\ndef handler(e, c): pass\n")
    (__import__("pathlib").Path(revision.code_dir) / "mine.py").write_text("")
    await bench.call(node, revision)
    assert "colorsys" in node.modules(revision.key)
    assert not {"app", "mine"} & set(node.modules(revision.key))


async def test_a_forked_child_that_returns_answers_nothing(bench):
    """os.fork in a handler: the child's return is not taken for the answer."""
    node = bench.open()
    revision = bench.revision(
        "import os\ndef handler(event, context):\n    pid = os.fork()\n    if pid == 0: return 'child'\n"
        "    os.waitpid(pid, 0)\n    return 'parent'\n"
    )
    for _ in range(2):
        assert (await bench.call(node, revision)).payload == b'"parent"'


async def test_several_invocations_share_an_instance_that_allows_it(bench):
    """With max_concurrency above one, calls overlap in one process."""
    node = bench.open()
    revision = bench.revision(
        "import os, threading\nbarrier = threading.Barrier(4)\n"
        "def handler(event, context):\n    barrier.wait(10)\n    return os.getpid()\n",
        max_concurrency=4,
    )
    outcomes = await asyncio.gather(*(bench.call(node, revision) for _ in range(4)))
    assert len({one.payload for one in outcomes}) == 1
    assert {one.function_error for one in outcomes} == {None}
