"""Secrets Manager and SSM's parameters through boto3, over one store of secrets."""

import pytest
from botocore.exceptions import ClientError

from torpor.core.identity import Kind, Principal

VALUE = "hunter2-the-value"


def refused(call, **params):
    with pytest.raises(ClientError) as caught:
        call(**params)
    response = caught.value.response
    assert VALUE not in str(response)
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"], response["Error"]["Message"]


@pytest.fixture
def manager(world):
    return world.client("secretsmanager", parameter_validation=False)


@pytest.fixture
def ssm(world):
    return world.client("ssm", parameter_validation=False)


@pytest.mark.parametrize("tag", [{"Value": "v"}, {"Key": "k"}, {}])
def test_half_a_tag_is_refused(manager, tag):
    """The model requires neither Key nor Value, and a tag has both."""
    for call, params in ((manager.create_secret, {"Name": "a"}), (manager.tag_resource, {"SecretId": "a"})):
        assert refused(call, **params, Tags=[tag])[:2] == (400, "InvalidParameterException")


def test_a_secret_lives_changes_and_dies(manager):
    """Create, read, put, read the one before, update, describe, list versions, delete, restore, delete for good."""
    made = manager.create_secret(Name="prod/db", SecretString=VALUE, Description="a", Tags=[{"Key": "k", "Value": "v"}])
    assert made["ARN"].startswith("arn:aws:secretsmanager:us-east-1:000000000000:secret:prod/db-")
    for name in ("prod/db", made["ARN"], made["ARN"][:-7]):
        got = manager.get_secret_value(SecretId=name)
        assert (got["SecretString"], got["VersionId"], got["VersionStages"]) == (
            VALUE,
            made["VersionId"],
            ["AWSCURRENT"],
        )
    second = manager.put_secret_value(SecretId="prod/db", SecretBinary=b"\x00\xff")
    assert second["VersionStages"] == ["AWSCURRENT"]
    assert manager.get_secret_value(SecretId="prod/db")["SecretBinary"] == b"\x00\xff"
    before = manager.get_secret_value(SecretId="prod/db", VersionStage="AWSPREVIOUS")
    assert (before["SecretString"], before["VersionId"]) == (VALUE, made["VersionId"])
    assert manager.get_secret_value(SecretId="prod/db", VersionId=made["VersionId"])["SecretString"] == VALUE

    third = manager.update_secret(SecretId="prod/db", SecretString="third", Description="b")
    manager.update_secret(SecretId="prod/db", Description="c")
    told = manager.describe_secret(SecretId="prod/db")
    assert (told["Description"], told["Tags"]) == ("c", [{"Key": "k", "Value": "v"}])
    stages = {third["VersionId"]: ["AWSCURRENT"], second["VersionId"]: ["AWSPREVIOUS"]}
    assert told["VersionIdsToStages"] == stages
    listed = manager.list_secret_version_ids(SecretId="prod/db")["Versions"]
    assert {one["VersionId"]: one["VersionStages"] for one in listed} == stages
    all_of_them = manager.list_secret_version_ids(SecretId="prod/db", IncludeDeprecated=True)["Versions"]
    assert made["VersionId"] in {one["VersionId"] for one in all_of_them}

    manager.tag_resource(SecretId="prod/db", Tags=[{"Key": "k", "Value": "w"}, {"Key": "l", "Value": ""}])
    manager.untag_resource(SecretId="prod/db", TagKeys=["l"])
    assert manager.describe_secret(SecretId="prod/db")["Tags"] == [{"Key": "k", "Value": "w"}]

    manager.delete_secret(SecretId="prod/db", RecoveryWindowInDays=7)
    assert refused(manager.get_secret_value, SecretId="prod/db")[:2] == (400, "InvalidRequestException")
    assert "DeletedDate" in manager.describe_secret(SecretId="prod/db")
    assert manager.list_secrets()["SecretList"] == []
    assert len(manager.list_secrets(IncludePlannedDeletion=True)["SecretList"]) == 1
    manager.restore_secret(SecretId="prod/db")
    assert manager.get_secret_value(SecretId="prod/db")["SecretString"] == "third"
    manager.delete_secret(SecretId="prod/db", ForceDeleteWithoutRecovery=True)
    assert refused(manager.get_secret_value, SecretId="prod/db") == (
        400,
        "ResourceNotFoundException",
        "Secrets Manager can't find the specified secret.",
    )


def test_a_deleted_secret_goes_when_its_time_has_come(manager, clock):
    """After the window its name is free again."""
    manager.create_secret(Name="s", SecretString=VALUE)
    manager.delete_secret(SecretId="s")
    clock.now += 30 * 86_400 - 1
    assert refused(manager.create_secret, Name="s", SecretString="x")[1] == "InvalidRequestException"
    clock.now += 2
    assert refused(manager.describe_secret, SecretId="s")[1] == "ResourceNotFoundException"
    manager.create_secret(Name="s", SecretString="x")


