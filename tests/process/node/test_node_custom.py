"""Custom runtimes over every launcher: a bootstrap of the function's own, and what becomes of it."""

import json
import sys
from pathlib import Path

import pytest

from torpor.core.invocation import Invocation, Result

pytestmark = pytest.mark.slow

# A runtime in forty lines, of the standard library, so that tests can bend it.
RUNTIME = """#!{python}
import base64, http.client, json, os, socket, sys, time
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
def ask(method, path, body=None, headers=None, **more):
    api.request(method, "/2018-06-01/runtime" + path, body, headers or {{}}, **more)
    answer = api.getresponse()
    return answer, answer.read()
"""


def bootstrap(bench, code, *, mode=0o755, runtime=RUNTIME, **config):
    """A revision whose bootstrap is `code`, after the preamble."""
    revision = bench.revision("", runtime="provided.al2023", handler="some.handler", **config)
    place = Path(revision.code_dir, "bootstrap")
    place.write_text(runtime.format(python=sys.executable) + code)
    place.chmod(mode)
    return revision


LOOP = """
while True:
    head, event = ask("GET", "/invocation/next")
    identity = head.headers["Lambda-Runtime-Aws-Request-Id"]
    ask("POST", f"/invocation/{identity}/response", json.dumps(handle(head.headers, json.loads(event))))
"""


async def test_a_bootstrap_gets_lambdas_world_and_answers(bench):
    """It is told of each invocation in headers, finds Lambda's variables, and is used again."""
    node = bench.open()
    revision = bootstrap(bench, """
calls = 0
def handle(head, event):
    global calls
    calls += 1
    print("said", event, flush=True)
    return [calls, event, dict(head), dict(os.environ), os.getcwd()]
""" + LOOP, variables={"MINE": "yes"})  # fmt: skip
    first = await bench.call(
        node, revision, {"a": "ü"}, request_id="one", client_context='{"custom":\n{}}', trace_id="Root=1"
    )
    calls, event, head, env, cwd = json.loads(first.payload)
    assert (calls, event) == (1, {"a": "ü"})
    assert head["Lambda-Runtime-Aws-Request-Id"] == "one"
    assert head["Lambda-Runtime-Invoked-Function-Arn"].endswith(":function:function")
    assert head["Lambda-Runtime-Trace-Id"] == "Root=1"
    assert head["Lambda-Runtime-Client-Context"] == '{"custom": {}}'
    assert 0 < int(head["Lambda-Runtime-Deadline-Ms"]) / 1000 - first.usage.at < 60
    assert (env["MINE"], env["_HANDLER"]) == ("yes", "some.handler")
    assert cwd in (env["LAMBDA_TASK_ROOT"], revision.code_dir)
    assert env["PATH"] == "/usr/local/bin:/usr/bin:/bin:/opt/bin"
    assert not {"PYTHONPATH", "AWS_EXECUTION_ENV", "_TORPOR_GUEST"} & set(env)
    assert json.loads((await bench.call(node, revision, 1)).payload)[0] == 2
    assert "said {'a': 'ü'}" in bench.log.text("one")


async def test_a_bootstraps_errors_are_its_own_words(bench):
    """What it posts as an error is the payload, and an error is an error whatever it posts."""
    node = bench.open()
    revision = bootstrap(bench, """
while True:
    head, event = ask("GET", "/invocation/next")
    identity = head.headers["Lambda-Runtime-Aws-Request-Id"]
    ask("POST", f"/invocation/{identity}/error", json.loads(event), {"Lambda-Runtime-Function-Error-Type": "Mine.Kind"})
""")  # fmt: skip
    told = json.dumps({"errorType": "Own", "errorMessage": "no", "stackTrace": []})
    outcome = await bench.call(node, revision, told)
    assert (outcome.result, outcome.function_error, outcome.payload.decode()) == (Result.ERROR, "Unhandled", told)
    outcome = await bench.call(node, revision, "plain text")
    assert json.loads(outcome.payload) == {"errorType": "Mine.Kind", "errorMessage": "plain text"}


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("sys.exit(3)", "Runtime.ExitError", "exit status 3"),
        ("os.kill(os.getpid(), 9)", "Runtime.ExitError", "signal: killed"),
        (
            'ask("POST", "/init/error", json.dumps({"errorType": "Init.Bad", "errorMessage": "no config"}))\ntime.sleep(60)',
            "Init.Bad",
            "no config",
        ),
    ],
)
async def test_a_bootstrap_that_fails_to_initialise_says_so_or_its_exit_does(bench, code, kind, message):
    """Before it has asked for an invocation, its error or its end is that of the initialisation."""
    node = bench.open()
    outcome = await bench.call(node, bootstrap(bench, code))
    error = json.loads(outcome.payload)
    assert error["errorType"] == kind
    assert message in error["errorMessage"]


