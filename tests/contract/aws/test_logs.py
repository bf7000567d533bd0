"""CloudWatch Logs through boto3, over real log files."""

import pytest
from botocore.exceptions import ClientError

from torpor.core.identity import Kind, Principal

GROUP = "/aws/lambda/talker"


def refused(call, **params):
    with pytest.raises(ClientError) as caught:
        call(**params)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response["Error"]["Message"]


@pytest.fixture
def logs(world):
    return world.client("logs", parameter_validation=False)


@pytest.fixture
def talker(world, create, clock, log_store):
    """A function; `say` writes lines of a stream, one a second."""
    create(world.client("lambda"), "talker")

    def say(stream, *lines):
        for line in lines:
            clock.now += 1
            log_store.write("talker", stream, "r", int(clock.now * 1000), line.encode())

    return say


def messages(answer):
    return [event["message"].rstrip("\n") for event in answer["events"]]


def test_groups_are_those_of_functions_and_those_made(logs, talker):
    """Listed by name in pages, by prefix and by pattern; made, tagged and deleted; a taken name is refused."""
    logs.create_log_group(logGroupName="/app/One", tags={"k": "v"})
    logs.create_log_group(logGroupName="plain")
    pages = logs.get_paginator("describe_log_groups").paginate(PaginationConfig={"PageSize": 2})
    found = [group for page in pages for group in page["logGroups"]]
    assert [group["logGroupName"] for group in found] == ["/app/One", GROUP, "plain"]
    arn = "arn:aws:logs:us-east-1:000000000000:log-group:/app/One"
    assert (found[0]["arn"], found[0]["logGroupArn"]) == (f"{arn}:*", arn)

    def names(**params):
        return [group["logGroupName"] for group in logs.describe_log_groups(**params)["logGroups"]]

    assert names(logGroupNamePrefix="/a") == ["/app/One", GROUP]
    assert names(logGroupNamePattern="one") == ["/app/One"]
    logs.tag_resource(resourceArn=arn, tags={"l": "w"})
    logs.untag_resource(resourceArn=arn, tagKeys=["k"])
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"l": "w"}
    assert refused(logs.create_log_group, logGroupName="plain")[:2] == (400, "ResourceAlreadyExistsException")
    assert refused(logs.create_log_group, logGroupName=GROUP)[1] == "ResourceAlreadyExistsException"
    assert refused(logs.create_log_group, logGroupName="bad name")[1] == "InvalidParameterException"
    logs.delete_log_group(logGroupName="plain")
    assert refused(logs.delete_log_group, logGroupName="plain")[1] == "ResourceNotFoundException"


def test_a_function_s_group_deleted_begins_anew(logs, talker):
    """Its events are gone, and it is there as long as the function."""
    talker("s", "one")
    logs.delete_log_group(logGroupName=GROUP)
    assert logs.describe_log_streams(logGroupName=GROUP)["logStreams"] == []
    talker("s", "two")
    assert messages(logs.filter_log_events(logGroupName=GROUP)) == ["two"]


def test_streams_in_their_orders(logs, talker):
    """By name or by their last event, both ways, in pages."""
    talker("b", "1")
    talker("a", "2")
    talker("c", "3", "4")
    talker("b", "5")

    def names(**params):
        pages = logs.get_paginator("describe_log_streams").paginate(
            logGroupName=GROUP, PaginationConfig={"PageSize": 2}, **params
        )
        return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]

    assert names() == ["a", "b", "c"]
    assert names(descending=True) == ["c", "b", "a"]
    assert names(orderBy="LastEventTime") == ["a", "c", "b"]
    assert names(orderBy="LastEventTime", descending=True) == ["b", "c", "a"]
    assert names(logStreamNamePrefix="b") == ["b"]
    stream = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="b")["logStreams"][0]
    assert stream["lastEventTimestamp"] - stream["firstEventTimestamp"] == 4000


