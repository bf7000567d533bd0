"""Layers as boto3 sees them: every operation, its pages, and its errors."""

import json

import pytest

ARN = "arn:aws:lambda:us-east-1:000000000000:layer"


@pytest.fixture
def client(world):
    return world.client("lambda")


@pytest.fixture
def publish(client, zipped):
    def publish(name, **more):
        return client.publish_layer_version(LayerName=name, Content={"ZipFile": zipped}, **more)

    return publish


def test_the_life_of_a_layer(client, publish, zipped, sha256, world):
    """Published, read by number and by ARN, listed and deleted, a version is told in Lambda's words."""
    about = {
        "Description": "d",
        "LicenseInfo": "Apache-2.0",
        "CompatibleRuntimes": ["python3.11"],
        "CompatibleArchitectures": ["x86_64"],
    }
    made = publish("tools", **about)
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (made["LayerArn"], made["LayerVersionArn"], made["Version"]) == (f"{ARN}:tools", f"{ARN}:tools:1", 1)
    assert {name: made[name] for name in about} == about
    assert (made["Content"]["CodeSha256"], made["Content"]["CodeSize"]) == (sha256(zipped), len(zipped))
    assert made["Content"]["Location"] == f"{world.url}/code/tools"
    assert made["CreatedDate"].endswith("+0000")
    for got in (
        client.get_layer_version(LayerName="tools", VersionNumber=1),
        client.get_layer_version(LayerName=f"{ARN}:tools", VersionNumber=1),
        client.get_layer_version_by_arn(Arn=f"{ARN}:tools:1"),
    ):
        assert {name: value for name, value in got.items() if name != "ResponseMetadata"} == {
            name: value for name, value in made.items() if name != "ResponseMetadata"
        }
    assert publish("tools")["Version"] == 2
    (layer,) = client.list_layers()["Layers"]
    assert (layer["LayerName"], layer["LatestMatchingVersion"]["Version"]) == ("tools", 2)
    deleted = client.delete_layer_version(LayerName="tools", VersionNumber=2)
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204
    client.delete_layer_version(LayerName="tools", VersionNumber=2)
    assert [one["Version"] for one in client.list_layer_versions(LayerName="tools")["LayerVersions"]] == [1]
    assert publish("tools")["Version"] == 3


def test_listings_are_paged_and_filtered(client, publish):
    """Pages follow each other, the newest version first; a runtime and an architecture leave out what is for others."""
    for number in range(5):
        publish(f"l{number}")
        publish("many", CompatibleRuntimes=[f"python3.1{number % 2}"], CompatibleArchitectures=["arm64"])
    layers = [
        layer["LayerName"]
        for page in client.get_paginator("list_layers").paginate(PaginationConfig={"PageSize": 2})
        for layer in page["Layers"]
    ]
    assert layers == ["l0", "l1", "l2", "l3", "l4", "many"]
    pages = client.get_paginator("list_layer_versions").paginate(LayerName="many", PaginationConfig={"PageSize": 2})
    assert [[one["Version"] for one in page["LayerVersions"]] for page in pages] == [[5, 4], [3, 2], [1]]
    found = client.list_layer_versions(LayerName="many", CompatibleRuntime="python3.11")["LayerVersions"]
    assert [one["Version"] for one in found] == [4, 2]
    matching = client.list_layers(CompatibleRuntime="python3.11", CompatibleArchitecture="arm64")["Layers"]
    assert [(one["LayerName"], one["LatestMatchingVersion"]["Version"]) for one in matching] == [("many", 4)]
    assert client.list_layers(CompatibleArchitecture="x86_64")["Layers"] == []
    with pytest.raises(client.exceptions.InvalidParameterValueException, match="Marker"):
        client.list_layers(Marker="none")


