"""The published `aws` command line, unchanged, against a real server."""

from __future__ import annotations

import json

import pytest

CODE = "def handler(event, context):\n    return {'hello': event.get('name', 'world')}\n"


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_aws_command_line_lives_a_functions_life(server, aws, tmp_path, zipped):
    """Create, wait, invoke, update, invoke, delete: `torpor run` points the published tool here, and it needs nothing else."""
    archive, out = tmp_path / "code.zip", tmp_path / "out.json"
    archive.write_bytes(zipped(CODE))

    def run(*arguments, check=True):
        done = server.cli("run", "--", aws, *arguments, check=False)
        assert not check or done.returncode == 0, done.stderr
        return done

    role = json.loads(run("iam", "create-role", "--role-name", "cli", "--assume-role-policy-document", "{}").stdout)
    arn = role["Role"]["Arn"]
    created = run(
        "lambda", "create-function", "--function-name", "from-cli", "--runtime", "python3.11", "--role", arn,
        "--handler", "app.handler", "--zip-file", f"fileb://{archive}", "--timeout", "10",
    )  # fmt: skip
    assert json.loads(created.stdout)["FunctionName"] == "from-cli"
    run("lambda", "wait", "function-active-v2", "--function-name", "from-cli")
    invoke = ("lambda", "invoke", "--function-name", "from-cli")
    answer = json.loads(run(*invoke, "--payload", '{"name": "aws"}', "--log-type", "Tail", str(out)).stdout)
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert json.loads(out.read_text()) == {"hello": "aws"}

    archive.write_bytes(zipped(CODE.replace("hello", "bye")))
    run("lambda", "update-function-code", "--function-name", "from-cli", "--zip-file", f"fileb://{archive}")
    run("lambda", "wait", "function-updated-v2", "--function-name", "from-cli")
    run(*invoke, "--payload", "{}", str(out))
    assert json.loads(out.read_text()) == {"bye": "world"}
    listed = json.loads(run("lambda", "list-functions").stdout)["Functions"]
    assert "from-cli" in [function["FunctionName"] for function in listed]
    run("lambda", "delete-function", "--function-name", "from-cli")
    gone = run("lambda", "get-function", "--function-name", "from-cli", check=False)
    assert gone.returncode != 0
    assert "ResourceNotFoundException" in gone.stderr
    assert json.loads(run("sts", "get-caller-identity").stdout)["Account"] == "000000000000"
