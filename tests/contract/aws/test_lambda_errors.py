"""Every error of the service, provoked through boto3 and compared with Lambda's own words."""

import base64

import pytest
from botocore.exceptions import ClientError

from torpor.core.errors import (
    InvalidRequestContent,
    NotInvocable,
    PlatformFault,
    RequestTooLarge,
    StartFailed,
    Throttled,
)
from torpor.core.identity import ANONYMOUS, Kind, Principal
from torpor.core.limits import Limits

ARN = "arn:aws:lambda:us-east-1:000000000000:function:"


@pytest.fixture
def client(world):
    return world.client("lambda", parameter_validation=False)


def refused(call, **params):
    """Status, code, message and the whole response of a refused call."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    response = caught.value.response
    assert response["ResponseMetadata"]["RequestId"]
    return (
        response["ResponseMetadata"]["HTTPStatusCode"],
        response["Error"]["Code"],
        response["Error"]["Message"],
        response,
    )


@pytest.mark.parametrize(
    "operation",
    [
        "get_function",
        "get_function_configuration",
        "delete_function",
        "invoke",
        "get_function_url_config",
        "get_function_concurrency",
        "delete_function_concurrency",
    ],
)
def test_a_missing_function_is_not_found(client, operation):
    """404 with the ARN, Type User, and the modelled exception."""
    status, code, message, response = refused(getattr(client, operation), FunctionName="none")
    assert (status, code, message) == (404, "ResourceNotFoundException", f"Function not found: {ARN}none")
    assert response["Type"] == "User"


def test_a_missing_qualifier_is_not_found_with_its_arn(client, create):
    """A version that does not exist is named in the ARN."""
    create(client, "hello")
    assert refused(client.get_function, FunctionName="hello", Qualifier="7")[2] == f"Function not found: {ARN}hello:7"
    assert refused(client.invoke, FunctionName="hello:prod")[2] == f"Function not found: {ARN}hello:prod"


def test_functions_of_other_regions_and_accounts_are_out_of_reach(client, create):
    """An ARN is taken at its word."""
    create(client, "hello")
    region = "arn:aws:lambda:eu-west-1:000000000000:function:hello"
    assert refused(client.invoke, FunctionName=region)[1:3] == (
        "ResourceNotFoundException",
        "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')",
    )
    account = "arn:aws:lambda:us-east-1:123456789012:function:hello"
    assert refused(client.invoke, FunctionName=account)[:2] == (404, "ResourceNotFoundException")


def test_a_taken_name_is_a_conflict(client, create):
    """409 in Lambda's words, `already exist` and all."""
    create(client, "hello")
    with pytest.raises(client.exceptions.ResourceConflictException) as caught:
        create(client, "hello")
    assert caught.value.response["Error"]["Message"] == "Function already exist: hello"
    assert caught.value.response["message"] == "Function already exist: hello"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"Timeout": 0},
            (
                "1 validation error detected: Value '0' at 'timeout' failed to satisfy constraint: "
                "Member must have value greater than or equal to 1"
            ),
        ),
        (
            {"MemorySize": 64, "Timeout": 9999},
            (
                "2 validation errors detected: Value '9999' at 'timeout' failed to satisfy constraint: Member must have "
                "value less than or equal to 5400; Value '64' at 'memorySize' failed to satisfy constraint: Member must "
                "have value greater than or equal to 128"
            ),
        ),
        (
            {"Role": "nobody"},
            (
                "1 validation error detected: Value 'nobody' at 'role' failed to satisfy constraint: Member must satisfy "
                r"regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+"
            ),
        ),
        (
            {"Role": None, "Code": None},
            (
                "2 validation errors detected: Value null at 'role' failed to satisfy constraint: Member must not be null; "
                "Value null at 'code' failed to satisfy constraint: Member must not be null"
            ),
        ),
        (
            {"Environment": {"Variables": {"1BAD": "secret"}}},
            (
                "1 validation error detected: Value at 'environment.variables' failed to satisfy constraint: Map keys must "
                "satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+, Member must "
                "not be null]"
            ),
        ),
        (
            {"PackageType": "Jar"},
            (
                "1 validation error detected: Value 'Jar' at 'packageType' failed to satisfy constraint: Member must "
                "satisfy enum value set: [Zip, Image]"
            ),
        ),
        (
            {"Architectures": []},
            (
                "1 validation error detected: Value '[]' at 'architectures' failed to satisfy constraint: Member must have "
                "length greater than or equal to 1"
            ),
        ),
    ],
    ids=lambda case: next(iter(case)) if isinstance(case, dict) else "",
)
def test_bad_values_are_named_as_aws_names_them(client, create, wrong, message):
    """400 ValidationException with every violation, in AWS's words; a sensitive value is not repeated."""
    asked = {name: value for name, value in wrong.items() if value is not None}
    if None in wrong.values():
        status, code, found, _ = refused(client.create_function, FunctionName="a", Runtime="python3.11", **asked)
    else:
        status, code, found, _ = refused(create, client=client, name="a", **asked)
    assert (status, code, found) == (400, "ValidationException", message)