async def test_a_bootstrap_that_leaves_during_an_invocation_is_replaced(bench):
    """The invocation fails with its exit status; the next one finds a new one."""
    node = bench.open()
    revision = bootstrap(bench, """
def handle(head, event):
    if event:
        sys.exit(event)
    return os.getpid()
""" + LOOP)  # fmt: skip
    outcome = await bench.call(node, revision, 7)
    assert outcome.result is Result.EXIT
    assert "exit status 7" in json.loads(outcome.payload)["errorMessage"]
    assert (await bench.call(node, revision, 0)).result is Result.OK


@pytest.mark.parametrize(
    ("runtime", "mode", "message"),
    [
        ("#!/bin/sh\n", 0o644, "chmod +x bootstrap"),
        ("#!/no/such/program\n", 0o755, "its first line asks for /no/such/program"),
        ("neither\n", 0o755, "neither a program for this machine nor a script"),
    ],
)
async def test_a_bootstrap_that_cannot_be_started_is_an_invalid_entrypoint(bench, runtime, mode, message):
    """The error names the file and what to do."""
    node = bench.open()
    revision = bootstrap(bench, "", runtime=runtime, mode=mode)
    error = json.loads((await bench.call(node, revision)).payload)
    assert error["errorType"] == "Runtime.InvalidEntrypoint"
    assert message in error["errorMessage"]


async def test_without_a_bootstrap_lambdas_error_says_where_it_was_looked_for(bench):
    """Code and layers are named."""
    node = bench.open()
    error = json.loads((await bench.call(node, bench.revision("", runtime="provided.al2"))).payload)
    assert error["errorType"] == "Runtime.InvalidEntrypoint"
    assert "/opt/bootstrap]" in error["errorMessage"]
    assert error["errorMessage"].startswith("Couldn't find valid bootstrap(s): [")


async def test_what_the_runtime_api_does_not_know_is_refused_and_harms_nothing(bench):
    """Unknown paths, ids and bodies are answered with an error, and the invocation goes on."""
    node = bench.open()
    revision = bootstrap(bench, """
def status(*words, **named):
    global api
    answer = ask(*words, **named)[0]
    if answer.headers.get("Connection") == "close":
        api.close()
    return answer.status
def handle(head, event):
    identity = head["Lambda-Runtime-Aws-Request-Id"]
    return [
        status("GET", "/nothing"), status("POST", "/invocation/unknown/response", b"x" * 100_000),
        status("GET", "/restore/next"), status("POST", "/init/error", b"{}"),
        status("GET", "/../../2015-01-01/runtime/invocation/next"),
    ]
""" + LOOP)  # fmt: skip
    assert json.loads((await bench.call(node, revision)).payload) == [404, 400, 403, 403, 404]


async def test_a_response_may_come_in_chunks_and_is_bounded(bench):
    """Chunked bodies are joined; one that is too large is refused with 413, and the invocation has Lambda's error."""
    node = bench.open(limits={"response_payload": 1000})
    revision = bootstrap(bench, """
last = None
while True:
    head, event = ask("GET", "/invocation/next")
    identity, size = head.headers["Lambda-Runtime-Aws-Request-Id"], json.loads(event)
    pieces = [json.dumps(last or 0).encode()] if not size else [b'"' + b"x" * size, b'"']
    answer, _ = ask("POST", f"/invocation/{identity}/response", iter(pieces), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    last = answer.status
    if answer.headers.get("Connection") == "close":
        api.close()
""")  # fmt: skip
    assert (await bench.call(node, revision, 500)).payload == b'"' + b"x" * 500 + b'"'
    assert (await bench.call(node, revision, 5000)).result is Result.TOO_LARGE
    assert (await bench.call(node, revision, 0)).payload == b"413"