def test_a_token_makes_a_request_count_once(manager):
    """The same token with the same value is the same version; with another it is refused."""
    token = "t" * 32
    manager.create_secret(Name="s", SecretString="first")
    one = manager.put_secret_value(SecretId="s", SecretString=VALUE, ClientRequestToken=token)
    assert manager.put_secret_value(SecretId="s", SecretString=VALUE, ClientRequestToken=token)["VersionId"] == token
    assert one["VersionId"] == token
    assert len(manager.list_secret_version_ids(SecretId="s")["Versions"]) == 2
    status, code, _ = refused(manager.put_secret_value, SecretId="s", SecretString="other", ClientRequestToken=token)
    assert (status, code) == (400, "ResourceExistsException")


@pytest.mark.parametrize(
    ("operation", "params", "code"),
    [
        ("create_secret", {"Name": "taken", "SecretString": VALUE}, "ResourceExistsException"),
        ("create_secret", {"Name": "bad name", "SecretString": VALUE}, "InvalidParameterException"),
        ("create_secret", {"Name": "n", "SecretString": VALUE, "SecretBinary": b"x"}, "InvalidParameterException"),
        ("create_secret", {"Name": "n", "SecretString": VALUE * 5000}, "ValidationException"),
        ("create_secret", {"Name": "n", "SecretString": [VALUE]}, "SerializationException"),
        ("create_secret", {"Name": "n", "KmsKeyId": "mine"}, "InvalidParameterException"),
        ("put_secret_value", {"SecretId": "taken"}, "InvalidParameterException"),
        ("get_secret_value", {"SecretId": "taken", "VersionStage": "NONE"}, "ResourceNotFoundException"),
        ("delete_secret", {"SecretId": "taken", "RecoveryWindowInDays": 3}, "InvalidParameterException"),
        ("list_secrets", {"NextToken": "!"}, "InvalidParameterException"),
        ("list_secrets", {"Filters": [{"Key": "primary-region", "Values": ["x"]}]}, "InvalidParameterException"),
        ("rotate_secret", {"SecretId": "taken"}, "NotImplementedException"),
    ],
)
def test_what_is_wrong_is_said_without_the_value(manager, operation, params, code):
    """Every refusal has the service's own code, and repeats no value."""
    manager.create_secret(Name="taken", SecretString=VALUE)
    assert refused(getattr(manager, operation), **params)[1] == code


def test_secrets_are_listed_in_pages_and_by_filter(manager):
    """Each secret once; filters by name and tag, and their opposite."""
    for name in ("a/1", "a/2", "b/1"):
        manager.create_secret(Name=name, SecretString=VALUE, Tags=[{"Key": name[0], "Value": "v"}])
    pages = manager.get_paginator("list_secrets").paginate(PaginationConfig={"PageSize": 2})
    found = [one for page in pages for one in page["SecretList"]]
    assert [one["Name"] for one in found] == ["a/1", "a/2", "b/1"]
    assert VALUE not in str(found)

    def names(*values, key="name"):
        answer = manager.list_secrets(Filters=[{"Key": key, "Values": list(values)}])
        return [one["Name"] for one in answer["SecretList"]]

    assert names("a/") == ["a/1", "a/2"]
    assert names("!a/") == ["b/1"]
    assert names("b", key="tag-key") == ["b/1"]


def test_parameters_live_change_and_die(ssm):
    """Put, get in clear and sealed, by version, overwrite, describe, delete; what is missing is named."""
    assert ssm.put_parameter(Name="/app/key", Value=VALUE, Type="SecureString")["Version"] == 1
    sealed = ssm.get_parameter(Name="/app/key")["Parameter"]
    assert sealed["Type"] == "SecureString"
    assert VALUE not in sealed["Value"]
    clear = ssm.get_parameter(Name="/app/key", WithDecryption=True)["Parameter"]
    assert (clear["Value"], clear["Version"]) == (VALUE, 1)
    assert clear["ARN"] == "arn:aws:ssm:us-east-1:000000000000:parameter/app/key"
    assert refused(ssm.put_parameter, Name="/app/key", Value=VALUE, Type="SecureString")[1] == "ParameterAlreadyExists"
    assert ssm.put_parameter(Name="/app/key", Value="new", Overwrite=True)["Version"] == 2
    first = ssm.get_parameter(Name="/app/key:1", WithDecryption=True)["Parameter"]
    assert (first["Value"], first["Selector"]) == (VALUE, ":1")
    assert ssm.get_parameter(Name=clear["ARN"], WithDecryption=True)["Parameter"]["Value"] == "new"
    assert refused(ssm.get_parameter, Name="/app/key:9")[1] == "ParameterVersionNotFound"
    ssm.put_parameter(Name="plain", Value="open", Type="String")
    ssm.put_parameter(Name="/app/list", Value="a,b", Type="StringList")
    got = ssm.get_parameters(Names=["plain", "/app/list", "none"])
    assert {one["Name"]: one["Value"] for one in got["Parameters"]} == {"plain": "open", "/app/list": "a,b"}
    assert got["InvalidParameters"] == ["none"]
    assert refused(ssm.put_parameter, Name="plain", Value=VALUE, Type="SecureString", Overwrite=True)[1] == (
        "HierarchyTypeMismatchException"
    )
    ssm.delete_parameter(Name="plain")
    assert refused(ssm.get_parameter, Name="plain")[:2] == (400, "ParameterNotFound")
    gone = ssm.delete_parameters(Names=["/app/key", "plain"])
    assert (gone["DeletedParameters"], gone["InvalidParameters"]) == (["/app/key"], ["plain"])


