"""Each worked example runs as its README says, on the installed server."""

import json
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_echo_answers_with_its_event(server):
    """`torpor invoke echo` gives the event back, with the request's id and the time that is left."""
    server.cli("deploy", str(EXAMPLES / "echo"))
    answer = json.loads(server.cli("invoke", "echo", "-d", '{"hello": "world"}').stdout)
    assert answer["event"] == {"hello": "world"}
    assert len(answer["request"]) == 36
    assert 0 < answer["left_ms"] <= 60_000


def test_echo_sees_an_http_request_as_an_event(server):
    """Called over HTTP, the echo shows payload format 2.0: path, query and method as they were sent."""
    server.cli("deploy", str(EXAMPLES / "echo"))
    event = json.loads(server.cli("invoke", "echo", "--http", "GET", "/some/path?color=green").stdout)["event"]
    assert event["version"] == "2.0"
    assert event["rawPath"] == "/some/path"
    assert event["queryStringParameters"] == {"color": "green"}
    assert event["requestContext"]["http"]["method"] == "GET"


def test_streaming_tells_its_story_word_by_word(server):
    """Server-sent events with their own content type; `curl -N` would show each as it comes."""
    server.cli("deploy", str(EXAMPLES / "streaming"))
    status, headers, body = server.http("GET", "/fn/streaming/?pause=0")
    assert (status, headers["content-type"]) == (200, "text/event-stream")
    assert "content-length" not in headers
    events = body.decode().split("\n\n")
    assert events[0] == 'id: 0\ndata: {"word": "Once"}'
    assert events[-2:] == ["event: end\ndata: {}", ""]
    assert "the story is over" in server.cli("logs", "streaming").stdout


def test_regression_learns_from_a_table_sent_over_http(server):
    """The diabetes table posted to the public address is answered with a score and a prediction for each held-out row."""
    server.cli("deploy", str(EXAMPLES / "regression"), "--public")
    table = (EXAMPLES / "regression/diabetes.json").read_bytes()
    status, headers, body = server.http("POST", "/fn/regression/", table, content_type="application/json")
    assert status == 200, body
    answer = json.loads(body)
    assert answer["score"] == pytest.approx(0.3594, abs=1e-4)
    assert len(answer["prediction"]) == 111
    assert int(headers["x-torpor-billed-ms"]) >= float(headers["x-torpor-duration-ms"])


def test_regression_answers_boto3_too(server):
    """The same function invoked by boto3 with the body in an event gives the same score."""
    server.cli("deploy", str(EXAMPLES / "regression"))
    event = {"body": (EXAMPLES / "regression/diabetes.json").read_text()}
    answer = server.client("lambda").invoke(FunctionName="regression", Payload=json.dumps(event))
    result = json.loads(answer["Payload"].read())
    assert result["statusCode"] == 200
    assert json.loads(result["body"])["score"] == pytest.approx(0.3594, abs=1e-4)


def test_the_data_is_the_diabetes_table():
    """What the example ships has 442 rows of ten measurements and a target."""
    rows = json.loads((EXAMPLES / "regression/diabetes.json").read_text())
    assert len(rows) == 442
    assert {len(row) for row in rows} == {11}