def test_events_forwards_and_backwards(logs, talker):
    """From the head or the tail, on with tokens both ways; at an end the token stays, and later events are found."""
    talker("other", "x")
    talker("s", *"123456")
    talker("other", "y")
    ask = {"logGroupName": GROUP, "logStreamName": "s", "limit": 2}
    first = logs.get_log_events(**ask, startFromHead=True)
    assert messages(first) == ["1", "2"]
    second = logs.get_log_events(**ask, startFromHead=True, nextToken=first["nextForwardToken"])
    assert messages(second) == ["3", "4"]
    third = logs.get_log_events(**ask, startFromHead=True, nextToken=second["nextForwardToken"])
    assert messages(third) == ["5", "6"]
    end = logs.get_log_events(**ask, startFromHead=True, nextToken=third["nextForwardToken"])
    assert messages(end) == []
    assert end["nextForwardToken"] == third["nextForwardToken"]
    assert messages(logs.get_log_events(**ask, nextToken=third["nextBackwardToken"])) == ["3", "4"]
    talker("s", "7")
    assert messages(logs.get_log_events(**ask, nextToken=end["nextForwardToken"])) == ["7"]

    last = logs.get_log_events(**ask)
    assert messages(last) == ["6", "7"]
    before = logs.get_log_events(**ask, nextToken=last["nextBackwardToken"])
    assert messages(before) == ["4", "5"]
    head = logs.get_log_events(logGroupName=GROUP, logStreamName="s", nextToken=before["nextBackwardToken"])
    assert messages(head) == ["1", "2", "3"]
    start = logs.get_log_events(**ask, nextToken=head["nextBackwardToken"])
    assert messages(start) == []
    assert start["nextBackwardToken"] == head["nextBackwardToken"]

    times = [event["timestamp"] for event in head["events"]]
    some = logs.get_log_events(logGroupName=GROUP, logStreamName="s", startTime=times[1], endTime=times[2])
    assert messages(some) == ["2"]
    assert refused(logs.get_log_events, **ask, nextToken="f/1")[1] == "InvalidParameterException"
    assert refused(logs.get_log_events, logGroupName=GROUP, logStreamName="none")[:2] == (
        400, "ResourceNotFoundException",
    )  # fmt: skip


def test_events_are_filtered(logs, talker):
    """By pattern, stream and time, page by page, each with an id of its own."""
    talker("a", "ERROR one", "fine", '{"level": "ERROR", "code": 7}')
    talker("b", "ERROR two", "GET / 404")

    def found(**params):
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=GROUP, PaginationConfig={"PageSize": 1}, **params
        )
        return [event for page in pages for event in page["events"]]

    def texts(**params):
        return [event["message"].rstrip("\n") for event in found(**params)]

    everything = found()
    assert len({event["eventId"] for event in everything}) == 5
    assert [event["logStreamName"] for event in everything] == ["a"] * 3 + ["b"] * 2
    assert texts(filterPattern="ERROR -two") == ["ERROR one", '{"level": "ERROR", "code": 7}']
    assert texts(filterPattern='{ $.level = "ERR*" && $.code > 6 }') == ['{"level": "ERROR", "code": 7}']
    assert texts(filterPattern="[method, path, status = 4*]") == ["GET / 404"]
    assert texts(logStreamNames=["b"], filterPattern="ERROR") == ["ERROR two"]
    assert texts(logStreamNamePrefix="a", filterPattern='"ERROR one"') == ["ERROR one"]
    assert texts(startTime=everything[1]["timestamp"], endTime=everything[1]["timestamp"]) == ["fine"]
    status, code, message = refused(logs.filter_log_events, logGroupName=GROUP, filterPattern="{ $.a = }")
    assert (status, code) == (400, "InvalidParameterException")
    assert "cannot be read" in message


def test_retention_hides_what_is_too_old(logs, talker, clock):
    """At once, and not any more when it is taken back; only AWS's numbers of days are taken."""
    talker("s", "old")
    clock.now += 3 * 86_400
    talker("s", "new")
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=1)
    assert logs.describe_log_groups()["logGroups"][0]["retentionInDays"] == 1
    assert messages(logs.filter_log_events(logGroupName=GROUP)) == ["new"]
    logs.delete_retention_policy(logGroupName=GROUP)
    assert "retentionInDays" not in logs.describe_log_groups()["logGroups"][0]
    assert messages(logs.filter_log_events(logGroupName=GROUP)) == ["old", "new"]
    assert refused(logs.put_retention_policy, logGroupName=GROUP, retentionInDays=2)[1] == "InvalidParameterException"
    assert refused(logs.put_retention_policy, logGroupName="none", retentionInDays=1)[1] == "ResourceNotFoundException"


def test_rights_are_on_which_group(world, logs, talker):
    """By the group's whole name, as it is or in an ARN."""
    talker("s", "one")
    world.principal = Principal(Kind.FUNCTION, "arn:f", "f", ("logs:FilterLogEvents//aws/lambda/talk*",))
    arn = f"arn:aws:logs:us-east-1:000000000000:log-group:{GROUP}"
    assert messages(logs.filter_log_events(logGroupIdentifier=arn)) == ["one"]
    assert refused(logs.filter_log_events, logGroupName="/aws/lambda/other")[1] == "AccessDeniedException"
    code, message = refused(logs.get_log_events, logGroupName=GROUP, logStreamName="s")[1:]
    assert code == "AccessDeniedException"
    assert f"not authorized to perform: logs:GetLogEvents on resource: {arn}" in message
    assert refused(logs.put_log_events, logGroupName=GROUP, logStreamName="s", logEvents=[])[1] == (
        "NotImplementedException"
    )