def test_parameters_are_found_by_path_and_filter(ssm):
    """One level or all below, page by page; listings hold no values."""
    for name in ("/a/x", "/a/b/y", "/a/b/z", "/ab", "c"):
        ssm.put_parameter(Name=name, Value=VALUE, Type="SecureString" if name == "c" else "String")

    def below(path, **more):
        pages = ssm.get_paginator("get_parameters_by_path").paginate(
            Path=path, PaginationConfig={"PageSize": 2}, **more
        )
        return [one["Name"] for page in pages for one in page["Parameters"]]

    assert below("/a") == ["/a/x"]
    assert below("/a/", Recursive=True) == ["/a/b/y", "/a/b/z", "/a/x"]
    assert below("/", Recursive=True) == ["/a/b/y", "/a/b/z", "/a/x", "/ab"]
    pages = list(ssm.get_paginator("describe_parameters").paginate(PaginationConfig={"PageSize": 2}))
    assert [one["Name"] for page in pages for one in page["Parameters"]] == ["/a/b/y", "/a/b/z", "/a/x", "/ab", "c"]
    assert VALUE not in str(pages)
    filters = [{"Key": "Name", "Option": "BeginsWith", "Values": ["/a"]}, {"Key": "Type", "Values": ["String"]}]
    assert len(ssm.describe_parameters(ParameterFilters=filters)["Parameters"]) == 4
    wrong = [{"Key": "KeyId", "Values": ["x"]}]
    assert refused(ssm.describe_parameters, ParameterFilters=wrong)[1] == "InvalidFilterKey"


@pytest.mark.parametrize("name", ["aws-x", "/AWS/x", "ssm", "/a//b", "/a/", "a b"])
def test_names_of_parameters_are_checked(ssm, name):
    """As AWS checks them; the value is not repeated."""
    assert refused(ssm.put_parameter, Name=name, Value=VALUE, Type="String")[1] == "ValidationException"


def test_what_one_interface_writes_the_other_reads(manager, ssm):
    """A secret is a secure parameter, by its name and by reference; a plain parameter is no secret."""
    manager.create_secret(Name="prod/db", SecretString=VALUE)
    for name in ("prod/db", "/aws/reference/secretsmanager/prod/db"):
        assert ssm.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"] == VALUE
    ssm.put_parameter(Name="/p", Value="sealed", Type="SecureString")
    assert manager.get_secret_value(SecretId="/p")["SecretString"] == "sealed"
    ssm.put_parameter(Name="/q", Value="open", Type="String")
    assert refused(manager.get_secret_value, SecretId="/q")[1] == "ResourceNotFoundException"
    manager.delete_secret(SecretId="prod/db")
    assert refused(ssm.get_parameter, Name="prod/db")[1] == "ParameterNotFound"


def test_rights_are_on_which_secret(world, manager, ssm):
    """By name, whichever way the secret is written; several names need several rights; the refusal names the ARN."""
    for name in ("prod/a", "prod/b"):
        manager.create_secret(Name=name, SecretString=VALUE)
    arns = {name: manager.describe_secret(SecretId=name)["ARN"] for name in ("prod/a", "prod/b")}
    rights = ("secretsmanager:GetSecretValue/prod/a", "ssm:GetParameter*/prod/a")
    world.principal = Principal(Kind.FUNCTION, "arn:f", "f", rights)
    for name in ("prod/a", arns["prod/a"], arns["prod/a"][:-7]):
        assert manager.get_secret_value(SecretId=name)["SecretString"] == VALUE
    for name in ("prod/b", arns["prod/b"], "none"):
        status, code, message = refused(manager.get_secret_value, SecretId=name)
        assert (status, code) == (400, "AccessDeniedException")
        assert "on resource: arn:aws:secretsmanager:us-east-1:000000000000:secret:" in message
    assert len(ssm.get_parameters(Names=["prod/a"])["Parameters"]) == 1
    assert refused(ssm.get_parameters, Names=["prod/a", "prod/b"])[1] == "AccessDeniedException"
    assert refused(ssm.get_parameter, Name="/aws/reference/secretsmanager/prod/b")[1] == "AccessDeniedException"
    assert refused(manager.list_secrets)[1] == "AccessDeniedException"
