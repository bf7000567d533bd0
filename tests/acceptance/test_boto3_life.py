"""A function's life as a user of boto3 lives it, against a real server and real sandboxes."""

from __future__ import annotations

import base64
import json
import re

import pytest
from botocore.exceptions import ClientError

HELLO = "def handler(event, context):\n    return {'hello': event.get('name', 'world')}\n"
BYE = HELLO.replace("hello", "bye")


def invoke(client, name, payload=b"{}", **more):
    answer = client.invoke(FunctionName=name, Payload=payload, **more)
    return answer, json.loads(answer["Payload"].read() or "null")


def test_create_wait_invoke_update_invoke_delete(server, create, zipped):
    """The whole life of a function through boto3 and its waiters."""
    client = create(server, "life", HELLO, Environment={"Variables": {"LEVEL": "1"}}, Tags={"team": "x"})
    answer, value = invoke(client, "life", b'{"name": "torpor"}')
    assert (answer["StatusCode"], answer["ExecutedVersion"], value) == (200, "$LATEST", {"hello": "torpor"})
    assert "FunctionError" not in answer

    before = client.get_function_configuration(FunctionName="life")
    updated = client.update_function_code(FunctionName="life", ZipFile=zipped(BYE), RevisionId=before["RevisionId"])
    assert updated["CodeSha256"] != before["CodeSha256"]
    client.get_waiter("function_updated_v2").wait(FunctionName="life", WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})
    assert invoke(client, "life")[1] == {"bye": "world"}

    client.update_function_configuration(FunctionName="life", Timeout=7, MemorySize=256)
    client.get_waiter("function_updated_v2").wait(FunctionName="life", WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})
    after = client.get_function(FunctionName="life")["Configuration"]
    assert (after["Timeout"], after["MemorySize"], after["Environment"]) == (7, 256, {"Variables": {"LEVEL": "1"}})

    client.delete_function(FunctionName="life")
    with pytest.raises(client.exceptions.ResourceNotFoundException) as gone:
        client.invoke(FunctionName="life")
    assert gone.value.response["Error"]["Message"].startswith(
        "Function not found: arn:aws:lambda:us-east-1:000000000000:function:life"
    )
    assert gone.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert gone.value.response["Type"] == "User"


def test_get_function_offers_the_code_that_was_uploaded(server, create, zipped):
    """Code.Location is an address that answers with the same archive, and needs no further credentials."""
    client = create(server, "located", HELLO)
    code = client.get_function(FunctionName="located")["Code"]
    status, _, body = server.http("GET", code["Location"].removeprefix(server.url))
    assert (status, body) == (200, zipped(HELLO))


def test_listing_is_paged(server, create):
    """Every function is listed exactly once, whatever the size of a page."""
    for name in ("page-a", "page-b", "page-c"):
        client = create(server, name, HELLO)
    pages = list(client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2}))
    names = [function["FunctionName"] for page in pages for function in page["Functions"]]
    assert {"page-a", "page-b", "page-c"} <= set(names)
    assert len(names) == len(set(names))
    assert all(len(page["Functions"]) <= 2 for page in pages)


def test_the_same_by_name_partial_and_full_arn(server, create):
    """A function answers to each of its spellings."""
    client = create(server, "spelled", HELLO)
    arn = client.get_function_configuration(FunctionName="spelled")["FunctionArn"]
    for spelling in ("spelled", "000000000000:function:spelled", arn, f"{arn}:$LATEST"):
        assert invoke(client, spelling)[1] == {"hello": "world"}


def test_dry_run_runs_nothing_and_event_is_told_to_wait(server, create):
    """DryRun answers 204 with nothing; Event is refused with words until it has its durable queue."""
    client = create(server, "dry", "def handler(event, context):\n    raise ValueError\n")
    answer = client.invoke(FunctionName="dry", InvocationType="DryRun")
    assert (answer["StatusCode"], answer["Payload"].read()) == (204, b"")
    with pytest.raises(ClientError, match="Event"):
        client.invoke(FunctionName="dry", InvocationType="Event")


def test_the_log_has_lambdas_lines(server, create):
    """print and logging reach the log between START and REPORT, and the tail comes back in base64."""
    code = (
        "import logging\nlogging.getLogger().setLevel('INFO')\nprint('at import')\n"
        "def handler(event, context):\n    print('printed')\n    logging.info('logged')\n    return 1\n"
    )
    client = create(server, "logs", code)
    answer, _ = invoke(client, "logs", LogType="Tail")
    request_id = answer["ResponseMetadata"]["RequestId"]
    log = base64.b64decode(answer["LogResult"]).decode()
    assert f"START RequestId: {request_id} Version: $LATEST\n" in log
    assert "\nprinted\n" in log
    assert re.search(rf"\[INFO\]\t\S+Z\t{request_id}\tlogged", log)
    assert f"END RequestId: {request_id}\n" in log
    assert re.search(
        rf"REPORT RequestId: {request_id}\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 512 MB\t"
        r"Max Memory Used: \d+ MB\tInit Duration: [\d.]+ ms",
        log,
    )
    warm = base64.b64decode(invoke(client, "logs", LogType="Tail")[0]["LogResult"]).decode()
    assert "Init Duration" not in warm
    whole = server.cli("logs", "logs").stdout
    assert "INIT_START Runtime Version: python" in whole
    assert whole.count("at import") == whole.count("INIT_START")  # of the deployment check, too
    assert whole.count("printed") == 2
    only = server.cli("logs", "logs", "--request", request_id).stdout
    assert (only.count("printed"), only.count("START RequestId")) == (1, 1)