def test_values_of_a_wrong_type_are_a_serialization_error(client, create):
    """A text where a number is meant never reaches validation."""
    status, code, message, _ = refused(create, client=client, name="a", Timeout="soon")
    assert (status, code, message) == (
        400,
        "SerializationException",
        "STRING_VALUE can not be converted to an Integer",
    )


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"Code": {"S3Bucket": "bucket", "S3Key": "key"}}, "S3Bucket"),
        ({"Code": {"ImageUri": "image"}, "PackageType": "Image"}, "PackageType"),
        ({"VpcConfig": {"SubnetIds": ["subnet-1"]}}, "VpcConfig"),
        ({"KMSKeyArn": "arn:aws:kms:us-east-1:000000000000:key/1"}, "KMSKeyArn"),
        ({"TracingConfig": {"Mode": "Active"}}, "TracingConfig"),
        ({"ImageConfig": {"Command": ["x"]}}, "ImageConfig"),
        ({"FileSystemConfigs": [{"Arn": "x", "LocalMountPath": "/mnt/a"}]}, ""),
    ],
    ids=lambda case: next(iter(case)) if isinstance(case, dict) else "",
)
def test_what_is_not_supported_yet_is_refused_by_name(client, create, asked, named):
    """Nothing that changes how a function behaves is dropped silently."""
    status, _, message, _ = refused(create, client=client, name="a", **asked)
    assert status == 400
    assert named in message


def test_empty_and_neutral_values_are_accepted(client, create):
    """Tools send empty blocks for everything: those ask for nothing."""
    create(
        client,
        "neutral",
        Publish=False,
        PackageType="Zip",
        Layers=[],
        VpcConfig={"SubnetIds": [], "SecurityGroupIds": []},
        DeadLetterConfig={"TargetArn": ""},
        KMSKeyArn="",
        TracingConfig={"Mode": "PassThrough"},
        SnapStart={"ApplyOn": "None"},
        LoggingConfig={"LogFormat": "Text", "LogGroup": "/aws/lambda/neutral"},
        FileSystemConfigs=[],
        Architectures=["x86_64"],
    )


def test_a_foreign_architecture_or_role_is_refused(client, create):
    """What this machine cannot run, and roles of other accounts, are told at once."""
    assert "x86_64" in refused(create, client=client, name="a", Architectures=["arm64"])[2]
    status, code, message, _ = refused(create, client=client, name="a", Role="arn:aws:iam::123456789012:role/r")
    assert (status, code) == (403, "AccessDeniedException")
    assert "arn:aws:iam::000000000000:role/NAME" in message


@pytest.mark.parametrize("missing", ["Runtime", "Handler"])
def test_zip_packages_need_runtime_and_handler(client, zipped, missing):
    """Both are optional in the model, and mandatory for archives."""
    asked = {"Runtime": "python3.11", "Handler": "a.b"}
    del asked[missing]
    role = "arn:aws:iam::000000000000:role/r"
    status, code, _, _ = refused(client.create_function, FunctionName="a", Role=role, Code={"ZipFile": zipped}, **asked)
    assert (status, code) == (400, "InvalidParameterValueException")


@pytest.mark.parametrize("archive", [b"", b"not a zip"])
def test_code_that_is_no_archive_is_refused(client, create, archive):
    """An empty or foreign archive is an invalid parameter."""
    status, code, _, _ = refused(create, client=client, name="a", Code={"ZipFile": archive})
    assert (status, code) == (400, "InvalidParameterValueException")


@pytest.mark.slow
def test_an_archive_beyond_the_limit_is_too_large(client, create):
    """50 MiB is what fits into a request; the rest waits for object storage."""
    archive = bytes(Limits().zip_direct + 1)
    status, code, message, _ = refused(create, client=client, name="a", Code={"ZipFile": archive})
    assert (status, code) == (413, "RequestEntityTooLargeException")
    assert "CreateFunction" in message


def test_a_stale_revision_id_is_a_failed_precondition(client, create, zipped):
    """412 from both updates."""
    create(client, "hello")
    for call, more in (
        (client.update_function_code, {"ZipFile": zipped}),
        (client.update_function_configuration, {"Timeout": 5}),
    ):
        assert refused(call, FunctionName="hello", RevisionId="old", **more)[:2] == (412, "PreconditionFailedException")


