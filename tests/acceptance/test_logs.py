"""CloudWatch Logs' interface on a running server, by boto3 and the published command line."""

from __future__ import annotations

import json

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

TALK = """
def handler(event, context):
    for line in event.get("say", ()):
        print(line)
    return context.log_stream_name
"""


def test_what_a_function_says_is_found(server, create, eventually):
    """Its group and stream, its events from both ends and by pattern, and retention; gone with the function."""
    client, logs = create(server, "speaker", TALK), server.client("logs")

    def say(*lines):
        answer = client.invoke(FunctionName="speaker", Payload=json.dumps({"say": lines}).encode())
        return json.loads(answer["Payload"].read())

    stream = say("alpha", '{"level": "ERROR", "code": 7}')
    group = "/aws/lambda/speaker"
    found = [one for page in logs.get_paginator("describe_log_groups").paginate() for one in page["logGroups"]]
    assert group in [one["logGroupName"] for one in found]
    streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert stream in [one["logStreamName"] for one in streams]
    events = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)["events"]
    texts = [event["message"].rstrip("\n") for event in events]
    assert texts[0].startswith("INIT_START")
    assert [text.split()[0] for text in texts[1:]] == ["START", "alpha", '{"level":', "END", "REPORT"]
    pattern = '{ $.level = "ERROR" && $.code >= 7 }'
    hits = [
        event
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group, filterPattern=pattern)
        for event in page["events"]
    ]
    assert [hit["logStreamName"] for hit in hits] == [stream]
    logs.put_retention_policy(logGroupName=group, retentionInDays=1)
    assert logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["retentionInDays"] == 1
    logs.delete_log_group(logGroupName=group)
    assert "alpha" not in server.cli("logs", "speaker").stdout
    client.delete_function(FunctionName="speaker")
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.describe_log_streams(logGroupName=group)


def test_the_published_command_line_reads_them(server, create, aws):
    """Groups, streams, events, filters and retention, as scripts use them."""
    client = create(server, "scripted", TALK)
    client.invoke(FunctionName="scripted", Payload=b'{"say": ["first words", "unheard"]}')

    def run(operation, *arguments):
        done = server.cli("run", "--", aws, "logs", operation, *arguments, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout or "null")

    group = ("--log-group-name", "/aws/lambda/scripted")
    assert len(run("describe-log-groups", "--log-group-name-prefix", "/aws/lambda/scr")["logGroups"]) == 1
    streams = run("describe-log-streams", *group)["logStreams"]
    found = run("filter-log-events", *group, "--filter-pattern", "words -unheard", "--page-size", "1")
    assert [event["message"].strip() for event in found["events"]] == ["first words"]
    stream = found["events"][0]["logStreamName"]
    assert stream in [one["logStreamName"] for one in streams]
    read = run("get-log-events", *group, "--log-stream-name", stream, "--start-from-head")
    assert "first words" in [event["message"].strip() for event in read["events"]]
    run("put-retention-policy", *group, "--retention-in-days", "7")
    assert '"retentionInDays": 7' in json.dumps(run("describe-log-groups"))


SPEAK = """
import logging

log = logging.getLogger("stall")

def handler(event, context):
    log.debug("too fine")
    log.warning("order %s", 7, extra={"order": 7})
    if event.get("fail"):
        raise ValueError("no such order")
"""


def test_logging_config_takes_effect(server, create):
    """JSON records with levels, platform events, and a group of its own that outlives the function."""
    config = {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO", "LogGroup": "/stall/orders"}
    client, logs = create(server, "stall", SPEAK, LoggingConfig=config), server.client("logs")
    client.invoke(FunctionName="stall", Payload=b"{}")
    client.invoke(FunctionName="stall", Payload=b'{"fail": true}')
    read = logs.filter_log_events(logGroupName="/stall/orders", filterPattern="{ $.order = 7 }")["events"]
    (first, _) = [json.loads(event["message"]) for event in read]
    assert (first["level"], first["message"], first["logger"]) == ("WARNING", "order 7", "stall")
    assert first["requestId"]
    everything = logs.filter_log_events(logGroupName="/stall/orders")["events"]
    assert not [event for event in everything if "too fine" in event["message"]]
    kinds = [json.loads(event["message"]).get("type") for event in everything if event["message"].startswith('{"t')]
    assert {"platform.start", "platform.report"} <= set(kinds)
    failed = logs.filter_log_events(logGroupName="/stall/orders", filterPattern='{ $.errorType = "ValueError" }')
    assert json.loads(failed["events"][0]["message"])["level"] == "ERROR"
    assert "order 7" in server.cli("logs", "stall").stdout
    client.delete_function(FunctionName="stall")


def test_a_live_tail_brings_what_comes(server, create):
    """By an event stream: the session's start, then what is written from then on and matches."""
    client = create(server, "tailed", TALK)
    client.invoke(FunctionName="tailed", Payload=b'{"say": ["words before"]}')
    logs = server.client("logs", inject_host_prefix=False)
    arn = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/lambda/tailed"
    session = logs.start_live_tail(logGroupIdentifiers=[arn], logEventFilterPattern="words")["responseStream"]
    events = iter(session)
    assert next(events)["sessionStart"]["logEventFilterPattern"] == "words"
    client.invoke(FunctionName="tailed", Payload=b'{"say": ["words after", "unheard"]}')
    for event in events:
        results = event["sessionUpdate"]["sessionResults"]
        if results:
            break
    assert [(one["message"], one["logGroupIdentifier"]) for one in results] == [("words after\n", arn)]
    session.close()
