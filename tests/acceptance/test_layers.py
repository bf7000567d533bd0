"""Layers on the installed server: published over boto3 and the command line, seen under /opt by every kind of start."""

import ctypes.util
import io
import json
import os
import sys
import urllib.request
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

HANDLER = """
import ctypes, json, os, subprocess, sys
import shared, deep

def handler(event, context):
    try:
        open("/opt/python/x", "w")
        written = True
    except OSError:
        written = False
    library = ctypes.CDLL("libown-of-layer.so").cos
    library.restype, library.argtypes = ctypes.c_double, [ctypes.c_double]
    return {
        "shared": shared.VALUE, "deep": deep.VALUE, "paths": [one for one in sys.path if one.startswith("/opt")],
        "tool": subprocess.run(["tool"], capture_output=True, text=True).stdout, "cos": library(0.0),
        "written": written, "cached": shared.__cached__ and os.path.exists(shared.__cached__),
        "own": __import__("own").VALUE,
    }
"""


def archive(*entries):
    """A zip of (name, content, mode)."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as packed:
        for name, content, mode in entries:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            packed.writestr(info, content)
    return made.getvalue()


def math_library():
    """The bytes of some shared library of this machine: here, that of mathematical functions."""
    name = ctypes.util.find_library("m")
    ctypes.CDLL(name)
    lines = Path("/proc/self/maps").read_text().splitlines()
    return Path(next(line.split()[-1] for line in lines if "/libm" in line)).read_bytes()


@pytest.fixture(scope="module")
def published(server):
    """Two layers: the second hides a module of the first."""
    client = server.client("lambda")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    first = archive(
        ("python/shared.py", "VALUE = 1", 0o644),
        ("python/own.py", "VALUE = 'layer'", 0o644),
        ("bin/tool", "#!/bin/sh\necho from the layer\n", 0o755),
        ("lib/libown-of-layer.so", math_library(), 0o755),
    )
    second = archive(
        ("python/shared.py", "VALUE = 2", 0o644),
        (f"python/lib/{version}/site-packages/deep.py", "VALUE = 'deep'", 0o644),
    )
    return [
        client.publish_layer_version(LayerName=name, Content={"ZipFile": content}, CompatibleRuntimes=[version])
        for name, content in (("first", first), ("second", second))
    ]


def invoke(server, name):
    status, headers, body = server.owner("GET", f"/fn/{name}/")
    assert status == 200, body
    return json.loads(body), headers["x-torpor-start"]


def test_layers_are_merged_under_opt_however_an_instance_starts(server, create, published, eventually):
    """Modules, programs and libraries of both layers are found, in a fresh interpreter and in a forked one alike."""
    arns = [layer["LayerVersionArn"] for layer in published]
    files = {"app.py": HANDLER, "own.py": "VALUE = 'function'"}
    client = create(server, "layered", files, Layers=arns)
    told = client.get_function_configuration(FunctionName="layered")["Layers"]
    assert [(layer["Arn"], layer["CodeSize"]) for layer in told] == [
        (layer["LayerVersionArn"], layer["Content"]["CodeSize"]) for layer in published
    ]
    answer, depth = invoke(server, "layered")
    assert depth in ("spawn", "zygote")
    assert answer.pop("paths")[-1] == "/opt/python"
    assert answer == {
        "shared": 2,
        "deep": "deep",
        "tool": "from the layer\n",
        "cos": 1.0,
        "written": False,
        "cached": True,
        "own": "function",
    }

    def forked():
        client.update_function_configuration(FunctionName="layered", Description=os.urandom(4).hex(), Timeout=30)
        client.get_waiter("function_updated_v2").wait(FunctionName="layered", WaiterConfig={"Delay": 0.1})
        variables = {"Variables": {"ROUND": os.urandom(4).hex()}}
        client.update_function_configuration(FunctionName="layered", Environment=variables)
        client.get_waiter("function_updated_v2").wait(FunctionName="layered", WaiterConfig={"Delay": 0.1})
        again, depth = invoke(server, "layered")
        return again if depth == "zygote" else None

    again = eventually(forked, bound_s=60)
    assert again["paths"][-1] == "/opt/python"
    again.pop("paths")
    assert again == answer


def test_a_deleted_version_goes_on_to_serve(server, create, published):
    """A function keeps its layer when that is deleted and garbage is collected; nobody else gets it any more."""
    client = server.client("lambda")
    content = {"ZipFile": archive(("python/only.py", "VALUE = 7", 0o644))}
    version = client.publish_layer_version(LayerName="fleeting", Content=content)
    code = "import only\ndef handler(event, context):\n    return only.VALUE\n"
    create(server, "keeps", code, Layers=[version["LayerVersionArn"], published[0]["LayerVersionArn"]])
    client.delete_layer_version(LayerName="fleeting", VersionNumber=version["Version"])
    server.cli("gc")
    assert json.loads(client.invoke(FunctionName="keeps")["Payload"].read()) == 7
    with pytest.raises(client.exceptions.InvalidParameterValueException, match="does not exist"):
        client.update_function_configuration(FunctionName="keeps", Layers=[version["LayerVersionArn"]])
    client.update_function_configuration(FunctionName="keeps", Layers=[])
    client.get_waiter("function_updated_v2").wait(FunctionName="keeps", WaiterConfig={"Delay": 0.1})
    assert "Layers" not in client.get_function_configuration(FunctionName="keeps")
    failed = json.loads(client.invoke(FunctionName="keeps")["Payload"].read())
    assert failed["errorType"] == "Runtime.ImportModuleError"
    assert json.loads(server.cli("gc", "--json").stdout)["layers"]["count"] == 1


def test_the_command_line_publishes_and_the_table_names(server, tmp_path):
    """A folder becomes a layer by one command, and a function names it in its own table."""
    layer = tmp_path / "greetings"
    (layer / "python").mkdir(parents=True)
    (layer / "python/greet.py").write_text("WORD = 'hello'")
    arn = server.cli("layer", "publish", str(layer), "--description", "words").stdout.strip()
    assert arn == "arn:aws:lambda:us-east-1:000000000000:layer:greetings:1"
    assert "greetings:1" in server.cli("layer", "ls").stdout
    function = tmp_path / "greeter"
    function.mkdir()
    (function / "app.py").write_text("import greet\ndef lambda_handler(event, context):\n    return greet.WORD\n")
    (function / "torpor.toml").write_text('layers = ["greetings"]\n')
    server.cli("deploy", str(function))
    assert json.loads(server.cli("invoke", "greeter").stdout) == "hello"
    assert json.loads(server.cli("describe", "greeter", "--json").stdout)["layers"] == [arn]
    server.cli("layer", "rm", "greetings:1")
    assert "greetings" not in server.cli("layer", "ls").stdout
    assert server.cli("layer", "rm", "greetings:1", check=False).returncode == 4
    assert json.loads(server.cli("invoke", "greeter").stdout) == "hello"
    refused = server.cli("deploy", str(function), "--name", "other", check=False)
    assert refused.returncode == 4
    assert "does not exist" in refused.stderr


def test_a_custom_runtime_may_come_as_a_layer(server, create):
    """A bootstrap in a layer serves a function that brings none."""
    bootstrap = """#!/bin/sh
next="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
exec python3 -c '
import sys, urllib.request
base = sys.argv[1]
while True:
    with urllib.request.urlopen(base + "/next") as event:
        name, body = event.headers["Lambda-Runtime-Aws-Request-Id"], event.read()
    urllib.request.urlopen(base + "/" + name + "/response", b"[" + body + b"]").close()
' "$next"
"""
    client = server.client("lambda")
    content = {"ZipFile": archive(("bootstrap", bootstrap, 0o755))}
    version = client.publish_layer_version(LayerName="runtime", Content=content)["LayerVersionArn"]
    create(server, "custom", {"data.txt": "x"}, Runtime="provided.al2023", Handler="any", Layers=[version])
    answer = client.invoke(FunctionName="custom", Payload=b'{"a": 1}')
    assert json.loads(answer["Payload"].read()) == [{"a": 1}]


def test_the_archive_can_be_fetched(server, published):
    """Content.Location serves what was published, without a key."""
    location = server.client("lambda").get_layer_version(LayerName="second", VersionNumber=1)["Content"]["Location"]
    with urllib.request.urlopen(location) as answer:
        names = zipfile.ZipFile(io.BytesIO(answer.read())).namelist()
    assert "python/shared.py" in names
