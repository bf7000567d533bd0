"""Every error of Lambda, provoked through boto3 against a real server and compared with Lambda's own words."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import botocore.exceptions
import pytest

GOOD = "def handler(event, context):\n    return event\n"

# name of the case: (the bundle, more of the configuration, errorType, a pattern for errorMessage)
FUNCTION_ERRORS = {
    "raises": ("def handler(e, c):\n    return 1 / 0\n", {}, "ZeroDivisionError", "division by zero"),
    "no-module": (
        "import nonexistent\n" + GOOD,
        {},
        "Runtime.ImportModuleError",
        r"Unable to import module 'app': No module named 'nonexistent'",
    ),
    "no-file": (
        {"other.py": GOOD},
        {},
        "Runtime.ImportModuleError",
        r"Unable to import module 'app': No module named 'app'",
    ),
    "no-handler": ("x = 1\n", {}, "Runtime.HandlerNotFound", r"Handler 'handler' missing on module 'app'"),
    "bad-handler": (GOOD, {"Handler": "app"}, "Runtime.MalformedHandlerName", "Bad handler 'app'"),
    "syntax": ("def handler(:\n", {}, "Runtime.UserCodeSyntaxError", "Syntax error in module 'app'"),
    "exit-one": (
        "import os\ndef handler(e, c):\n    os._exit(1)\n",
        {},
        "Runtime.ExitError",
        r"RequestId: \S+ Error: Runtime exited with error: exit status 1",
    ),
    "exit-zero": (
        "import os\ndef handler(e, c):\n    os._exit(0)\n",
        {},
        "Runtime.ExitError",
        r"RequestId: \S+ Error: Runtime exited without providing a reason",
    ),
    "killed": (
        "import os\ndef handler(e, c):\n    os.kill(os.getpid(), 9)\n",
        {},
        "Runtime.ExitError",
        r"RequestId: \S+ Error: Runtime exited with error: signal: killed",
    ),
    "times-out": (
        "import time\ndef handler(e, c):\n    time.sleep(60)\n",
        {"Timeout": 1},
        "Sandbox.Timedout",
        r"RequestId: \S+ Error: Task timed out after 1\.00 seconds",
    ),
    "too-large": (
        "def handler(e, c):\n    return 'x' * 7_000_000\n",
        {},
        "Function.ResponseSizeTooLarge",
        r"Response payload size exceeded maximum allowed payload size \(6291556 bytes\)\.",
    ),
    "bytes": ("def handler(e, c):\n    return b'x'\n", {}, "Runtime.MarshalError", "Unable to marshal response"),
    "circular": (
        "def handler(e, c):\n    x = []\n    x.append(x)\n    return x\n",
        {},
        "Runtime.MarshalError",
        "marshal",
    ),
    "not-a-number": ("def handler(e, c):\n    return float('nan')\n", {}, "Runtime.MarshalError", "marshal"),
    "hungry": (
        "def handler(e, c):\n    x = []\n    while True:\n        x.append(bytearray(10_000_000))\n",
        {"MemorySize": 128},
        "Runtime.OutOfMemory",
        "",
    ),
}


@pytest.mark.parametrize("case", FUNCTION_ERRORS)
def test_a_functions_error_is_told_as_lambda_tells_it(server, create, case):
    """HTTP 200, X-Amz-Function-Error, and an error object with Lambda's type and message; and the next call works."""
    files, more, kind, message = FUNCTION_ERRORS[case]
    client = create(server, f"error-{case}", files, **more)
    for _ in range(2):  # the second meets a warm instance, or a fresh one where the first was destroyed
        answer = client.invoke(FunctionName=f"error-{case}")
        error = json.loads(answer["Payload"].read())
        assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
        assert error["errorType"] == kind
        assert re.search(message, error["errorMessage"]), error


def test_an_exception_carries_its_place_in_the_code(server, create):
    """The stack trace names the file in /var/task, the line and the function; nothing of the runtime above it."""
    client = create(server, "trace", FUNCTION_ERRORS["raises"][0])
    answer = client.invoke(FunctionName="trace")
    error = json.loads(answer["Payload"].read())
    assert error == {
        "errorMessage": "division by zero",
        "errorType": "ZeroDivisionError",
        "requestId": answer["ResponseMetadata"]["RequestId"],
        "stackTrace": ['  File "/var/task/app.py", line 2, in handler\n    return 1 / 0\n'],
    }


def _refused(client, operation, **given):
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        getattr(client, operation)(**given)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response["Error"]["Message"]


CREATE = {"Runtime": "python3.11", "Role": "arn:aws:iam::000000000000:role/r", "Handler": "app.handler"}


