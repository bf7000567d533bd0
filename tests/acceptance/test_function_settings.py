"""What is set on functions, as boto3's users walk it: tags, policies, event-invoke configurations, logging, the account."""

from __future__ import annotations

import json

import boto3
import pytest
from botocore.exceptions import ClientError

QUICK = {"Delay": 0.1, "MaxAttempts": 300}
ECHO = "def handler(event, context):\n    return event\n"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:letters"


def refused(code, call, **params):
    with pytest.raises(ClientError) as error:
        call(**params)
    assert error.value.response["Error"]["Code"] == code, error.value
    return error.value.response["Error"]["Message"]


def test_tags_are_the_functions_alone(server, create):
    """Tags come and go without an update; versions have none of their own."""
    client = create(server, "tagged", ECHO, Tags={"team": "x"})
    before = client.get_function(FunctionName="tagged")["Configuration"]
    arn = before["FunctionArn"]
    client.tag_resource(Resource=arn, Tags={"stage": "test", "team": "y"})
    assert client.list_tags(Resource=arn)["Tags"] == {"stage": "test", "team": "y"}
    client.untag_resource(Resource=arn, TagKeys=["team", "unknown"])
    after = client.get_function(FunctionName="tagged")
    assert after["Tags"] == {"stage": "test"}
    assert after["Configuration"] == before
    refused("InvalidParameterValueException", client.tag_resource, Resource=f"{arn}:1", Tags={"a": "b"})
    refused("ResourceNotFoundException", client.list_tags, Resource=arn.replace("tagged", "none"))
    refused("InvalidParameterValueException", client.tag_resource, Resource=arn, Tags={f"k{n}": "v" for n in range(51)})


def test_a_tag_that_sets_something_updates_the_function(server, create):
    """torpor's own tags are settings: they hold from the next instance on, and go with the tag."""
    client = create(server, "kept", ECHO)
    arn = client.get_function(FunctionName="kept")["Configuration"]["FunctionArn"]
    client.tag_resource(Resource=arn, Tags={"torpor:keep-alive": "300"})
    client.get_waiter("function_updated_v2").wait(FunctionName="kept", WaiterConfig=QUICK)
    assert json.loads(server.owner("GET", "/_torpor/functions/kept")[2])["keep_alive_s"] == 300
    client.untag_resource(Resource=arn, TagKeys=["torpor:keep-alive"])
    client.get_waiter("function_updated_v2").wait(FunctionName="kept", WaiterConfig=QUICK)
    assert json.loads(server.owner("GET", "/_torpor/functions/kept")[2])["keep_alive_s"] is None


def test_configuration_is_kept_with_the_version(server, create):
    """Logging, dead letters, /tmp and description are stored, checked, and stay as they were in a version."""
    client = create(
        server, "configured", ECHO, Description="first", EphemeralStorage={"Size": 1024},
        DeadLetterConfig={"TargetArn": QUEUE}, LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "DEBUG"},
    )  # fmt: skip
    told = client.get_function_configuration(FunctionName="configured")
    assert told["LoggingConfig"] == {
        "LogFormat": "JSON",
        "ApplicationLogLevel": "DEBUG",
        "SystemLogLevel": "INFO",
        "LogGroup": "/aws/lambda/configured",
    }
    assert (told["DeadLetterConfig"], told["EphemeralStorage"]) == ({"TargetArn": QUEUE}, {"Size": 1024})
    client.publish_version(FunctionName="configured")
    changed = client.update_function_configuration(
        FunctionName="configured", Description="second", DeadLetterConfig={"TargetArn": ""},
        LoggingConfig={"LogFormat": "Text", "LogGroup": "/shared/group"},
    )  # fmt: skip
    assert changed["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": "/shared/group"}
    assert "DeadLetterConfig" not in changed
    version = client.get_function_configuration(FunctionName="configured", Qualifier="1")
    assert (version["Description"], version["DeadLetterConfig"]) == ("first", {"TargetArn": QUEUE})
    client.get_waiter("function_updated_v2").wait(FunctionName="configured", WaiterConfig=QUICK)
    refused(
        "InvalidParameterValueException", client.update_function_configuration,
        FunctionName="configured", LoggingConfig={"LogFormat": "Text", "ApplicationLogLevel": "DEBUG"},
    )  # fmt: skip
    stale = version["RevisionId"]
    refused(
        "PreconditionFailedException", client.update_function_configuration,
        FunctionName="configured", RevisionId=stale, Timeout=4,
    )  # fmt: skip


def test_event_invoke_configurations(server, create):
    """One for the function and one for each version and alias; they go with what they are for."""
    client = create(server, "later", ECHO)
    client.publish_version(FunctionName="later")
    client.create_alias(FunctionName="later", Name="live", FunctionVersion="1")
    refused("ResourceNotFoundException", client.get_function_event_invoke_config, FunctionName="later")
    made = client.put_function_event_invoke_config(
        FunctionName="later", MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": QUEUE}}
    )
    assert made["FunctionArn"].endswith(":function:later:$LATEST")
    assert made["DestinationConfig"] == {"OnSuccess": {}, "OnFailure": {"Destination": QUEUE}}
    updated = client.update_function_event_invoke_config(FunctionName="later", MaximumEventAgeInSeconds=120)
    assert (updated["MaximumRetryAttempts"], updated["MaximumEventAgeInSeconds"]) == (0, 120)
    for qualifier in ("live", "1"):
        client.put_function_event_invoke_config(FunctionName="later", Qualifier=qualifier, MaximumRetryAttempts=1)
    pages = client.get_paginator("list_function_event_invoke_configs").paginate(
        FunctionName="later", PaginationConfig={"PageSize": 2}
    )
    arns = [one["FunctionArn"].rpartition(":")[2] for page in pages for one in page["FunctionEventInvokeConfigs"]]
    assert arns == ["$LATEST", "1", "live"]
    refused("InvalidParameterValueException", client.put_function_event_invoke_config, FunctionName="later")
    refused(
        "ResourceNotFoundException", client.put_function_event_invoke_config,
        FunctionName="later", Qualifier="none", MaximumRetryAttempts=1,
    )  # fmt: skip
    client.delete_function_event_invoke_config(FunctionName="later", Qualifier="1")
    client.delete_alias(FunctionName="later", Name="live")
    left = client.list_function_event_invoke_configs(FunctionName="later")["FunctionEventInvokeConfigs"]
    assert len(left) == 1


