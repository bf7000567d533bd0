"""Versions and aliases as boto3's users walk them: every operation, waiter and paginator, on real sandboxes."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from botocore.exceptions import ClientError

QUICK = {"Delay": 0.1, "MaxAttempts": 300}
CODE = (
    "import os\nPLACE = {place!r}\n"
    "def handler(event, context):\n"
    "    return [PLACE, context.function_version, os.environ['AWS_LAMBDA_FUNCTION_VERSION'],"
    " context.invoked_function_arn]\n"
)


def run(client, name, **more):
    answer = client.invoke(FunctionName=name, **more)
    value = json.loads(answer["Payload"].read())
    assert answer["ExecutedVersion"] == value[1] == value[2]
    return value


def publish(client, name, **more):
    version = client.publish_version(FunctionName=name, **more)["Version"]
    client.get_waiter("published_version_active").wait(FunctionName=name, Qualifier=version, WaiterConfig=QUICK)
    client.get_waiter("function_active_v2").wait(FunctionName=name, Qualifier=version, WaiterConfig=QUICK)
    client.get_waiter("function_updated_v2").wait(FunctionName=name, Qualifier=version, WaiterConfig=QUICK)
    return version


def refused(code, call, **params):
    with pytest.raises(ClientError) as error:
        call(**params)
    assert error.value.response["Error"]["Code"] == code
    return error.value.response["Error"]["Message"]


@pytest.fixture(scope="module")
def wares(server, create, zipped):
    """A function with two versions of different code, and an alias on the first."""
    client = create(server, "wares", CODE.format(place="one"))
    publish(client, "wares", Description="first")
    client.update_function_code(FunctionName="wares", ZipFile=zipped(CODE.format(place="two")))
    client.get_waiter("function_updated_v2").wait(FunctionName="wares", WaiterConfig=QUICK)
    publish(client, "wares")
    client.create_alias(FunctionName="wares", Name="live", FunctionVersion="1", Description="what people see")
    return client


def test_every_spelling_runs_its_version(wares):
    """Name, partial ARN and ARN, with a version, an alias or $LATEST, inside or beside."""
    arn = wares.get_function(FunctionName="wares")["Configuration"]["FunctionArn"]
    assert run(wares, "wares") == ["two", "$LATEST", "$LATEST", arn]
    assert run(wares, f"{arn}:1") == ["one", "1", "1", f"{arn}:1"]
    assert run(wares, "wares:2")[:2] == ["two", "2"]
    assert run(wares, "000000000000:function:wares:live") == ["one", "1", "1", f"{arn}:live"]
    assert run(wares, "wares", Qualifier="live")[:2] == ["one", "1"]
    assert run(wares, arn, Qualifier="$LATEST")[1] == "$LATEST"
    message = refused("ValidationException", wares.invoke, FunctionName="wares:1", Qualifier="2")
    assert "derived qualifier" in message
    message = refused("ResourceNotFoundException", wares.invoke, FunctionName="wares", Qualifier="9")
    assert message == f"Function not found: {arn}:9"


def test_versions_are_told_and_paged(wares):
    """Each version has its own configuration, ARN and description; lists come in pages."""
    one = wares.get_function(FunctionName="wares", Qualifier="1")["Configuration"]
    assert (one["Version"], one["Description"], one["State"]) == ("1", "first", "Active")
    assert one["FunctionArn"].endswith(":function:wares:1")
    behind_alias = wares.get_function_configuration(FunctionName="wares", Qualifier="live")
    assert (behind_alias["Version"], behind_alias["FunctionArn"][-5:]) == ("1", ":live")
    pages = list(
        wares.get_paginator("list_versions_by_function").paginate(
            FunctionName="wares", PaginationConfig={"PageSize": 1}
        )
    )
    assert [version["Version"] for page in pages for version in page["Versions"]] == ["$LATEST", "1", "2"]
    pages = wares.get_paginator("list_functions").paginate(FunctionVersion="ALL", PaginationConfig={"PageSize": 2})
    listed = Counter(
        one["FunctionArn"] for page in pages for one in page["Functions"] if one["FunctionName"] == "wares"
    )
    assert sorted(arn.rpartition(":")[2] for arn in listed) == ["$LATEST", "1", "2"]
    assert set(listed.values()) == {1}


def test_publishing_what_did_not_change_gives_the_same_version(wares):
    """And preconditions are held to."""
    assert wares.publish_version(FunctionName="wares")["Version"] == "2"
    message = refused("InvalidParameterValueException", wares.publish_version, FunctionName="wares", CodeSha256="x")
    assert "CodeSHA256" in message
    refused("PreconditionFailedException", wares.publish_version, FunctionName="wares", RevisionId="x")
    refused("ResourceNotFoundException", wares.publish_version, FunctionName="none")


def test_rolling_back_is_moving_an_alias(wares):
    """The next invocation goes where the alias leads; with weights, some of them."""
    before = wares.get_alias(FunctionName="wares", Name="live")
    moved = wares.update_alias(FunctionName="wares", Name="live", FunctionVersion="2", RevisionId=before["RevisionId"])
    assert run(wares, "wares:live")[0] == "two"
    refused(
        "PreconditionFailedException",
        wares.update_alias, FunctionName="wares", Name="live", FunctionVersion="1", RevisionId=before["RevisionId"],
    )  # fmt: skip
    back = wares.update_alias(
        FunctionName="wares", Name="live", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}}
    )
    assert back["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.5}}
    assert {run(wares, "wares:live")[0] for _ in range(40)} == {"one", "two"}
    alone = wares.update_alias(FunctionName="wares", Name="live", RoutingConfig={"AdditionalVersionWeights": {}})
    assert "RoutingConfig" not in alone
    assert alone["Description"] == moved["Description"] == "what people see"
    assert {run(wares, "wares:live")[0] for _ in range(5)} == {"one"}


def test_aliases_are_made_listed_and_deleted(wares):
    """All of a function, or those of one version, in pages."""
    for name, version in (("beta", "2"), ("gamma", "$LATEST")):
        made = wares.create_alias(FunctionName="wares", Name=name, FunctionVersion=version)
        assert made["AliasArn"].endswith(f":function:wares:{name}")
    pages = list(wares.get_paginator("list_aliases").paginate(FunctionName="wares", PaginationConfig={"PageSize": 2}))
    assert [alias["Name"] for page in pages for alias in page["Aliases"]] == ["beta", "gamma", "live"]
    assert [one["Name"] for one in wares.list_aliases(FunctionName="wares", FunctionVersion="2")["Aliases"]] == ["beta"]
    refused("ResourceConflictException", wares.create_alias, FunctionName="wares", Name="beta", FunctionVersion="1")
    refused("ResourceNotFoundException", wares.create_alias, FunctionName="wares", Name="new", FunctionVersion="9")
    for name in ("beta", "gamma"):
        wares.delete_alias(FunctionName="wares", Name=name)
    refused("ResourceNotFoundException", wares.get_alias, FunctionName="wares", Name="beta")
    wares.delete_alias(FunctionName="wares", Name="beta")


def test_a_version_is_deleted_alone(server, create, zipped):
    """Not while an alias leads to it; its number is not given again."""
    client = create(server, "pruned", CODE.format(place="one"))
    assert publish(client, "pruned") == "1"
    client.create_alias(FunctionName="pruned", Name="live", FunctionVersion="1")
    message = refused("ResourceConflictException", client.delete_function, FunctionName="pruned", Qualifier="1")
    assert "[live]" in message
    refused("InvalidParameterValueException", client.delete_function, FunctionName="pruned", Qualifier="$LATEST")
    client.delete_alias(FunctionName="pruned", Name="live")
    client.delete_function(FunctionName="pruned", Qualifier="1")
    refused("ResourceNotFoundException", client.get_function, FunctionName="pruned", Qualifier="1")
    updated = client.update_function_code(FunctionName="pruned", ZipFile=zipped(CODE.format(place="two")), Publish=True)
    assert updated["Version"] == "2"
    client.get_waiter("published_version_active").wait(FunctionName="pruned", Qualifier="2", WaiterConfig=QUICK)
    assert run(client, "pruned:2")[0] == "two"


def test_an_alias_has_a_url_of_its_own(server, wares):
    """/fn/NAME:ALIAS/ is open when the alias's URL says so, and follows the alias."""
    made = wares.create_function_url_config(FunctionName="wares", Qualifier="live", AuthType="NONE")
    assert made["FunctionArn"].endswith(":function:wares:live")
    status, _, body = server.http("GET", made["FunctionUrl"].removeprefix(server.url))
    assert (status, json.loads(body)[0]) == (200, "one")
    assert server.http("GET", "/fn/wares/")[0] == 403
    assert server.http("GET", "/fn/wares:1/")[0] == 403
    wares.create_function_url_config(FunctionName="wares", AuthType="AWS_IAM")
    pages = wares.get_paginator("list_function_url_configs").paginate(
        FunctionName="wares", PaginationConfig={"PageSize": 1}
    )
    assert [len(page["FunctionUrlConfigs"]) for page in pages] == [1, 1]
    assert wares.get_function_url_config(FunctionName="wares", Qualifier="live")["AuthType"] == "NONE"
    wares.delete_function_url_config(FunctionName="wares", Qualifier="live")
    assert server.http("GET", "/fn/wares:live/")[0] == 403


