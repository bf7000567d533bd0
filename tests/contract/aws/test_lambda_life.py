"""A function's life through boto3: shapes, waiters, pages, invocations, URLs."""

import base64
import json

import pytest


def test_create_answers_the_whole_configuration(world, create, zipped, sha256):
    """CreateFunction answers 201 with every member that Lambda gives, defaults included."""
    client = world.client("lambda")
    answer = create(client, "hello", Environment={"Variables": {"AB": "1"}}, Description="d", Tags={"team": "x"})
    metadata = answer.pop("ResponseMetadata")
    assert metadata["HTTPStatusCode"] == 201
    assert metadata["RequestId"]
    assert answer == {
        "FunctionName": "hello",
        "FunctionArn": "arn:aws:lambda:us-east-1:000000000000:function:hello",
        "Runtime": "python3.11",
        "Role": "arn:aws:iam::000000000000:role/r",
        "Handler": "app.handler",
        "CodeSize": len(zipped),
        "Description": "d",
        "Timeout": 3,
        "MemorySize": 128,
        "LastModified": "2026-01-02T03:04:05.678+0000",
        "CodeSha256": sha256(zipped),
        "Version": "$LATEST",
        "Environment": {"Variables": {"AB": "1"}},
        "TracingConfig": {"Mode": "PassThrough"},
        "RevisionId": "revision-1",
        "State": "Pending",
        "StateReason": "The function is being created.",
        "StateReasonCode": "Creating",
        "LastUpdateStatus": "InProgress",
        "PackageType": "Zip",
        "Architectures": ["x86_64"],
        "EphemeralStorage": {"Size": 512},
        "SnapStart": {"ApplyOn": "None", "OptimizationStatus": "Off"},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/hello"},
    }


@pytest.mark.parametrize("waiter", ["function_exists", "function_active", "function_active_v2", "function_updated_v2"])
def test_waiters_end_once_the_function_is_ready(world, create, waiter):
    """Each waiter sees the function pending, then ready."""
    client = world.client("lambda")
    create(client, "waited")
    client.get_waiter(waiter).wait(FunctionName="waited", WaiterConfig={"Delay": 0, "MaxAttempts": 5})
    client.get_waiter("function_updated").wait(FunctionName="waited", WaiterConfig={"Delay": 0, "MaxAttempts": 5})


def test_updates_change_only_what_was_asked(world, create, zipped, sha256):
    """UpdateFunctionConfiguration and UpdateFunctionCode leave everything else as it was."""
    client = world.client("lambda")
    create(client, "changing", Environment={"Variables": {"AB": "1"}}, Timeout=9)
    changed = client.update_function_configuration(
        FunctionName="changing", MemorySize=256, EphemeralStorage={"Size": 1024}, Description=""
    )
    assert (changed["MemorySize"], changed["EphemeralStorage"], changed["Timeout"]) == (256, {"Size": 1024}, 9)
    assert changed["Environment"] == {"Variables": {"AB": "1"}}
    emptied = client.update_function_configuration(FunctionName="changing", Environment={"Variables": {}})
    assert "Environment" not in emptied
    new = zipped + b""
    tried = client.update_function_code(FunctionName="changing", ZipFile=new, DryRun=True)
    assert tried["RevisionId"] == emptied["RevisionId"]
    updated = client.update_function_code(FunctionName="changing", ZipFile=new, RevisionId=emptied["RevisionId"])
    assert updated["CodeSha256"] == sha256(new)
    assert updated["RevisionId"] != emptied["RevisionId"]


def test_get_function_gives_configuration_code_and_tags(world, create):
    """GetFunction tells where the archive is, and a qualified name gets a qualified ARN."""
    client = world.client("lambda")
    create(client, "got", Tags={"team": "x"})
    answer = client.get_function(FunctionName="got")
    assert answer["Code"] == {"RepositoryType": "S3", "Location": f"{world.url}/code/got"}
    assert answer["Tags"] == {"team": "x"}
    qualified = client.get_function(FunctionName="got", Qualifier="$LATEST")
    assert qualified["Configuration"]["FunctionArn"].endswith(":function:got:$LATEST")


def test_tags_of_torpor_set_what_only_torpor_has(world, create):
    """The tags torpor:… become permissions, reach, source builds and keep-alive."""
    tags = {
        "torpor:permissions": "lambda:InvokeFunction/callee sts:GetCallerIdentity",
        "torpor:reach": "db.local:5432",
        "torpor:source-builds": "true",
        "torpor:keep-alive": "300",
    }
    create(world.client("lambda"), "tagged", Tags=tags)
    config = world.catalog.functions["tagged"].config
    assert config.permissions == ("lambda:InvokeFunction/callee", "sts:GetCallerIdentity")
    assert config.reach == ("db.local:5432",)
    assert (config.source_builds, config.keep_alive_s, dict(config.tags)) == (True, 300.0, tags)


def test_listing_pages_through_every_function_once(world, create):
    """Markers lead from page to page, and the last page has none."""
    client = world.client("lambda")
    for number in range(5):
        create(client, f"page-{number}")
    pages = list(client.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 2}))
    assert [[function["FunctionName"] for function in page["Functions"]] for page in pages] == [
        ["page-0", "page-1"],
        ["page-2", "page-3"],
        ["page-4"],
    ]


def test_delete_removes_and_says_204(world, create):
    """DeleteFunction answers 204 without a body, and the function is gone."""
    client = world.client("lambda")
    create(client, "short")
    answer = client.delete_function(FunctionName="short")
    assert (answer["ResponseMetadata"]["HTTPStatusCode"], answer["StatusCode"]) == (204, 204)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_function(FunctionName="short")