async def test_a_runtime_that_stops_waiting_takes_no_invocation_with_it(bench):
    """A connection that hung up while it asked for the next invocation is passed over: the one that asks again gets it."""
    node = bench.open()
    revision = bootstrap(bench, """
host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
def impatient():
    one = socket.create_connection((host, int(port)))
    one.sendall(b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    time.sleep(0.05)
    one.close()
def handle(head, event):
    impatient()
    return "here"
""" + LOOP)  # fmt: skip
    assert (await bench.call(node, revision)).payload == b'"here"'
    assert (await bench.call(node, revision)).payload == b'"here"'


STREAMING = """
while True:
    head, event = ask("GET", "/invocation/next")
    identity, event = head.headers["Lambda-Runtime-Aws-Request-Id"], json.loads(event)
    def pieces():
        yield b"first"
        for _ in range(event.get("mb", 0) * 16):
            yield b"x" * 65536
        if event.get("leave"):
            os._exit(3)
    raw = socket.create_connection(os.environ["AWS_LAMBDA_RUNTIME_API"].split(":"))
    raw.sendall(f"POST /2018-06-01/runtime/invocation/{identity}/response HTTP/1.1\\r\\nHost: x\\r\\nContent-Type: text/event-stream\\r\\n"
        "Lambda-Runtime-Function-Response-Mode: streaming\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n".encode())
    try:
        for piece in pieces():
            raw.sendall(b"%x\\r\\n%s\\r\\n" % (len(piece), piece))
        told = base64.b64encode(b'{"errorType": "Midway"}').decode()
        trailers = f"Lambda-Runtime-Function-Error-Type: Midway\\r\\nLambda-Runtime-Function-Error-Body: {told}\\r\\n" if event.get("fail") else ""
        raw.sendall(f"0\\r\\n{trailers}\\r\\n".encode())
        print("status", raw.recv(1000)[9:12], flush=True)
    except OSError as error:
        print("stopped", flush=True)
    raw.close()
"""


async def stream_of(bench, revision, event):
    node = bench.open(limits={"stream_payload": 1 << 30})
    stream = await node.stream(revision, Invocation(payload=json.dumps(event).encode()), lambda outcome: None)
    pieces = []
    while (piece := await stream.read()) is not None:
        pieces.append(piece)
    return stream, b"".join(pieces)


async def test_a_bootstrap_may_stream_its_response(bench):
    """Its content type and its pieces come as it sends them; a buffered call gets them joined."""
    revision = bootstrap(bench, STREAMING)
    stream, body = await stream_of(bench, revision, {"mb": 2})
    assert (stream.content_type, stream.outcome.result) == ("text/event-stream", Result.OK)
    assert body == b"first" + b"x" * (2 << 20)
    assert (await bench.call(bench.open(), revision, {"mb": 0})).payload == b"first"


async def test_a_bootstraps_stream_that_fails_midway_says_how(bench):
    """By its trailers, or by the end of the process."""
    revision = bootstrap(bench, STREAMING)
    stream, body = await stream_of(bench, revision, {"fail": True})
    assert (body, stream.outcome.result) == (b"first", Result.ERROR)
    assert json.loads(stream.outcome.payload) == {"errorType": "Midway"}
    stream, body = await stream_of(bench, revision, {"leave": True})
    assert body == b"first"
    assert stream.outcome.result in (Result.EXIT, Result.ERROR)  # whichever is seen first, the hang-up or the end


async def test_a_bootstraps_stream_stops_when_its_caller_leaves(bench):
    """The runtime is hung up on, and asks for its next invocation."""
    revision = bootstrap(bench, STREAMING)
    node = bench.open(limits={"stream_payload": 1 << 40})
    stream = await node.stream(revision, Invocation(payload=b'{"mb": 100000}'), lambda outcome: None)
    assert await stream.read()
    stream.close()
    await bench.until(lambda: bench.abandoned)
    assert bench.abandoned[0].result is Result.OK
    assert (await bench.call(node, revision, {})).payload == b"first"
    assert "stopped" in bench.log.text()