def test_published_at_creation(server, create, zipped):
    """Publish at creation gives version 1, Pending, and ready by itself."""
    client = server.client("lambda")
    made = client.create_function(
        FunctionName="born", Runtime="python3.11", Role="arn:aws:iam::000000000000:role/r", Handler="app.handler",
        Code={"ZipFile": zipped(CODE.format(place="here"))}, Publish=True,
        Environment={"Variables": {"SECRET": "not-in-the-database"}},
    )  # fmt: skip
    assert (made["Version"], made["State"]) == ("1", "Pending")
    client.get_waiter("published_version_active").wait(FunctionName="born", Qualifier="1", WaiterConfig=QUICK)
    assert run(client, "born:1")[0] == "here"
    for file in server.data.glob("torpor.db*"):
        assert b"not-in-the-database" not in file.read_bytes()


def test_the_command_line_publishes_moves_and_rolls_back(server, tmp_path):
    """deploy --alias, publish, alias set, ls and rm, and NAME:QUALIFIER wherever a function is named."""
    project = tmp_path / "till"
    project.mkdir()
    handler = project / "app.py"
    handler.write_text(CODE.format(place="one").replace("def handler", "def lambda_handler"))
    server.cli("deploy", str(project), "--alias", "live")
    handler.write_text(handler.read_text().replace("one", "two"))
    server.cli("deploy", str(project))
    assert server.cli("publish", "till", "--description", "second").stdout == "2\n"
    assert json.loads(server.cli("invoke", "till:live").stdout)[:2] == ["one", "1"]
    server.cli("alias", "set", "till", "live", "2", "--weight", "1=0.25")
    (alias,) = json.loads(server.cli("alias", "ls", "till", "--json").stdout)
    assert (alias["FunctionVersion"], alias["RoutingConfig"]) == ("2", {"AdditionalVersionWeights": {"1": 0.25}})
    server.cli("alias", "set", "till", "live", "1")
    assert json.loads(server.cli("invoke", "till:live").stdout)[0] == "one"
    listed = server.cli("ls", "till").stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["VERSION", "$LATEST", "1", "2"]
    assert "live" in listed[2]
    described = json.loads(server.cli("describe", "till:live", "--json").stdout)
    assert (described["version"], described["arn"].rpartition(":")[2]) == ("1", "live")
    server.cli("invoke", "till:2")
    only = server.cli("logs", "till:2").stdout
    assert "Version: 2" in only
    assert "Version: 1" not in only
    assert server.cli("rm", "till:1", check=False).returncode == 4
    server.cli("alias", "rm", "till", "live")
    server.cli("rm", "till:1")
    assert server.cli("describe", "till:1", check=False).returncode == 4
    assert server.cli("alias", "rm", "till", "live", check=False).returncode == 4