def test_a_resource_policy_lets_others_in(server, create):
    """A key without rights may call what a policy opens to it, by that qualifier alone, until it is removed."""
    client = create(server, "policed", ECHO)
    client.publish_version(FunctionName="policed")
    client.get_waiter("published_version_active").wait(FunctionName="policed", Qualifier="1", WaiterConfig=QUICK)
    client.create_alias(FunctionName="policed", Name="live", FunctionVersion="1")
    made = json.loads(server.cli("keys", "create", "guest", "--allow", "lambda:ListFunctions", "--json").stdout)
    guest = boto3.client(
        "lambda", endpoint_url=server.url, region_name="us-east-1",
        aws_access_key_id=made["access_key_id"], aws_secret_access_key=made["secret_access_key"],
    )  # fmt: skip
    arn = boto3.client(
        "sts", endpoint_url=server.url, region_name="us-east-1",
        aws_access_key_id=made["access_key_id"], aws_secret_access_key=made["secret_access_key"],
    ).get_caller_identity()["Arn"]  # fmt: skip
    refused("AccessDeniedException", guest.invoke, FunctionName="policed:live")
    before = client.get_alias(FunctionName="policed", Name="live")["RevisionId"]
    added = client.add_permission(
        FunctionName="policed", Qualifier="live", StatementId="guest", Action="lambda:InvokeFunction", Principal=arn,
        RevisionId=before,
    )  # fmt: skip
    statement = json.loads(added["Statement"])
    assert statement["Resource"].endswith(":function:policed:live")
    assert guest.invoke(FunctionName="policed:live", Payload=b"1")["Payload"].read() == b"1"
    refused("AccessDeniedException", guest.invoke, FunctionName="policed")
    refused("AccessDeniedException", guest.delete_function, FunctionName="policed")
    policy = client.get_policy(FunctionName="policed", Qualifier="live")
    assert json.loads(policy["Policy"])["Statement"] == [statement]
    assert policy["RevisionId"] == client.get_alias(FunctionName="policed", Name="live")["RevisionId"] != before
    refused(
        "ResourceConflictException", client.add_permission,
        FunctionName="policed", Qualifier="live", StatementId="guest", Action="lambda:InvokeFunction", Principal="*",
    )  # fmt: skip
    refused(
        "PreconditionFailedException", client.remove_permission,
        FunctionName="policed", Qualifier="live", StatementId="guest", RevisionId=before,
    )  # fmt: skip
    client.remove_permission(FunctionName="policed", Qualifier="live", StatementId="guest")
    refused("AccessDeniedException", guest.invoke, FunctionName="policed:live")
    refused("ResourceNotFoundException", client.get_policy, FunctionName="policed", Qualifier="live")
    refused(
        "ResourceNotFoundException", client.remove_permission,
        FunctionName="policed", Qualifier="live", StatementId="guest",
    )  # fmt: skip


def test_a_statement_with_a_condition_opens_nothing_to_a_caller(server, create):
    """What names a service, a source or an account is for events: it is stored as AWS has it."""
    client = create(server, "sourced", ECHO)
    added = client.add_permission(
        FunctionName="sourced", StatementId="bucket", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com",
        SourceArn="arn:aws:s3:::photos", SourceAccount="000000000000",
    )  # fmt: skip
    statement = json.loads(added["Statement"])
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
    assert statement["Condition"] == {
        "StringEquals": {"AWS:SourceAccount": "000000000000"},
        "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::photos"},
    }
    account = client.add_permission(
        FunctionName="sourced", StatementId="account", Action="lambda:InvokeFunction", Principal="123456789012"
    )
    assert json.loads(account["Statement"])["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}
    refused(
        "InvalidParameterValueException", client.add_permission,
        FunctionName="sourced:$LATEST", StatementId="x", Action="lambda:InvokeFunction", Principal="*",
    )  # fmt: skip


def test_the_account_tells_the_truth(server, create):
    """Limits are this server's, and what is reserved is no longer free for all."""
    client = create(server, "counted", ECHO)
    before = client.get_account_settings()
    client.put_function_concurrency(FunctionName="counted", ReservedConcurrentExecutions=5)
    after = client.get_account_settings()
    limits = after["AccountLimit"]
    assert limits["ConcurrentExecutions"] == 1000
    assert before["AccountLimit"]["UnreservedConcurrentExecutions"] - limits["UnreservedConcurrentExecutions"] == 5
    assert after["AccountUsage"]["FunctionCount"] == len(
        [one for page in client.get_paginator("list_functions").paginate() for one in page["Functions"]]
    )
    assert 0 < after["AccountUsage"]["TotalCodeSize"] < limits["TotalCodeSize"]
