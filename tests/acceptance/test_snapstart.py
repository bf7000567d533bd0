"""SnapStart as scripts use it: switched on, published, waited for, restored with its hooks, refused with its reason."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.slow

QUICK = {"Delay": 0.1, "MaxAttempts": 600}
ON = {"ApplyOn": "PublishedVersions"}
CODE = """
import os, time
from snapshot_restore_py import register_after_restore, register_before_snapshot
print("initialising")
STORY = [str(time.time_ns())]
register_before_snapshot(STORY.append, "before")
register_after_restore(STORY.append, "after")
def handler(event, context):
    return [STORY, os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], context.function_version]
"""


def publish(client, name):
    version = client.publish_version(FunctionName=name)
    assert version["State"] == "Pending"
    number = version["Version"]
    client.get_waiter("published_version_active").wait(FunctionName=name, Qualifier=number, WaiterConfig=QUICK)
    return client.get_function_configuration(FunctionName=name, Qualifier=number)


def run(client, name, qualifier="$LATEST"):
    answer = client.invoke(FunctionName=name, Qualifier=qualifier)
    told = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, told
    return told


def test_a_version_is_restored_from_its_snapshot(server, create, eventually):
    """$LATEST initialises by itself; the version was initialised once, before it was Active, and its log says so."""
    client = create(server, "swift", CODE, SnapStart=ON, Timeout=10)
    latest = client.get_function_configuration(FunctionName="swift")
    assert latest["SnapStart"] == {**ON, "OptimizationStatus": "Off"}
    assert publish(client, "swift")["SnapStart"] == {**ON, "OptimizationStatus": "On"}
    story, kind, version = run(client, "swift", "1")
    assert (story[1:], kind, version) == (["before", "after"], "snap-start", "1")
    plain, kind, _ = run(client, "swift")
    assert (len(plain), kind) == (1, "on-demand")
    assert plain[0] != story[0]

    def logged():
        lines = server.cli("logs", "swift").stdout
        return lines if "Billed Restore Duration" in lines else None

    lines = eventually(logged)
    assert "RESTORE_START Runtime Version" in lines
    assert "RESTORE_REPORT Restore Duration" in lines
    client.update_function_configuration(FunctionName="swift", SnapStart={"ApplyOn": "None"})
    client.get_waiter("function_updated_v2").wait(FunctionName="swift", WaiterConfig=QUICK)
    assert publish(client, "swift")["SnapStart"] == {"ApplyOn": "None", "OptimizationStatus": "Off"}
    assert run(client, "swift", "2")[1] == "on-demand"
    client.delete_function(FunctionName="swift")


def test_a_snapshot_that_cannot_be_is_refused_with_its_reason(server, create):
    """The version is Active all the same, starts otherwise, and tells why."""
    code = "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()\n" + CODE
    client = create(server, "busy-init", code, SnapStart=ON)
    told = publish(client, "busy-init")
    assert told["SnapStart"]["OptimizationStatus"] == "Off"
    assert "its initialisation leaves 1 thread" in told["StateReason"]
    assert run(client, "busy-init", "1")[1] == "on-demand"
    start = json.loads(server.cli("describe", "busy-init", "--json").stdout)["start"]
    assert "1 thread" in start["reason"]
    with pytest.raises(client.exceptions.InvalidParameterValueException, match="SnapStart"):
        client.put_provisioned_concurrency_config(
            FunctionName="busy-init", Qualifier="1", ProvisionedConcurrentExecutions=1
        )
    client.delete_function(FunctionName="busy-init")


def test_a_custom_runtime_has_no_snapshot(server, create):
    """It initialises itself, as it likes."""
    client = server.client("lambda")
    with pytest.raises(client.exceptions.InvalidParameterValueException, match="not supported for SnapStart"):
        create(server, "own", {"bootstrap": "#!/bin/sh\n"}, Runtime="provided.al2023", SnapStart=ON)


@pytest.mark.full
def test_the_published_hooks_and_a_trained_model(server, create):
    """The package of the index in the function's own environment, and scikit-learn as far as it is trained."""
    code = CODE.replace(
        "STORY = ",
        "from sklearn.linear_model import LogisticRegression\n"
        "from sklearn.datasets import load_iris\nMODEL = LogisticRegression(max_iter=200).fit(*load_iris(return_X_y=True))\n"
        "STORY = ",
    )
    files = {"app.py": code, "requirements.txt": "snapshot-restore-py==1.0.0\nscikit-learn\n"}
    client = create(server, "trained", files, SnapStart=ON, Timeout=60, MemorySize=1024)
    assert publish(client, "trained")["SnapStart"]["OptimizationStatus"] == "On"
    assert run(client, "trained", "1")[:2][1] == "snap-start"
    client.delete_function(FunctionName="trained")


def test_a_client_of_the_platform_may_be_made_before_the_snapshot(server, create):
    """Its credentials come through the door, and each instance calls with it, over a connection of its own."""
    code = (
        "import json, boto3\n"
        "CLIENT = boto3.client('sts')\n"
        "WHO = CLIENT.get_caller_identity()['Arn']\n"
        "def handler(event, context):\n"
        "    import os\n"
        "    return [WHO, CLIENT.get_caller_identity()['Arn'], os.environ['AWS_LAMBDA_INITIALIZATION_TYPE']]\n"
    )
    files = {"app.py": code, "requirements.txt": "boto3\n"}
    client = create(server, "caller", files, SnapStart=ON, Tags={"torpor:permissions": "sts:GetCallerIdentity"})
    told = publish(client, "caller")
    assert told["SnapStart"]["OptimizationStatus"] == "On", told["StateReason"]
    before, after, kind = run(client, "caller", "1")
    assert (before, kind) == (after, "snap-start")
    client.delete_function(FunctionName="caller")
