"""Reserved concurrency as scripts use it, against a real server: refusals with Lambda's reason, kept over a restart."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import botocore.exceptions
import pytest

pytestmark = pytest.mark.slow

SLOW = "import time\ndef handler(event, context):\n    time.sleep(event)\n    return event\n"


def _throttled(client, **given):
    with pytest.raises(client.exceptions.TooManyRequestsException) as caught:
        client.invoke(**given)
    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 429
    return response["Reason"]


def test_a_reservation_bounds_stops_and_stays(start_server, create, tmp_path, eventually):
    """One at a time lets one in; zero lets none; both are known to boto3, to `describe`, and after a restart."""
    server = start_server(data=tmp_path / "data")
    create(server, "busy", SLOW, Timeout=10)
    create(server, "other", SLOW)
    client = server.client("lambda")
    client.put_function_concurrency(FunctionName="busy", ReservedConcurrentExecutions=1)
    client.invoke(FunctionName="busy", Payload=b"0")
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(client.invoke, FunctionName="busy", Payload=b"2")
        eventually(lambda: _description(server, "busy")["instances"]["busy"] == 1)
        reason = _throttled(client, FunctionName="busy", Payload=b"0")
        assert reason == "ReservedFunctionConcurrentInvocationLimitExceeded"
        assert client.invoke(FunctionName="other", Payload=b"0")["StatusCode"] == 200
        assert running.result()["Payload"].read() == b"2"
    client.put_function_concurrency(FunctionName="busy", ReservedConcurrentExecutions=0)
    with pytest.raises(botocore.exceptions.ClientError, match=r"below its minimum value of \[100\]"):
        client.put_function_concurrency(FunctionName="other", ReservedConcurrentExecutions=901)
    assert server.stop() == 0
    again = start_server(data=tmp_path / "data")
    client = again.client("lambda")
    assert client.get_function(FunctionName="busy")["Concurrency"] == {"ReservedConcurrentExecutions": 0}
    assert _description(again, "busy")["reserved_concurrency"] == 0
    assert _throttled(client, FunctionName="busy") == "ReservedFunctionConcurrentInvocationLimitExceeded"
    client.delete_function_concurrency(FunctionName="busy")
    assert client.invoke(FunctionName="busy", Payload=b"0")["Payload"].read() == b"0"


def _description(server, name):
    return json.loads(server.cli("describe", name, "--json").stdout)