def test_invoke_passes_bytes_through_and_tells_the_cost(world, create):
    """The payload arrives untouched; version, log tail and torpor's headers come back."""
    client = world.client("lambda")
    create(client, "called")
    payload = b'{ "a" :  1, "big": 12345678901234567890123 }'
    answer = client.invoke(FunctionName="called", Payload=payload, LogType="Tail")
    assert answer["Payload"].read() == payload == world.invoker.asked[-1]["payload"]
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert "FunctionError" not in answer
    assert base64.b64decode(answer["LogResult"]) == b"START RequestId\nEND RequestId\n"
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert {name: value for name, value in headers.items() if name.startswith("x-torpor")} == {
        "x-torpor-start": "spawn",
        "x-torpor-init-ms": "80.500",
        "x-torpor-duration-ms": "1.250",
        "x-torpor-billed-ms": "2",
        "x-torpor-max-memory-mb": "40",
        "x-torpor-cpu-ms": "1.000",
    }
    assert world.invoker.asked[-1]["request_id"] == answer["ResponseMetadata"]["RequestId"]


def test_a_functions_own_error_is_a_200(world, create):
    """A function error stands in a header, with the error object as payload, and no log unless asked for."""
    client = world.client("lambda")
    create(client, "failing")
    world.invoker.function_error, world.invoker.answer = "Unhandled", b'{"errorMessage": "x"}'
    answer = client.invoke(FunctionName="failing")
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert json.loads(answer["Payload"].read()) == {"errorMessage": "x"}
    assert "LogResult" not in answer
    assert world.invoker.asked[-1]["payload"] == b"{}"


def test_dry_run_is_an_empty_204(world, create):
    """DryRun runs nothing."""
    client = world.client("lambda")
    create(client, "dry")
    answer = client.invoke(FunctionName="dry", InvocationType="DryRun")
    assert (answer["StatusCode"], answer["Payload"].read()) == (204, b"")
    assert "ExecutedVersion" not in answer
    assert world.invoker.asked == []


@pytest.mark.parametrize(
    "spelling",
    [
        "spelled",
        "spelled:$LATEST",
        "function:spelled",
        "000000000000:function:spelled",
        "arn:aws:lambda:us-east-1:000000000000:function:spelled",
        "arn:aws:lambda:us-east-1:000000000000:function:spelled:$LATEST",
    ],
)
def test_a_function_answers_to_each_of_its_spellings(world, create, spelling):
    """Name, partial ARN and full ARN, with and without qualifier, mean the same function."""
    client = world.client("lambda")
    create(client, "spelled")
    assert client.invoke(FunctionName=spelling, Payload=b"7")["Payload"].read() == b"7"
    assert client.get_function_configuration(FunctionName=spelling)["FunctionName"] == "spelled"


def test_the_client_context_reaches_the_function_as_json(world, create):
    """ClientContext is decoded from base64 once, here."""
    client = world.client("lambda")
    create(client, "context")
    client.invoke(FunctionName="context", ClientContext=base64.b64encode(b'{"custom": {"k": "v"}}').decode())
    assert world.invoker.asked[-1]["client_context"] == '{"custom": {"k": "v"}}'


def test_concurrency_is_reserved_read_and_given_back(world, create):
    """Put, get, GetFunction and delete tell of the same reservation; zero is one too."""
    client = world.client("lambda")
    create(client, "busy")
    assert "ReservedConcurrentExecutions" not in client.get_function_concurrency(FunctionName="busy")
    assert "Concurrency" not in client.get_function(FunctionName="busy")
    for wanted in (5, 0):
        made = client.put_function_concurrency(FunctionName="busy", ReservedConcurrentExecutions=wanted)
        assert made["ReservedConcurrentExecutions"] == wanted
        assert client.get_function_concurrency(FunctionName="busy")["ReservedConcurrentExecutions"] == wanted
        assert client.get_function(FunctionName="busy")["Concurrency"] == {"ReservedConcurrentExecutions": wanted}
    with pytest.raises(client.exceptions.InvalidParameterValueException):
        client.put_function_concurrency(FunctionName="busy", ReservedConcurrentExecutions=901)
    gone = client.delete_function_concurrency(FunctionName="busy")
    assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert "ReservedConcurrentExecutions" not in client.get_function_concurrency(FunctionName="busy")


def test_a_url_lives_and_dies(world, create):
    """Create, read, change, list and delete a function URL."""
    client = world.client("lambda")
    create(client, "open")
    cors = {"AllowOrigins": ["*"], "MaxAge": 60, "AllowCredentials": False}
    made = client.create_function_url_config(FunctionName="open", AuthType="NONE", Cors=cors)
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (made["FunctionUrl"], made["AuthType"], made["Cors"]) == (f"{world.url}/fn/open/", "NONE", cors)
    assert made["CreationTime"] == "2026-01-02T03:04:05.678Z"
    assert made["InvokeMode"] == "BUFFERED"
    changed = client.update_function_url_config(FunctionName="open", AuthType="AWS_IAM", InvokeMode="RESPONSE_STREAM")
    assert changed["InvokeMode"] == "RESPONSE_STREAM"
    assert (changed["AuthType"], changed["Cors"]) == ("AWS_IAM", cors)
    assert client.get_function_url_config(FunctionName="open")["AuthType"] == "AWS_IAM"
    listed = client.list_function_url_configs(FunctionName="open")["FunctionUrlConfigs"]
    assert [url["AuthType"] for url in listed] == ["AWS_IAM"]
    gone = client.delete_function_url_config(FunctionName="open")
    assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_function_url_config(FunctionName="open")
