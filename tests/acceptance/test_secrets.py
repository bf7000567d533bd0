"""Secrets on a running server: read where they may be, and found nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

VALUE = "hunter2-never-to-be-found-ü"
# Proves that the value is there without repeating it, and leaves time to look at the machine meanwhile.
PROVE = """
import hashlib, os, time

AT_START = os.environ.get("DB_PASSWORD", "")

def handler(event, context):
    value = os.environ.get("DB_PASSWORD", "")
    time.sleep(event.get("sleep", 0))
    return [hashlib.sha256(value.encode()).hexdigest(), AT_START == value, sorted(os.environ)]
"""


def needle(value=VALUE):
    return value.encode()


def holding(folder: Path, value: bytes) -> list[str]:
    """Files below a folder that hold a value."""
    found = []
    for path in folder.rglob("*"):
        try:
            if path.is_file() and value in path.read_bytes():
                found.append(str(path))
        except OSError:
            continue
    return found


def showing(what: str, value: bytes) -> list[str]:
    """Processes whose command line or environment holds a value."""
    found = []
    for path in Path("/proc").glob(f"[0-9]*/{what}"):
        try:
            if value in path.read_bytes():
                found.append(str(path.parent))
        except OSError:
            continue
    return found


def test_a_secret_is_read_where_it_may_be_and_found_nowhere_else(start_server, create, tmp_path):
    """Set by the command line, read by a function's environment and two interfaces; no file, listing, log or command
    line holds it, and none but the function's own processes has it in its environment.
    """
    import hashlib

    server = start_server("--host", "127.0.0.1", data=tmp_path / "data", TORPOR_LOG_LEVEL="debug")
    said = server.cli("secret", "set", "prod/db", input=VALUE + "\n")
    client = create(server, "keeper", PROVE, Tags={"torpor:secrets": "DB_PASSWORD=prod/db"})

    def call(**event):
        answer = client.invoke(FunctionName="keeper", Payload=json.dumps(event).encode(), LogType="Tail")
        assert "FunctionError" not in answer, answer["Payload"].read()
        return json.loads(answer["Payload"].read())

    for _ in range(3):  # afresh, or forked, or warm
        digest, at_start, names = call()
        assert digest == hashlib.sha256(VALUE.encode()).hexdigest()
        assert at_start
        assert not [name for name in names if name.startswith(("AWS_ACCESS", "AWS_SECRET", "AWS_SESSION"))]
    assert showing("cmdline", needle()) == []
    assert f"/proc/{server.process.pid}" not in showing("environ", needle())

    manager, ssm = server.client("secretsmanager"), server.client("ssm")
    assert manager.get_secret_value(SecretId="prod/db")["SecretString"] == VALUE
    assert ssm.get_parameter(Name="prod/db", WithDecryption=True)["Parameter"]["Value"] == VALUE

    shown = [said.stdout + said.stderr, server.cli("secret", "ls").stdout, server.cli("secret", "ls", "--json").stdout]
    shown += [server.cli("describe", "keeper", "--json").stdout, server.cli("logs", "keeper").stdout]
    shown += [
        str(client.get_function(FunctionName="keeper")),
        str(client.list_functions()),
        str(manager.list_secrets()),
    ]
    assert not [text for text in shown if VALUE in text]
    assert "DB_PASSWORD=prod/db" in shown[3]
    assert holding(server.data, needle()) == []
    server.stop()
    assert holding(tmp_path, needle()) == []  # what it wrote when it left, and its log


def test_a_new_value_reaches_the_next_instance_and_a_missing_one_is_named(server, create, eventually):
    """An instance keeps what it started with; without its secret none starts, and the error says which."""
    server.cli("secret", "set", "rotated", input="one")
    create(server, "rotating", PROVE, Tags={"torpor:secrets": "DB_PASSWORD=rotated"})
    client = server.client("lambda")
    first = json.loads(client.invoke(FunctionName="rotating", Payload=b"{}")["Payload"].read())[0]
    server.cli("secret", "set", "rotated", "--from-file", "/dev/stdin", input="two")
    same = json.loads(client.invoke(FunctionName="rotating", Payload=b"{}")["Payload"].read())[0]
    assert same == first
    client.update_function_configuration(FunctionName="rotating", Timeout=29)
    client.get_waiter("function_updated_v2").wait(FunctionName="rotating", WaiterConfig={"Delay": 0.1})
    assert json.loads(client.invoke(FunctionName="rotating", Payload=b"{}")["Payload"].read())[0] != first

    server.cli("secret", "rm", "rotated")
    client.update_function_configuration(FunctionName="rotating", Timeout=28)
    client.get_waiter("function_updated_v2").wait(FunctionName="rotating", WaiterConfig={"Delay": 0.1})
    with pytest.raises(client.exceptions.ResourceConflictException, match="without the secret rotated"):
        client.invoke(FunctionName="rotating", Payload=b"{}")


@pytest.mark.parametrize("words", [("set", "bad name"), ("set", "../x"), ("rm", "none")])
def test_refusals_do_not_repeat_the_value(server, words):
    """A wrong name and a missing secret are told; the value is not."""
    said = server.cli("secret", *words, check=False, input=VALUE)
    assert said.returncode in {2, 4}
    assert VALUE not in said.stdout + said.stderr
