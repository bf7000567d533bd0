"""Responses that are sent as they are made: over boto3 and over function URLs, and every way in which they end."""

import contextlib
import http.client
import json
import urllib.parse
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

STORY = """
import os, time
def handler(event, context):
    event = event.get("queryStringParameters", event)
    yield "one "
    while event.get("wait") and not os.path.exists("/tmp/never"):
        time.sleep(0.01)
        yield ""
    if event.get("fail"):
        raise KeyError(event["fail"])
    if event.get("sleep"):
        time.sleep(60)
    for _ in range(int(event.get("mb", 0)) * 16):
        yield b"x" * 65536
    yield b"last"
"""

ASYNC = """
import asyncio, json
async def handler(event, context):
    yield {"statusCode": 201, "headers": {"Content-Type": "text/event-stream", "x-own": "yes"}, "cookies": ["a=b; Path=/"]}
    try:
        for n in range(int(event["queryStringParameters"]["n"])):
            yield f"data: {json.dumps({'n': n})}\\n\\n"
            await asyncio.sleep(0.01)
    finally:
        print("stream closed")
"""


def rss_mb(server):
    """The server's own resident memory."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS:"))


@pytest.fixture(scope="module")
def story(server, create):
    client = create(server, "story", STORY, Timeout=20)
    client.create_function_url_config(FunctionName="story", AuthType="NONE", InvokeMode="RESPONSE_STREAM")
    return client


@pytest.fixture(scope="module")
def stars(server, create):
    client = create(server, "stars", ASYNC, Timeout=20)
    client.create_function_url_config(FunctionName="stars", AuthType="NONE", InvokeMode="RESPONSE_STREAM")
    return client


def streamed(client, **event):
    answer = client.invoke_with_response_stream(FunctionName="story", Payload=json.dumps(event), LogType="Tail")
    pieces, complete = [], None
    for one in answer["EventStream"]:
        assert complete is None
        if "PayloadChunk" in one:
            pieces.append(one["PayloadChunk"]["Payload"])
        else:
            complete = one["InvokeComplete"]
    return answer, b"".join(pieces), complete


@contextlib.contextmanager
def get(server, path):
    """The answer to a GET, to be read within; then the client leaves."""
    place = urllib.parse.urlsplit(server.url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", path)
        with contextlib.closing(connection.getresponse()) as answer:
            yield answer


def test_boto3_reads_the_pieces_and_how_it_ended(story):
    """Chunks in order, then InvokeComplete with the log; the answer's head says which version ran."""
    answer, body, complete = streamed(story, mb=1)
    assert body == b"one " + b"x" * (1 << 20) + b"last"
    assert answer["StatusCode"] == 200
    assert answer["ExecutedVersion"] == "$LATEST"
    assert answer["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/vnd.amazon.eventstream"
    assert set(complete) == {"LogResult"}
    buffered = story.invoke(FunctionName="story", Payload=b"{}")["Payload"].read()
    assert buffered == b"one last"


def test_boto3_is_told_of_a_failure_midway(story):
    """What came before the failure is there; the error has Lambda's type and details."""
    _, body, complete = streamed(story, fail="because")
    assert body == b"one "
    assert complete["ErrorCode"] == "KeyError"
    assert json.loads(complete["ErrorDetails"])["errorMessage"] == "'because'"


def test_an_ordinary_handler_answers_a_streamed_call_too(server, create):
    """Its result is one piece, its error the completion; a dry run answers 204."""
    client = create(server, "plain", "def handler(event, context):\n    return 1 / event['by']\n")
    for by, body, code in ((2, b"0.5", None), (0, b"", "ZeroDivisionError")):
        answer = client.invoke_with_response_stream(FunctionName="plain", Payload=json.dumps({"by": by}))
        events = list(answer["EventStream"])
        assert b"".join(one["PayloadChunk"]["Payload"] for one in events[:-1]) == body
        assert events[-1]["InvokeComplete"].get("ErrorCode") == code
    with pytest.raises(ClientError) as refused:
        client.invoke_with_response_stream(FunctionName="none-such")
    assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"


def busy(server):
    return json.loads(server.owner("GET", "/_torpor/functions/story")[2])["instances"]["busy"]


def test_a_url_sends_the_first_byte_before_the_last_is_made(server, story, eventually):
    """The handler is still waiting while the client reads; the client that leaves ends its work."""
    with get(server, "/fn/story/?wait=1") as answer:
        assert answer.status == 200
        assert answer.getheader("content-type") == "text/plain; charset=utf-8"
        assert answer.getheader("transfer-encoding") == "chunked"
        assert answer.read(4) == b"one "
        assert busy(server) == 1
    eventually(lambda: not busy(server))


def test_server_sent_events_by_an_async_generator(server, stars):
    """Status, headers and cookies come from the head that was yielded first; events arrive one by one."""
    with get(server, "/fn/stars/?n=3") as answer:
        assert answer.status == 201
        assert answer.getheader("content-type") == "text/event-stream"
        assert answer.getheader("x-own") == "yes"
        assert answer.getheader("set-cookie") == "a=b; Path=/"
        assert answer.read() == b'data: {"n": 0}\n\ndata: {"n": 1}\n\ndata: {"n": 2}\n\n'


def test_a_client_that_leaves_an_async_generator_closes_it(server, stars, eventually):
    """The handler's `finally` runs, and the invocation is in the log with its report."""
    with get(server, "/fn/stars/?n=100000") as answer:
        request = answer.getheader("x-amzn-requestid")
        assert answer.read(6) == b"data: "
    eventually(lambda: f"REPORT RequestId: {request}" in server.cli("logs", "stars", "--request", request).stdout)
    assert "stream closed" in server.cli("logs", "stars", "--request", request).stdout


@pytest.mark.parametrize("query", ["fail=midway", "sleep=1"])
def test_a_url_that_breaks_off_is_seen_to_be_incomplete(server, create, query):
    """An error or a time-out midway ends the connection without the last chunk."""
    client = server.client("lambda")
    client.update_function_configuration(FunctionName="story", Timeout=1)
    client.get_waiter("function_updated_v2").wait(FunctionName="story", WaiterConfig={"Delay": 0.1, "MaxAttempts": 100})
    with get(server, f"/fn/story/?{query}") as answer:
        assert answer.status == 200
        with pytest.raises(http.client.IncompleteRead):
            answer.read()
    client.update_function_configuration(FunctionName="story", Timeout=20)


def stream_all(server, mb):
    """Read a long answer to its end, then begin another one and stop reading; returns the server's growth in MB."""
    with get(server, "/fn/story/?mb=1") as answer:
        answer.read()
    before, size, most = rss_mb(server), 0, 0
    with get(server, f"/fn/story/?mb={mb}") as answer:
        while piece := answer.read(1 << 20):
            size += len(piece)
            most = max(most, rss_mb(server))
    assert size == (mb << 20) + len("one last")
    with get(server, f"/fn/story/?mb={mb}") as answer:
        answer.read(1)
        return max(most, rss_mb(server)) - before


def test_a_long_stream_takes_constant_memory_of_the_server(server, story):
    """20 MB through a server that holds less than four of them, also for a client that does not read."""
    assert stream_all(server, 19) < 4


@pytest.mark.full
def test_an_even_longer_stream_takes_no_more(start_server, create):
    """200 MB, by setting."""
    server = start_server(TORPOR_LIMITS__STREAM_PAYLOAD=str(210 << 20))
    client = create(server, "story", STORY, Timeout=60)
    client.create_function_url_config(FunctionName="story", AuthType="NONE", InvokeMode="RESPONSE_STREAM")
    assert stream_all(server, 200) < 4


def test_a_stream_beyond_the_limit_is_cut_with_lambdas_error(server, story):
    """20 MB by default: boto3 is told in the completion."""
    _, body, complete = streamed(story, mb=25)
    assert len(body) <= 20 << 20
    assert complete["ErrorCode"] == "Function.ResponseSizeTooLarge"


def test_a_function_may_read_another_ones_stream(server, story, create):
    """Through its door, with the rights that its configuration gives it, piece by piece."""
    code = """
import boto3, json
def handler(event, context):
    answer = boto3.client("lambda").invoke_with_response_stream(FunctionName="story", Payload=json.dumps({"mb": 2}))
    return [sum(len(one["PayloadChunk"]["Payload"]) for one in answer["EventStream"] if "PayloadChunk" in one)]
"""
    client = create(server, "reader", code, Timeout=30, Tags={"torpor:permissions": "lambda:InvokeFunction/story"})
    answer = client.invoke(FunctionName="reader")
    assert json.loads(answer["Payload"].read()) == [(2 << 20) + len("one last")], answer
