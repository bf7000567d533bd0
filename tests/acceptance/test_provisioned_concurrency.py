"""Provisioned concurrency as scripts use it: put, polled until it is ready, moved with an alias, kept over a restart."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from botocore.exceptions import ClientError

pytestmark = pytest.mark.slow

QUICK = {"Delay": 0.1, "MaxAttempts": 300}
CODE = (
    "import os, time\n"
    "def handler(event, context):\n"
    "    time.sleep(event or 0)\n"
    "    return [os.environ['AWS_LAMBDA_INITIALIZATION_TYPE'], context.function_version]\n"
)


def publish(client, name):
    version = client.publish_version(FunctionName=name)["Version"]
    client.get_waiter("published_version_active").wait(FunctionName=name, Qualifier=version, WaiterConfig=QUICK)
    return version


def refused(code, call, **params):
    with pytest.raises(ClientError) as error:
        call(**params)
    assert error.value.response["Error"]["Code"] == code
    return error.value.response["Error"]["Message"]


@pytest.fixture
def ready(eventually):
    """Wait until a configuration is as it was asked for; returns it."""

    def wait(client, name, qualifier, status="READY"):
        def poll():
            told = client.get_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier)
            return told if told["Status"] == status else None

        return eventually(poll)

    return wait


def run(client, name, qualifier, seconds=0):
    answer = client.invoke(FunctionName=name, Qualifier=qualifier, Payload=json.dumps(seconds))
    return json.loads(answer["Payload"].read())


def test_instances_are_ready_before_they_are_called(start_server, create, zipped, ready, tmp_path):
    """They are of their own kind, spill over, follow their alias, and are there again after a restart."""
    server = start_server(data=tmp_path / "data")
    client = create(server, "shelf", CODE, Timeout=20)
    publish(client, "shelf")
    client.update_function_code(FunctionName="shelf", ZipFile=zipped(CODE + "\n"))
    client.get_waiter("function_updated_v2").wait(FunctionName="shelf", WaiterConfig=QUICK)
    publish(client, "shelf")
    client.create_alias(FunctionName="shelf", Name="live", FunctionVersion="1")

    put = client.put_provisioned_concurrency_config(
        FunctionName="shelf", Qualifier="live", ProvisionedConcurrentExecutions=2
    )
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert put["RequestedProvisionedConcurrentExecutions"] == 2
    told = ready(client, "shelf", "live")
    assert told["AvailableProvisionedConcurrentExecutions"] == told["AllocatedProvisionedConcurrentExecutions"] == 2
    assert client.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == 998
    with ThreadPoolExecutor(3) as threads:
        found = sorted(threads.map(lambda _: run(client, "shelf", "live", 1.5), range(3)))
    assert found == [["on-demand", "1"], ["provisioned-concurrency", "1"], ["provisioned-concurrency", "1"]]
    assert run(client, "shelf", "$LATEST")[0] == "on-demand"

    client.update_alias(FunctionName="shelf", Name="live", FunctionVersion="2")
    ready(client, "shelf", "live")
    assert run(client, "shelf", "live") == ["provisioned-concurrency", "2"]
    assert server.stop() == 0
    server = start_server(data=tmp_path / "data")
    client = server.client("lambda")
    ready(client, "shelf", "live")
    assert run(client, "shelf", "live") == ["provisioned-concurrency", "2"]
    (page,) = client.get_paginator("list_provisioned_concurrency_configs").paginate(FunctionName="shelf")
    (config,) = page["ProvisionedConcurrencyConfigs"]
    assert (config["FunctionArn"].rpartition(":")[2], config["Status"]) == ("live", "READY")
    client.delete_provisioned_concurrency_config(FunctionName="shelf", Qualifier="live")
    refused(
        "ProvisionedConcurrencyConfigNotFoundException",
        client.get_provisioned_concurrency_config,
        FunctionName="shelf",
        Qualifier="live",
    )


def test_what_cannot_be_provisioned_says_why(server, create, ready):
    """In AWS's words: unpublished, missing, too many; and a version that does not initialise."""
    client = create(server, "broken", "raise ValueError('no model')\ndef handler(event, context): pass\n")
    publish(client, "broken")
    put = client.put_provisioned_concurrency_config
    of = {"FunctionName": "broken", "ProvisionedConcurrentExecutions": 1}
    assert "unpublished" in refused("InvalidParameterValueException", put, Qualifier="$LATEST", **of)
    assert "Function not found" in refused("ResourceNotFoundException", put, Qualifier="7", **of)
    assert "Cannot find alias" in refused("ResourceNotFoundException", put, Qualifier="no", **of)
    message = refused(
        "InvalidParameterValueException", put, **of | {"Qualifier": "1", "ProvisionedConcurrentExecutions": 950}
    )
    assert "below its minimum value of [100]" in message
    put(Qualifier="1", **of)
    failed = ready(client, "broken", "1", "FAILED")
    assert failed["StatusReason"] == "FUNCTION_ERROR_INIT_FAILURE: ValueError: no model"
    assert failed["AvailableProvisionedConcurrentExecutions"] == 0
    client.delete_function(FunctionName="broken")
