"""Answers in pieces, over every launcher: handlers that yield, back-pressure, callers that leave, and every end."""

import asyncio
import json

import pytest

from torpor.core.invocation import Invocation, Result
from torpor.wire.streams import INTEGRATION_TYPE, MAX_CHUNK, WINDOW

pytestmark = pytest.mark.slow

KINDS = ["def", "async def"]


async def begin(node, revision, event=None, ended=None, **invocation):
    call = Invocation(payload=json.dumps(event).encode(), **invocation)
    return await node.stream(revision, call, (ended if ended is not None else []).append)


async def rest(stream):
    """What is left of an answer."""
    pieces = []
    while (piece := await stream.read()) is not None:
        pieces.append(piece)
    return b"".join(pieces)


@pytest.mark.parametrize("kind", KINDS)
async def test_the_first_piece_leaves_before_the_last_is_made(bench, kind, tmp_path):
    """The handler waits for a file that is only made once the first piece has come."""
    node = bench.open()
    pause = "await asyncio.sleep(0.005)" if kind == "async def" else "time.sleep(0.005)"
    revision = bench.revision(
        "import asyncio, os, time\n"
        f"{kind} handler(event, context):\n    yield 'first '\n"
        f"    while not os.path.exists('/tmp/go' if event is None else event):\n        {pause}\n"
        "        if context.get_remaining_time_in_millis() < 1000: break\n        yield ''\n"
        "    yield b'last'\n",
        timeout_s=30,
    )
    ended = []
    stream = await begin(node, revision, "/nowhere", ended, want_log=True)
    assert stream.content_type == "text/plain; charset=utf-8"
    assert await stream.read() == b"first "
    assert not ended
    stream.close()
    await bench.until(lambda: bench.abandoned)
    assert bench.abandoned[0].result is Result.OK


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("slots", [1, 3])
async def test_all_of_it_comes_in_order_with_its_head(bench, kind, slots):
    """Text, bytes and large pieces, after a head; the outcome and its account come at the end."""
    node = bench.open(limits={"stream_payload": 1 << 30})
    revision = bench.revision(
        f"{kind} handler(event, context):\n"
        "    yield {'statusCode': 201, 'headers': {'x-a': 'b'}}\n"
        "    yield 'ü'\n    yield bytearray(b'y')\n    yield b''\n    yield memoryview(b'z' * event)\n    print('done')\n",
        max_concurrency=slots,
    )

    async def one():
        ended = []
        stream = await begin(node, revision, 3 * WINDOW + 7, ended, want_log=True)
        assert stream.content_type == INTEGRATION_TYPE
        head, _, body = (await rest(stream)).partition(bytes(8))
        assert json.loads(head) == {"statusCode": 201, "headers": {"x-a": "b"}}
        assert body == "üy".encode() + b"z" * (3 * WINDOW + 7)
        assert ended == [stream.outcome]
        assert stream.outcome.result is Result.OK
        assert stream.outcome.payload == b""
        assert b"REPORT RequestId" in stream.outcome.log_tail

    await asyncio.gather(*(one() for _ in range(slots)))
    await one()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_buffered_call_gets_it_joined(bench, kind):
    """Without a head its bytes, with a head a response of payload format 2.0, and Lambda's error beyond the limit."""
    node = bench.open(limits={"response_payload": 10_000})
    revision = bench.revision(
        f"{kind} handler(event, context):\n"
        "    if event.get('head'):\n        yield {'statusCode': 200, 'cookies': ['a=b']}\n"
        "    for piece in event['pieces']:\n        yield bytes.fromhex(piece) if event.get('hex') else piece\n"
    )
    assert (await bench.call(node, revision, {"pieces": ["a", "b"]})).payload == b"ab"
    assert (await bench.call(node, revision, {"pieces": []})).payload == b""
    joined = (await bench.call(node, revision, {"pieces": ["a", "b"], "head": True})).payload
    assert json.loads(joined) == {"statusCode": 200, "cookies": ["a=b"], "body": "ab", "isBase64Encoded": False}
    joined = (await bench.call(node, revision, {"pieces": ["ff"], "head": True, "hex": True})).payload
    assert json.loads(joined) == {"statusCode": 200, "cookies": ["a=b"], "body": "/w==", "isBase64Encoded": True}
    assert (await bench.call(node, revision, {"pieces": ["x" * 5000] * 3})).result is Result.TOO_LARGE
    assert (await bench.call(node, revision, {"pieces": ["still there"]})).payload == b"still there"


async def test_a_whole_answer_comes_without_a_content_type(bench):
    """A streamed call of an ordinary handler, and one that fails before it yields."""
    node = bench.open()
    revision = bench.revision(
        "def handler(event, context):\n    if event: raise ValueError('no')\n    return {'a': 1}\n"
    )
    stream = await begin(node, revision)
    assert (stream.content_type, stream.outcome.payload) == (None, b'{"a": 1}')
    stream = await begin(node, revision, True)
    assert (stream.content_type, stream.outcome.result) == (None, Result.ERROR)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("body", "result", "error"),
    [
        ("raise KeyError('midway')", Result.ERROR, "KeyError"),
        ("yield 7", Result.ERROR, "Runtime.MarshalError"),
        ("yield {'statusCode': 200}", Result.ERROR, "Runtime.MarshalError"),
        ("os._exit(3)", Result.EXIT, "Runtime.ExitError"),
        ("time.sleep(30)", Result.TIMEOUT, "Sandbox.Timedout"),
    ],
)
async def test_an_answer_that_fails_midway_says_how(bench, kind, body, result, error):
    """What was sent before has come; the outcome is the failure, billed and logged as any other."""
    node = bench.open()
    revision = bench.revision(
        f"import os, time\n{kind} handler(event, context):\n    yield 'some'\n    {body}\n", timeout_s=1
    )
    ended = []
    stream = await begin(node, revision, None, ended, request_id="it")
    assert await rest(stream) == b"some"
    assert stream.outcome.result is result
    assert json.loads(stream.outcome.payload)["errorType"] == error
    assert len(ended) == 1
    assert "REPORT RequestId: it" in bench.log.text("it")