def test_globals_survive_and_a_new_instance_starts_afresh(server, create):
    """One instance serves many invocations, one at a time; its memory is its own."""
    code = "import os\nn = 0\ndef handler(event, context):\n    global n\n    n += 1\n    return [os.getpid(), n]\n"
    client = create(server, "warm", code)
    first, second = invoke(client, "warm")[1], invoke(client, "warm")[1]
    assert (first[1], second[1]) == (1, 2)
    assert first[0] == second[0] == 2, "the worker is the second process of its namespace"


def test_the_handlers_world_is_lambdas(server, create):
    """Variables, context and folders are as code written for Lambda expects them."""
    code = """
import os, sys
def handler(event, context):
    with open('/tmp/mine', 'w') as f:
        f.write('x')
    try:
        open('/var/task/x', 'w')
        task = 'writable'
    except OSError as error:
        task = error.strerror
    return {
        'env': dict(os.environ), 'cwd': os.getcwd(), 'path': sys.path, 'task': task,
        'context': [context.function_name, context.function_version, context.invoked_function_arn,
                    context.memory_limit_in_mb, context.aws_request_id, context.log_group_name,
                    context.log_stream_name, context.identity is None or True, context.client_context.custom],
        'left': context.get_remaining_time_in_millis(),
        'data': event.get_data(), 'isdict': isinstance(event, dict),
    }
"""
    client = create(server, "world", code, Environment={"Variables": {"MINE": "yes"}})
    context = base64.b64encode(json.dumps({"custom": {"k": "v"}}).encode()).decode()
    answer, value = invoke(client, "world", b'{"body": "{\\"a\\": 1}", "headers": {}}', ClientContext=context)
    env = value["env"]
    expected = {
        "_HANDLER": "app.handler",
        "LAMBDA_TASK_ROOT": "/var/task",
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "AWS_LAMBDA_FUNCTION_NAME": "world",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/world",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "MINE": "yes",
    }
    assert {name: env.get(name) for name in expected} == expected
    others = "LAMBDA_LOG_STREAM_NAME EXECUTION_ENV CONTAINER_CREDENTIALS_FULL_URI ENDPOINT_URL"
    for name in [f"AWS_{other}" for other in others.split()] + ["TZ", "LANG", "PATH", "PYTHONPATH", "_X_AMZN_TRACE_ID"]:
        assert name in env, name
    assert not [name for name in env if name.startswith("TORPOR_")]
    assert (value["cwd"], value["path"][0], value["task"]) == ("/var/task", "/var/task", "Read-only file system")
    arn = "arn:aws:lambda:us-east-1:000000000000:function:world"
    assert value["context"][:4] == ["world", "$LATEST", arn, "512"]
    assert value["context"][4] == answer["ResponseMetadata"]["RequestId"]
    assert value["context"][8] == {"k": "v"}
    assert 0 < value["left"] <= 30_000
    assert value["data"] == {"a": 1}
    assert value["isdict"] is True


def test_a_function_calls_the_platform_with_its_own_rights_only(server, create):
    """boto3 inside a function reaches torpor without arguments; what it was not granted is denied with the remedy."""
    code = """
import boto3
def handler(event, context):
    who = boto3.client('sts').get_caller_identity()['Arn']
    try:
        called = boto3.client('lambda').invoke(FunctionName='callee')['Payload'].read().decode()
    except Exception as error:
        called = str(error)
    try:
        boto3.client('lambda').delete_function(FunctionName='callee')
        deleted = 'deleted'
    except Exception as error:
        deleted = str(error)
    return [who, called, deleted]
"""
    client = create(server, "callee", HELLO)
    create(server, "denied", code)
    create(server, "granted", code, Tags={"torpor:permissions": "lambda:InvokeFunction/callee"})
    who, called, deleted = invoke(client, "denied")[1]
    assert "denied" in who
    assert "AccessDenied" in called
    assert "permissions" in called
    assert "AccessDenied" in deleted
    _, called, deleted = invoke(client, "granted")[1]
    assert json.loads(called) == {"hello": "world"}
    assert "AccessDenied" in deleted


def test_scripts_begin_with_a_role(server):
    """iam:CreateRole and sts:GetCallerIdentity answer as scripts expect."""
    iam = server.client("iam")
    role = iam.create_role(RoleName="lambda-role", AssumeRolePolicyDocument='{"Version": "2012-10-17"}')["Role"]
    assert role["Arn"] == "arn:aws:iam::000000000000:role/lambda-role"
    assert iam.get_role(RoleName="lambda-role")["Role"]["RoleName"] == "lambda-role"
    with pytest.raises(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(RoleName="lambda-role", AssumeRolePolicyDocument="{}")
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_role(RoleName="none")
    assert server.client("sts").get_caller_identity()["Account"] == "000000000000"