def test_the_services_errors_are_lambdas(server, create, zipped):
    """Missing, existing, invalid and oversized: status, code and message as the live service gives them."""
    client = create(server, "exists", GOOD)
    code = {"ZipFile": zipped(GOOD)}
    raw = server.client("lambda", parameter_validation=False)
    arn = "arn:aws:lambda:us-east-1:000000000000:function:none"
    for operation in ("invoke", "get_function", "get_function_configuration", "delete_function"):
        status, kind, message = _refused(client, operation, FunctionName="none")
        assert (status, kind) == (404, "ResourceNotFoundException")
        assert message.startswith(f"Function not found: {arn}")
    assert _refused(client, "invoke", FunctionName="exists", Qualifier="7")[2] == (
        "Function not found: arn:aws:lambda:us-east-1:000000000000:function:exists:7"
    )
    assert _refused(client, "create_function", FunctionName="exists", Code=code, **CREATE) == (
        409,
        "ResourceConflictException",
        "Function already exist: exists",
    )
    status, kind, message = _refused(client, "invoke", FunctionName="exists", Payload=b"{nope")
    assert (status, kind) == (400, "InvalidRequestContentException")
    assert message.startswith("Could not parse request body into json: ")
    assert _refused(client, "invoke", FunctionName="exists", Payload=b'"' + b"x" * 6_300_000 + b'"')[:2] == (
        413,
        "RequestTooLargeException",
    )
    status, kind, message = _refused(raw, "create_function", FunctionName="a", Code=code, **{**CREATE, "Timeout": 0})
    assert (status, kind) == (400, "ValidationException")
    assert message.startswith("1 validation error detected: Value '0' at 'timeout' failed to satisfy constraint: ")
    for wrong in ({"Runtime": "python2.7"}, {"MemorySize": 64}, {"Handler": ""}, {"Role": "nobody"}):
        status, kind, _ = _refused(raw, "create_function", FunctionName="a", Code=code, **{**CREATE, **wrong})
        assert status == 400
        assert kind in {"ValidationException", "InvalidParameterValueException"}
    big = {"Environment": {"Variables": {"BIG": "x" * 5000}}}
    assert _refused(client, "create_function", FunctionName="a", Code=code, **CREATE, **big)[:2] == (
        400,
        "InvalidParameterValueException",
    )
    revision = "00000000-0000-0000-0000-000000000000"
    assert _refused(client, "update_function_code", FunctionName="exists", RevisionId=revision, **code)[:2] == (
        412,
        "PreconditionFailedException",
    )
    assert "none" not in [f["FunctionName"] for f in client.list_functions()["Functions"]]


def test_what_is_not_built_yet_says_so_by_name(server):
    """An operation that torpor does not have answers with the protocol's error, naming the operation."""
    status, _, message = _refused(server.client("lambda"), "list_code_signing_configs")
    assert status in {400, 404, 501}
    assert "ListCodeSigningConfigs" in message


def test_requests_without_the_key_are_refused(server, create):
    """No signature, a wrong secret, an unknown key, a late clock, a foreign Host or Origin: nothing runs."""
    import datetime

    import boto3
    import time_machine

    create(server, "guarded", GOOD)
    path = "/2015-03-31/functions/guarded/invocations"
    assert server.http("POST", path, b"{}")[0] == 403
    assert server.http("POST", path, b"{}", authorization="Bearer wrong")[0] == 403
    assert server.owner("POST", path, b"{}")[0] == 200
    assert server.owner("POST", path, b"{}", host="evil.example.com")[0] in {400, 403, 421}
    assert server.owner("POST", path, b"{}", origin="https://evil.example.com")[0] == 403
    for key, secret in ((server.keys["access_key_id"], "wrong"), ("AKIAUNKNOWN", server.keys["secret_access_key"])):
        stranger = boto3.client(
            "lambda",
            endpoint_url=server.url,
            region_name="us-east-1",
            aws_access_key_id=key,
            aws_secret_access_key=secret,
        )
        assert _refused(stranger, "list_functions")[0] == 403
    late = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=20)
    client = server.client("lambda")
    with time_machine.travel(late, tick=True):
        assert _refused(client, "list_functions")[0] == 403


@pytest.mark.parametrize("archive", [b"", b"not a zip", b"PK\x03\x04" + b"\0" * 30], ids=["empty", "text", "truncated"])
def test_code_that_is_no_archive_is_refused_and_leaves_nothing(server, archive):
    """A bad bundle is an error at once, and no function of that name exists afterwards."""
    client = server.client("lambda", parameter_validation=False)
    status, kind, _ = _refused(client, "create_function", FunctionName="broken", Code={"ZipFile": archive}, **CREATE)
    assert (status, kind) == (400, "InvalidParameterValueException")
    assert _refused(client, "get_function", FunctionName="broken")[0] == 404


def test_a_missing_interpreter_fails_with_what_there_is(server, zipped, eventually):
    """State Failed lists the interpreters there are and the command that adds the missing one."""
    import shutil
    import subprocess

    client = server.client("lambda")
    uv = shutil.which("uv", path=Path(sys.executable).parent)
    found = subprocess.run(
        [uv, "python", "list", "--only-installed"], capture_output=True, text=True, check=True
    ).stdout
    known = {f"python3.{minor}" for minor in range(9, 15)} & set(client.meta.service_model.shape_for("Runtime").enum)
    pyenv = " ".join(path.name for path in Path("~/.pyenv/versions").expanduser().glob("3.*"))
    missing = next((name for name in sorted(known) if name.removeprefix("python") + "." not in found + pyenv), None)
    if missing is None:
        pytest.skip("every Python that Lambda knows is installed here")
    client.create_function(FunctionName="future", Code={"ZipFile": zipped(GOOD)}, **{**CREATE, "Runtime": missing})
    state = eventually(
        lambda: (f := client.get_function_configuration(FunctionName="future"))["State"] != "Pending" and f
    )
    assert state["State"] == "Failed"
    assert "uv python install" in state["StateReason"]


def test_a_failed_build_gives_the_resolvers_last_words(server, zipped, eventually):
    """StateReason carries what the resolver said about the requirement that cannot be met."""
    client = server.client("lambda")
    files = {"app.py": GOOD, "requirements.txt": "boto3==0.0.0.1\n"}
    client.create_function(FunctionName="unbuilt", Code={"ZipFile": zipped(files)}, **CREATE)
    state = eventually(
        lambda: (f := client.get_function_configuration(FunctionName="unbuilt"))["State"] != "Pending" and f, bound_s=60
    )
    assert state["State"] == "Failed"
    assert "boto3" in state["StateReason"]
    assert _refused(client, "invoke", FunctionName="unbuilt")[0] in {409, 502}