@pytest.mark.parametrize("kind", KINDS)
async def test_who_does_not_read_stops_the_handler(bench, kind):
    """No more than a window is made ahead of what was taken, and everything comes once it is read."""
    node = bench.open(limits={"stream_payload": 1 << 30})
    revision = bench.revision(
        f"made = 0\n{kind} other(event):\n    yield\n"
        f"{kind} handler(event, context):\n    global made\n    if event == 'made':\n        yield str(made)\n        return\n"
        "    for _ in range(100):\n        made += 1\n        yield b'x' * 65536\n",
        max_concurrency=2,
    )
    stream = await begin(node, revision)

    async def made():
        return int(await rest(await begin(node, revision, "made")))

    before = 0
    async with asyncio.timeout(10):
        while (now := await made()) != before or not now:
            before = now
    assert before * MAX_CHUNK <= WINDOW + MAX_CHUNK
    assert len(await rest(stream)) == 100 * 65536
    assert await made() == 100


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("slots", [1, 2])
async def test_a_caller_that_leaves_closes_the_generator(bench, kind, slots):
    """It gets GeneratorExit where it yields, cleans up, and the instance serves on."""
    node = bench.open(limits={"stream_payload": 1 << 30})
    revision = bench.revision(
        f"import os\n{kind} handler(event, context):\n    if event:\n        yield str(os.getpid())\n        return\n    try:\n"
        "        while True:\n            yield b'x' * 1000\n    except GeneratorExit:\n        print('closed')\n        raise\n"
        "    finally:\n        print('cleaned up')\n",
        max_concurrency=slots,
    )
    pid = await rest(await begin(node, revision, True))
    stream = await begin(node, revision, None, request_id="left")
    assert len(await stream.read()) >= 1000
    stream.close()
    stream.close()
    await bench.until(lambda: bench.abandoned)
    assert "closed\ncleaned up" in bench.log.text("left")
    assert bench.abandoned[0].result is Result.OK
    assert await rest(await begin(node, revision, True)) == pid


async def test_an_async_generator_that_waits_is_woken_to_be_closed(bench):
    """A caller that leaves while the handler awaits something cancels that."""
    node = bench.open()
    revision = bench.revision(
        "import asyncio\nasync def handler(event, context):\n    try:\n        yield 'one'\n        await asyncio.sleep(60)\n"
        "    finally:\n        print('cleaned up')\n",
        timeout_s=60,
    )
    stream = await begin(node, revision)
    assert await stream.read() == b"one"
    stream.close()
    await bench.until(lambda: bench.abandoned)
    assert "cleaned up" in bench.log.text()


async def test_a_handler_that_does_not_stop_is_ended(bench, monkeypatch):
    """A generator that goes on after its caller left has a bounded time; then its instance is ended."""
    monkeypatch.setattr("torpor.runtime.answers.Answer.__init__.__defaults__", (0.1,))
    node = bench.open()
    revision = bench.revision(
        "import time\ndef handler(event, context):\n    yield 'one'\n    time.sleep(60)\n", timeout_s=60
    )
    stream = await begin(node, revision)
    assert await stream.read() == b"one"
    stream.close()
    await bench.until(lambda: bench.abandoned)
    assert bench.abandoned[0].result is Result.EXIT


async def test_an_answer_beyond_the_limit_is_cut(bench):
    """What fits comes, the error names the limit, and the generator is closed."""
    node = bench.open(limits={"stream_payload": 100_000})
    revision = bench.revision("def handler(event, context):\n    while True:\n        yield b'x' * 30_000\n")
    stream = await begin(node, revision)
    assert len(await rest(stream)) == 90_000
    assert stream.outcome.result is Result.TOO_LARGE
    assert "(100000 bytes)" in json.loads(stream.outcome.payload)["errorMessage"]


async def test_a_plain_function_may_return_an_async_generator(bench):
    """Each step runs in the instance's loop."""
    node = bench.open()
    revision = bench.revision(
        "import asyncio\nasync def numbers():\n    for n in range(3):\n        await asyncio.sleep(0)\n        yield str(n)\n"
        "def handler(event, context):\n    return numbers()\n"
    )
    assert await rest(await begin(node, revision)) == b"012"
    assert (await bench.call(node, revision)).payload == b"012"


@pytest.mark.parametrize(
    "frames",
    [
        "send(22, b'x')",
        "send(21, b'a'); send(21, b'a')",
        "send(21, b'a' * 2000)",
        "send(21, b'a'); send(22, b'')",
        "send(21, b'a'); send(22, b'x' * 262145)",
    ],
)
async def test_a_guest_that_breaks_the_rules_of_pieces_is_ended(bench, frames):
    """Pieces before their beginning, two beginnings, more than was granted: the instance is killed for it."""
    node = bench.open()
    revision = bench.revision(
        "import gc, struct, time\n"
        "def handler(event, context):\n"
        "    from _torpor_guest.guest.channel import Channel\n"
        "    channel = next(one for one in gc.get_objects() if isinstance(one, Channel))\n"
        "    send = lambda kind, data: channel.send(kind, 1, data)\n"
        f"    {frames}\n    time.sleep(30)\n"
    )
    stream = await begin(node, revision)
    await rest(stream) if stream.content_type is not None else None
    assert stream.outcome.result is Result.EXIT
    assert "control channel" in json.loads(stream.outcome.payload)["errorMessage"]