@pytest.mark.parametrize(
    "case",
    [
        (InvalidRequestContent("Could not parse request body into json: x"), 400, "InvalidRequestContentException"),
        (RequestTooLarge("too large"), 413, "RequestTooLargeException"),
        (NotInvocable("Pending"), 409, "ResourceConflictException"),
        (StartFailed("no instance"), 500, "ServiceException"),
        (PlatformFault("broken"), 500, "ServiceException"),
    ],
    ids=lambda case: type(case[0]).__name__,
)
def test_errors_of_invocations_have_their_shapes(world, client, create, case):
    """Whatever the use case raises becomes the model's own exception, with its message."""
    error, status, code = case
    create(client, "hello")
    world.invoker.error = error
    found = refused(client.invoke, FunctionName="hello")
    assert found[:3] == (status, code, error.message)
    assert found[3]["Type"] == ("User" if status < 500 else "Service")


def test_a_throttle_says_why(world, client, create):
    """429 with the Reason of the model."""
    create(client, "hello")
    world.invoker.error = Throttled(reason="ReservedFunctionConcurrentInvocationLimitExceeded")
    status, code, message, response = refused(client.invoke, FunctionName="hello")
    assert (status, code, message) == (429, "TooManyRequestsException", "Rate Exceeded.")
    assert response["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"


@pytest.mark.slow
def test_an_unexpected_exception_leaks_nothing(world, client, create, capsys):
    """500 with the request's id; the exception is in the log alone, under a stable action."""
    create(client, "hello")
    world.invoker.error = RuntimeError("password=hunter2")
    status, code, message, response = refused(client.invoke, FunctionName="hello")
    assert (status, code) == (500, "ServiceException")
    assert response["ResponseMetadata"]["RequestId"] in message
    assert "hunter2" not in str(response)
    logged = "".join(capsys.readouterr())
    assert "aws.unexpected_error" in logged
    assert "hunter2" in logged


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"InvocationType": "Event"}, "InvocationType Event is not supported yet"),
        ({"InvocationType": "Later"}, "Member must satisfy enum value set: [Event, RequestResponse, DryRun]"),
        ({"TenantId": "blue"}, "TenantId"),
        ({"ClientContext": "%%%"}, "Client context must be a valid Base64-encoded JSON object."),
        ({"ClientContext": base64.b64encode(b"[1]").decode()}, "Client context must be a valid Base64-encoded JSON"),
        ({"ClientContext": "A" * 4000}, "at most 3583 bytes"),
    ],
    ids=lambda case: next(iter(case)) if isinstance(case, dict) else "",
)
def test_bad_invocations_are_refused_before_they_run(world, client, create, params, message):
    """400, and the function never saw it."""
    create(client, "hello")
    status, _, found, _ = refused(client.invoke, FunctionName="hello", **params)
    assert status == 400
    assert message in found
    assert world.invoker.asked == []


def test_operations_that_are_not_built_yet_are_named_and_not_retried(world, client):
    """501 in one request, with the operation's name."""
    world.retries = 5
    patient = world.client("lambda")
    status, code, message, response = refused(patient.list_capacity_providers)
    assert (status, code) == (501, "NotImplementedException")
    assert "lambda:ListCapacityProviders" in message
    assert response["ResponseMetadata"]["RetryAttempts"] == 0


def test_nobody_in_particular_is_asked_for_credentials(world, client):
    """403, whatever was asked."""
    world.principal = ANONYMOUS
    assert refused(client.list_functions)[:2] == (403, "MissingAuthenticationTokenException")


def test_functions_may_do_what_they_were_granted_and_no_more(world, client, create):
    """An action is allowed for a function by name; the refusal names the action, and what would allow it."""
    create(client, "callee")
    create(client, "other")
    world.principal = Principal(
        Kind.FUNCTION,
        arn="arn:aws:sts::000000000000:assumed-role/r/caller",
        function="caller",
        permissions=("lambda:InvokeFunction/callee",),
    )
    assert client.invoke(FunctionName=f"{ARN}callee")["StatusCode"] == 200
    status, code, message, _ = refused(client.invoke, FunctionName="other")
    assert (status, code) == (403, "AccessDeniedException")
    assert message == (
        "User: arn:aws:sts::000000000000:assumed-role/r/caller is not authorized to perform: lambda:InvokeFunction on "
        f"resource: {ARN}other because no identity-based policy allows the lambda:InvokeFunction action. Add "
        "lambda:InvokeFunction/other to the permissions of the function caller, and it may."
    )
    assert refused(client.delete_function, FunctionName="callee")[1] == "AccessDeniedException"
    assert refused(client.list_functions)[1] == "AccessDeniedException"
