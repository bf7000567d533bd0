"""Roles and identity through boto3, over the query protocol."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from torpor.core.identity import ANONYMOUS, Kind, Principal

OWNER_KEY = Principal(Kind.OWNER, "arn:aws:iam::000000000000:root", key_id="TORPOR")
POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def refused(call, **params):
    with pytest.raises(ClientError) as caught:
        call(**params)
    response = caught.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response["Error"]["Message"]


def test_a_role_lives_and_dies(world):
    """Create, get, list and delete a role; its policy comes back as it was written."""
    iam = world.client("iam")
    made = iam.create_role(
        RoleName="lambda-role",
        AssumeRolePolicyDocument=json.dumps(POLICY),
        Path="/service/",
        Description="for <functions> & more",
        Tags=[{"Key": "team", "Value": "x"}, {"Key": "stage", "Value": ""}],
        MaxSessionDuration=7200,
    )["Role"]
    assert made["Arn"] == "arn:aws:iam::000000000000:role/service/lambda-role"
    assert (made["Path"], made["MaxSessionDuration"], made["Description"]) == (
        "/service/",
        7200,
        "for <functions> & more",
    )
    assert made["AssumeRolePolicyDocument"] == POLICY
    assert made["Tags"] == [{"Key": "team", "Value": "x"}, {"Key": "stage", "Value": ""}]
    assert abs(made["CreateDate"] - datetime.now(UTC)) < timedelta(minutes=5)
    assert made["CreateDate"].microsecond == 0
    assert iam.get_role(RoleName="lambda-role")["Role"] == made
    assert [role["RoleName"] for role in iam.list_roles()["Roles"]] == ["lambda-role"]
    iam.get_waiter("role_exists").wait(RoleName="lambda-role", WaiterConfig={"Delay": 0, "MaxAttempts": 1})
    iam.delete_role(RoleName="lambda-role")
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_role(RoleName="lambda-role")


def test_roles_are_paged(world):
    """Markers lead through all roles once."""
    iam = world.client("iam")
    for number in range(5):
        iam.create_role(RoleName=f"r{number}", AssumeRolePolicyDocument="{}")
    pages = list(iam.get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 2}))
    assert [[role["RoleName"] for role in page["Roles"]] for page in pages] == [["r0", "r1"], ["r2", "r3"], ["r4"]]
    assert refused(iam.list_roles, Marker="!")[:2] == (400, "InvalidInput")


def test_errors_have_iams_own_codes(world):
    """Exists, missing, invalid and not offered: each in the words of the query protocol."""
    iam = world.client("iam", parameter_validation=False)
    iam.create_role(RoleName="r", AssumeRolePolicyDocument="{}")
    assert refused(iam.create_role, RoleName="r", AssumeRolePolicyDocument="{}") == (
        409,
        "EntityAlreadyExists",
        "Role with name r already exists.",
    )
    assert refused(iam.delete_role, RoleName="none") == (
        404,
        "NoSuchEntity",
        "The role with name none cannot be found.",
    )
    assert refused(iam.get_role, RoleName="bad name") == (
        400,
        "ValidationError",
        (
            "1 validation error detected: Value 'bad name' at 'roleName' failed to satisfy constraint: "
            r"Member must satisfy regular expression pattern: [\w+=,.@-]+"
        ),
    )
    tags = [{"Key": "a", "Value": "v"}, {"Key": "k" * 129, "Value": "v"}]
    assert refused(iam.create_role, RoleName="s", AssumeRolePolicyDocument="{}", Tags=tags)[2] == (
        f"1 validation error detected: Value '{'k' * 129}' at 'tags.2.member.key' failed to satisfy constraint: "
        "Member must have length less than or equal to 128"
    )
    twice = [{"Key": "Team", "Value": "a"}, {"Key": "team", "Value": "b"}]
    assert refused(iam.create_role, RoleName="s", AssumeRolePolicyDocument="{}", Tags=twice) == (
        400,
        "InvalidInput",
        "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
    )
    status, code, message = refused(iam.delete_role_permissions_boundary, RoleName="r")
    assert (status, code) == (501, "NotImplemented")
    assert "iam:DeleteRolePermissionsBoundary" in message


KEY = Principal(Kind.KEY, "arn:aws:iam::000000000000:user/ci", permissions=("sts:AssumeRole/r",), key_id="TORPORCI")


def test_a_key_gets_credentials_for_a_while(world):
    """GetSessionToken under the key's own name, for twelve hours or as long as asked; who asks is told by name."""
    sts = world.client("sts", parameter_validation=False)
    world.principal = KEY
    told = sts.get_caller_identity()
    assert (told["Arn"], told["UserId"]) == (KEY.arn, "AIDATORPORKEY000000:ci")
    given = sts.get_session_token()["Credentials"]
    assert (given["AccessKeyId"], given["SessionToken"]) == ("ASIATORPORCI", f"token of {KEY.arn}")
    later = sts.get_session_token(DurationSeconds=900)["Credentials"]["Expiration"]
    assert (given["Expiration"] - later).total_seconds() == 43_200 - 900
    assert refused(sts.get_session_token, DurationSeconds=1)[1] == "ValidationError"


