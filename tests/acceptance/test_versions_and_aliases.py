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
def shop(server, create, zipped):
    """A function with two versions of different code, and an alias on the first."""
    client = create(server, "shop", CODE.format(place="one"))
    publish(client, "shop", Description="first")
    client.update_function_code(FunctionName="shop", ZipFile=zipped(CODE.format(place="two")))
    client.get_waiter("function_updated_v2").wait(FunctionName="shop", WaiterConfig=QUICK)
    publish(client, "shop")
    client.create_alias(FunctionName="shop", Name="live", FunctionVersion="1", Description="what people see")
    return client


def test_every_spelling_runs_its_version(shop):
    """Name, partial ARN and ARN, with a version, an alias or $LATEST, inside or beside."""
    arn = shop.get_function(FunctionName="shop")["Configuration"]["FunctionArn"]
    assert run(shop, "shop") == ["two", "$LATEST", "$LATEST", arn]
    assert run(shop, f"{arn}:1") == ["one", "1", "1", f"{arn}:1"]
    assert run(shop, "shop:2")[:2] == ["two", "2"]
    assert run(shop, "000000000000:function:shop:live") == ["one", "1", "1", f"{arn}:live"]
    assert run(shop, "shop", Qualifier="live")[:2] == ["one", "1"]
    assert run(shop, arn, Qualifier="$LATEST")[1] == "$LATEST"
    message = refused("ValidationException", shop.invoke, FunctionName="shop:1", Qualifier="2")
    assert "derived qualifier" in message
    message = refused("ResourceNotFoundException", shop.invoke, FunctionName="shop", Qualifier="9")
    assert message == f"Function not found: {arn}:9"


def test_versions_are_told_and_paged(shop):
    """Each version has its own configuration, ARN and description; lists come in pages."""
    one = shop.get_function(FunctionName="shop", Qualifier="1")["Configuration"]
    assert (one["Version"], one["Description"], one["State"]) == ("1", "first", "Active")
    assert one["FunctionArn"].endswith(":function:shop:1")
    behind_alias = shop.get_function_configuration(FunctionName="shop", Qualifier="live")
    assert (behind_alias["Version"], behind_alias["FunctionArn"][-5:]) == ("1", ":live")
    pages = list(
        shop.get_paginator("list_versions_by_function").paginate(FunctionName="shop", PaginationConfig={"PageSize": 1})
    )
    assert [version["Version"] for page in pages for version in page["Versions"]] == ["$LATEST", "1", "2"]
    pages = shop.get_paginator("list_functions").paginate(FunctionVersion="ALL", PaginationConfig={"PageSize": 2})
    listed = Counter(one["FunctionArn"] for page in pages for one in page["Functions"] if one["FunctionName"] == "shop")
    assert sorted(arn.rpartition(":")[2] for arn in listed) == ["$LATEST", "1", "2"]
    assert set(listed.values()) == {1}


def test_publishing_what_did_not_change_gives_the_same_version(shop):
    """And preconditions are held to."""
    assert shop.publish_version(FunctionName="shop")["Version"] == "2"
    message = refused("InvalidParameterValueException", shop.publish_version, FunctionName="shop", CodeSha256="x")
    assert "CodeSHA256" in message
    refused("PreconditionFailedException", shop.publish_version, FunctionName="shop", RevisionId="x")
    refused("ResourceNotFoundException", shop.publish_version, FunctionName="none")


def test_rolling_back_is_moving_an_alias(shop):
    """The next invocation goes where the alias leads; with weights, some of them."""
    before = shop.get_alias(FunctionName="shop", Name="live")
    moved = shop.update_alias(FunctionName="shop", Name="live", FunctionVersion="2", RevisionId=before["RevisionId"])
    assert run(shop, "shop:live")[0] == "two"
    refused(
        "PreconditionFailedException",
        shop.update_alias, FunctionName="shop", Name="live", FunctionVersion="1", RevisionId=before["RevisionId"],
    )  # fmt: skip
    back = shop.update_alias(
        FunctionName="shop", Name="live", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}}
    )
    assert back["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.5}}
    assert {run(shop, "shop:live")[0] for _ in range(40)} == {"one", "two"}
    alone = shop.update_alias(FunctionName="shop", Name="live", RoutingConfig={"AdditionalVersionWeights": {}})
    assert "RoutingConfig" not in alone
    assert alone["Description"] == moved["Description"] == "what people see"
    assert {run(shop, "shop:live")[0] for _ in range(5)} == {"one"}


def test_aliases_are_made_listed_and_deleted(shop):
    """All of a function, or those of one version, in pages."""
    for name, version in (("beta", "2"), ("gamma", "$LATEST")):
        made = shop.create_alias(FunctionName="shop", Name=name, FunctionVersion=version)
        assert made["AliasArn"].endswith(f":function:shop:{name}")
    pages = list(shop.get_paginator("list_aliases").paginate(FunctionName="shop", PaginationConfig={"PageSize": 2}))
    assert [alias["Name"] for page in pages for alias in page["Aliases"]] == ["beta", "gamma", "live"]
    assert [one["Name"] for one in shop.list_aliases(FunctionName="shop", FunctionVersion="2")["Aliases"]] == ["beta"]
    refused("ResourceConflictException", shop.create_alias, FunctionName="shop", Name="beta", FunctionVersion="1")
    refused("ResourceNotFoundException", shop.create_alias, FunctionName="shop", Name="new", FunctionVersion="9")
    for name in ("beta", "gamma"):
        shop.delete_alias(FunctionName="shop", Name=name)
    refused("ResourceNotFoundException", shop.get_alias, FunctionName="shop", Name="beta")
    shop.delete_alias(FunctionName="shop", Name="beta")


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


def test_an_alias_has_a_url_of_its_own(server, shop):
    """/fn/NAME:ALIAS/ is open when the alias's URL says so, and follows the alias."""
    made = shop.create_function_url_config(FunctionName="shop", Qualifier="live", AuthType="NONE")
    assert made["FunctionArn"].endswith(":function:shop:live")
    status, _, body = server.http("GET", made["FunctionUrl"].removeprefix(server.url))
    assert (status, json.loads(body)[0]) == (200, "one")
    assert server.http("GET", "/fn/shop/")[0] == 403
    assert server.http("GET", "/fn/shop:1/")[0] == 403
    shop.create_function_url_config(FunctionName="shop", AuthType="AWS_IAM")
    pages = shop.get_paginator("list_function_url_configs").paginate(
        FunctionName="shop", PaginationConfig={"PageSize": 1}
    )
    assert [len(page["FunctionUrlConfigs"]) for page in pages] == [1, 1]
    assert shop.get_function_url_config(FunctionName="shop", Qualifier="live")["AuthType"] == "NONE"
    shop.delete_function_url_config(FunctionName="shop", Qualifier="live")
    assert server.http("GET", "/fn/shop:live/")[0] == 403


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
