"""Whole applications from SAM templates, with AWS's own translator, on the installed server."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples/sam-app"
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"
HEAD = "Transform: AWS::Serverless-2016-10-31\nGlobals: {Function: {Runtime: RUNTIME, Timeout: 20}}\nResources:\n"
INLINE = '{InlineCode: "def handler(event, context): return CODE", Handler: index.handler'

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def variables(tmp_path_factory):
    """The translator is installed once for all of these, by the first that needs it."""
    return {"XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture
def deploy(server, variables):
    """`torpor deploy TEMPLATE --yes --json`; gives what it says, or with `fails` the error."""

    def deploy(path, *words, fails=None):
        done = server.cli("deploy", str(path), "--json", "--yes", *words, check=False, more=variables)
        if fails is not None:
            assert done.returncode == fails, done.stderr
            return json.loads(done.stderr)["error"]["message"]
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return deploy


@pytest.fixture
def template(tmp_path):
    """Write a template of these resources; the same path each time."""

    def write(resources, more=""):
        path = tmp_path / "template.yaml"
        path.write_text(HEAD.replace("RUNTIME", RUNTIME) + resources + more)
        return path

    return write


def actions(said):
    return {step["id"]: step["action"] for step in said["plan"] if step["action"] != "unchanged"}


def outputs(said):
    return {name: about["Value"] for name, about in said["outputs"].items()}


def test_an_http_api_with_two_functions_a_layer_and_parameters(server, deploy, tmp_path, variables):
    """The example: called over its API, streamed, unchanged the second time, changed by a parameter, by code, by removal."""
    app = tmp_path / "guests"
    shutil.copytree(EXAMPLE, app)
    path = app / "template.yaml"
    given = ("--parameter", "Greeting=Hi", "--parameter", f"Runtime={RUNTIME}")
    first = deploy(path, *given)
    assert set(actions(first).values()) == {"create"}
    assert [(one["resource"], one["event"], one["type"]) for one in first["waiting"]] == [
        ("Count", "Nightly", "Schedule")
    ]
    line = first["waiting"][0]["line"]
    assert "Nightly" in path.read_text().splitlines()[line - 1]
    base = outputs(first)["Api"].removeprefix(server.url).rstrip("/")
    status, _, body = server.http("GET", f"{base}/greet/Ada")
    assert (status, json.loads(body)) == (200, {"text": "Hi my Ada", "guests": 1, "stage": "dev"})
    assert server.http("POST", f"{base}/count")[2] == b"1"
    story = outputs(first)["Story"].removeprefix(server.url)
    _, headers, body = server.http("GET", story)
    assert body == b"Once\nupon\na\ntime\n"
    assert "content-length" not in headers

    assert actions(deploy(path, *given)) == {}

    changed = actions(deploy(path, *given, "--parameter", "Stage=prod"))
    assert changed["Audit"] == "create"
    assert {changed[name] for name in ("Greet", "Count", "Tell")} == {"update"}
    described = json.loads(server.cli("stack", "describe", "guests", "--json").stdout)
    assert described["parameters"] == {"Greeting": "Hi", "Stage": "prod", "Runtime": RUNTIME}
    assert "Audit" in described["outputs"]
    assert json.loads(server.http("GET", f"{base}/greet/Bob")[2])["text"] == "Hi dear Bob"

    words = app / "layer/python/words.py"
    words.write_text(words.read_text().replace("{words} {name}", "{words} {name}!"))
    changed = actions(deploy(path, *given))
    assert changed["Audit"] == "delete"
    assert [action for name, action in changed.items() if name.startswith("Words")].count("create") == 1
    assert json.loads(server.http("GET", f"{base}/greet/Ada")[2])["text"] == "Hi my Ada!"

    server.cli("stack", "rm", "guests", "--yes", more=variables)
    assert server.http("GET", f"{base}/greet/Ada")[0] == 404
    assert "guests" not in server.cli("ls").stdout
    assert "guests" not in server.cli("stack", "ls").stdout


def test_policies_are_permissions_and_the_rest_is_told(server, deploy, template):
    """A function may do what its policies say of services that are here, and no more; what is not enforced has its line."""
    said = deploy(
        template(
            "  Work:\n    Type: AWS::Serverless::Function\n    Properties:\n"
            "      InlineCode: 'def handler(event, context): return 1'\n      Handler: index.handler\n"
            "      Policies:\n        - SSMParameterReadPolicy: {ParameterName: app/key}\n"
            "        - DynamoDBReadPolicy: {TableName: t}\n"
        ),
        "--stack", "policies",
    )  # fmt: skip
    function = json.loads(server.cli("describe", "policies-Work", "--json").stdout)
    assert {one.partition("/")[2] for one in function["permissions"] if one.startswith("ssm:Get")} == {"app/key"}
    assert not [one for one in function["permissions"] if "dynamodb" in one]
    assert [one for one in said["warnings"] if "template.yaml:9: Work: Policies: not enforced: dynamodb:" in one]


def test_a_failure_midway_is_gone_on_from(server, deploy, template):
    """What cannot be built ends the deployment with its line; the record says so; the next run does the rest."""
    good = f"  First: {{Type: AWS::Serverless::Function, Properties: {INLINE.replace('CODE', '1')}}}}}\n"
    bad = "  Second: {Type: AWS::Serverless::Function, DependsOn: First, Properties: {CodeUri: code, Handler: app.handler}}\n"
    path = template(good + bad)
    code = path.parent / "code"
    code.mkdir()
    (code / "app.py").write_text("def handler(event, context): return 2")
    (code / "requirements.txt").write_text("there-is-no-such-package-anywhere==1\n")
    told = deploy(path, "--stack", "midway", fails=1)
    assert "template.yaml:5: Second: " in told
    described = json.loads(server.cli("stack", "describe", "midway", "--json").stdout)
    assert described["status"] == "failed"
    assert {"First", "Second"} <= {made["id"] for made in described["resources"]}
    (code / "requirements.txt").unlink()
    assert actions(deploy(path, "--stack", "midway")) == {"Second": "update"}
    assert server.cli("invoke", "midway-Second").stdout.strip() == "2"
    assert actions(deploy(path, "--stack", "midway")) == {}


def test_a_renamed_function_moves_and_a_foreign_one_is_left_alone(server, deploy, create, template):
    """Another FunctionName makes a new function and removes the old one; one that somebody else has is not touched."""

    def text(name):
        return f"  Work: {{Type: AWS::Serverless::Function, Properties: {INLINE.replace('CODE', '7')}, FunctionName: {name}}}}}\n"

    deploy(template(text("old-name")), "--stack", "named")
    said = deploy(template(text("new-name")), "--stack", "named")
    assert actions(said)["Work"] == "replace"
    names = {one["name"] for one in json.loads(server.cli("ls", "--json").stdout)}
    assert "new-name" in names
    assert "old-name" not in names
    create(server, "foreign", "def handler(event, context): return 'mine'")
    assert "exists already, and is not of this stack" in deploy(template(text("foreign")), "--stack", "named", fails=4)
    assert server.cli("invoke", "foreign").stdout.strip() == '"mine"'
    assert server.cli("invoke", "new-name").stdout.strip() == "7"


def test_what_is_not_supported_is_named_with_its_line(deploy, template):
    """Types refuse, unless all else is wanted; what SAM itself does not allow is told with its line too."""
    work = f"  Work: {{Type: AWS::Serverless::Function, Properties: {INLINE.replace('CODE', '1')}}}}}\n"
    path = template(work + "  Table: {Type: AWS::Serverless::SimpleTable}\n")
    told = deploy(path, "--stack", "partly", fails=2)
    assert "template.yaml:5: Table: AWS::Serverless::SimpleTable is not supported" in told
    assert deploy(path, "--stack", "partly", "--partial")["status"] == "deployed"
    path = template(work.replace("Handler:", "Hander:"))
    assert "template.yaml:4: " in deploy(path, "--stack", "partly", fails=2)
    path = template(work, "Outputs:\n  Lost:\n    Value: !Ref Nobody\n")
    assert "template.yaml:7: there is no Nobody" in deploy(path, "--stack", "lost", fails=2)