def test_a_function_uses_layers(client, publish, create):
    """Up to five layers are set, told with their sizes, changed, and taken away again."""
    arns = [publish(name)["LayerVersionArn"] for name in "abcdef"]
    made = create(client, "f", Layers=arns[:2])
    assert [layer["Arn"] for layer in made["Layers"]] == arns[:2]
    assert all(layer["CodeSize"] > 0 for layer in made["Layers"])
    client.get_waiter("function_active_v2").wait(FunctionName="f")
    changed = client.update_function_configuration(FunctionName="f", Layers=[arns[2]])
    assert [layer["Arn"] for layer in changed["Layers"]] == [arns[2]]
    assert "Layers" in client.update_function_configuration(FunctionName="f", Description="kept")
    assert "Layers" not in client.update_function_configuration(FunctionName="f", Layers=[])
    wrong = client.exceptions.InvalidParameterValueException
    for layers, told in [
        (arns, "more than 5"),
        ([arns[0], publish("a")["LayerVersionArn"]], "Two different versions"),
        ([f"{ARN}:none:1"], "does not exist"),
    ]:
        with pytest.raises(wrong, match=told):
            client.update_function_configuration(FunctionName="f", Layers=layers)


def test_policies_of_versions(client, publish):
    """Statements are added, read and removed; each change has its revision."""
    publish("tools")
    where = {"LayerName": "tools", "VersionNumber": 1}
    added = client.add_layer_version_permission(
        **where, StatementId="all", Action="lambda:GetLayerVersion", Principal="*", OrganizationId="o-0123456789"
    )
    assert json.loads(added["Statement"]) == {
        "Sid": "all",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "lambda:GetLayerVersion",
        "Resource": f"{ARN}:tools:1",
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-0123456789"}},
    }
    another = {"Action": "lambda:GetLayerVersion", "Principal": "111111111111"}
    with pytest.raises(client.exceptions.ResourceConflictException):
        client.add_layer_version_permission(**where, StatementId="all", **another)
    with pytest.raises(client.exceptions.PreconditionFailedException):
        client.add_layer_version_permission(**where, StatementId="one", RevisionId="old", **another)
    second = client.add_layer_version_permission(**where, StatementId="one", RevisionId=added["RevisionId"], **another)
    assert json.loads(second["Statement"])["Principal"] == {"AWS": "arn:aws:iam::111111111111:root"}
    policy = client.get_layer_version_policy(**where)
    assert policy["RevisionId"] == second["RevisionId"]
    assert [one["Sid"] for one in json.loads(policy["Policy"])["Statement"]] == ["all", "one"]
    for statement in ("all", "one"):
        client.remove_layer_version_permission(**where, StatementId=statement)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_layer_version_policy(**where)
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.remove_layer_version_permission(**where, StatementId="all")


def test_what_is_no_layer_is_refused(client, publish, zipped):
    """Another account's, a missing one, an archive that is none, and content from elsewhere are told apart."""
    publish("tools")
    missing = client.exceptions.ResourceNotFoundException
    for call, params in [
        (client.get_layer_version, {"LayerName": "tools", "VersionNumber": 9}),
        (client.get_layer_version, {"LayerName": f"{ARN}:tools".replace("0" * 12, "1" * 12), "VersionNumber": 1}),
        (client.get_layer_version_by_arn, {"Arn": f"{ARN}:tools:9"}),
        (client.get_layer_version_policy, {"LayerName": "tools", "VersionNumber": 1}),
    ]:
        with pytest.raises(missing):
            call(**params)
    wrong = client.exceptions.InvalidParameterValueException
    for content, told in [
        ({"S3Bucket": "bucket", "S3Key": "key"}, "S3Bucket"),
        ({}, "zip archive"),
        ({"ZipFile": b"no zip"}, "unzip"),
    ]:
        with pytest.raises(wrong, match=told):
            client.publish_layer_version(LayerName="tools", Content=content)
    with pytest.raises(wrong, match="64"):
        client.publish_layer_version(LayerName="x" * 65, Content={"ZipFile": zipped})