def test_a_role_can_be_assumed_by_who_may(world):
    """The session has the role's name; a role that is not there, not allowed or narrowed is refused."""
    iam, sts = world.client("iam"), world.client("sts", parameter_validation=False)
    for name in ("r", "other"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}", MaxSessionDuration=7200)
    world.principal = KEY
    asked = {"RoleArn": "arn:aws:iam::000000000000:role/r", "RoleSessionName": "night"}
    answer = sts.assume_role(**asked)
    arn = "arn:aws:sts::000000000000:assumed-role/r/night"
    assert answer["AssumedRoleUser"]["Arn"] == arn
    assert answer["Credentials"]["SecretAccessKey"] == f"secret of {arn}"
    assert refused(sts.assume_role, **asked, DurationSeconds=7201)[:2] == (400, "ValidationError")
    assert "torpor keys create" in refused(sts.assume_role, **asked, Policy="{}")[2]
    other = {**asked, "RoleArn": "arn:aws:iam::000000000000:role/other"}
    status, code, message = refused(sts.assume_role, **other)
    assert (status, code) == (403, "AccessDenied")
    assert "is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::000000000000:role/other" in message
    world.principal = OWNER_KEY
    assert refused(sts.assume_role, **{**asked, "RoleArn": asked["RoleArn"] + "-none"})[:2] == (403, "AccessDenied")
    world.principal = Principal(Kind.FUNCTION, "arn:f", "f", ("sts:*",))
    assert "session credentials" in refused(sts.get_session_token)[2]


def test_nobody_creates_a_function_that_may_do_more(world, create):
    """The tag of permissions is checked against who sets it."""
    world.principal = Principal(Kind.KEY, "arn:ci", permissions=("lambda:*",))
    client = world.client("lambda")
    with pytest.raises(ClientError, match="do not hold themselves"):
        create(client, "f", Tags={"torpor:permissions": "iam:CreateRole"})
    create(client, "f", Tags={"torpor:permissions": "lambda:InvokeFunction"})
    arn = "arn:aws:lambda:us-east-1:000000000000:function:f"
    for tags in ({"torpor:permissions": "iam:CreateRole"}, {"torpor:secrets": "DB=prod/db"}):
        with pytest.raises(ClientError, match="do not hold themselves"):
            client.tag_resource(Resource=arn, Tags=tags)
    with pytest.raises(ClientError, match="secretsmanager:GetSecretValue/prod/db"):
        create(client, "g", Tags={"torpor:secrets": "DB=prod/db"})


def test_identity_of_the_owner_and_of_a_function(world):
    """GetCallerIdentity tells who asks; functions need no grant for it, strangers get nothing."""
    sts = world.client("sts")
    mine = sts.get_caller_identity()
    assert (mine["Account"], mine["Arn"]) == ("000000000000", "arn:aws:iam::000000000000:root")
    world.principal = Principal(Kind.FUNCTION, function="caller")
    assert sts.get_caller_identity()["Arn"] == "arn:aws:sts::000000000000:assumed-role/torpor/caller"
    world.principal = ANONYMOUS
    assert refused(sts.get_caller_identity)[:2] == (403, "MissingAuthenticationToken")


def test_a_presigned_request_carries_its_form_in_the_query(world):
    """The way Vault and Kubernetes prove who they are: GET with everything in the address."""
    import urllib.request

    url = world.client("sts").generate_presigned_url("get_caller_identity", HttpMethod="GET")
    with urllib.request.urlopen(url) as answer:
        assert b"<Account>000000000000</Account>" in answer.read()


def test_a_service_that_is_not_offered_says_so(world):
    """A whole missing service is told apart from a missing operation."""
    status, code, message = refused(world.client("dynamodb").list_tables)
    assert (status, code) == (501, "NotImplementedException")
    assert "'dynamodb'" in message
    assert "lambda" in message
