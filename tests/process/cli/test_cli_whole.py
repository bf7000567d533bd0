"""The installed command line and a whole server: what one asks for, the other serves."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

BIN = Path(sys.executable).parent
READY_S = 60
HANDLER = textwrap.dedent(
    """
    def lambda_handler(event, context):
        print("called")
        if isinstance(event, dict) and event.get("fail"):
            raise ValueError("as you wish")
        return event
    """
)


class Whole:
    """A running `torpor up`, and the command line against it."""

    def __init__(self, data):
        self.data = data
        self.errors = data.with_suffix(".err")
        self.surroundings = {**os.environ, "TORPOR_DATA": str(data), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        with self.errors.open("wb") as sink:
            self.process = subprocess.Popen(
                [BIN / "torpor", "up", "--port", "0", "--json"],
                stdout=subprocess.PIPE,
                stderr=sink,
                env=self.surroundings,
            )
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            assert selector.select(READY_S), self.errors.read_text()
        line = self.process.stdout.readline()
        if not line and "torpor doctor" in self.errors.read_text():
            self.close()
            pytest.skip(f"this machine cannot run a server: {self.errors.read_text()}")
        self.url = json.loads(line)["ready"]

    def torpor(self, *argv, **more):
        return subprocess.run(
            [BIN / "torpor", *map(str, argv)],
            env=self.surroundings, capture_output=True, text=True, timeout=200, check=False, **more,
        )  # fmt: skip

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One server for these tests, with a function `echo` deployed by the command line."""
    running = Whole(tmp_path_factory.mktemp("whole") / "data")
    try:
        (running.data.parent / "echo.py").write_text(HANDLER)
        done = running.torpor("deploy", running.data.parent / "echo.py", "--json", "--env", "MODE=b")
        assert done.returncode == 0, done.stderr
        running.deployed = json.loads(done.stdout)
        yield running
    finally:
        running.close()


def test_what_was_deployed_is_described(whole):
    """Settings arrive as they were given, with the command line's defaults, and only names of variables come back."""
    assert whole.deployed["state"] == "Active"
    told = json.loads(whole.torpor("describe", "echo", "--json").stdout)
    assert (told["handler"], told["memory_mb"], told["timeout_s"]) == ("echo.lambda_handler", 1024, 60)
    assert told["variables"] == ["MODE"]
    assert [one["name"] for one in json.loads(whole.torpor("ls", "--json").stdout)] == ["echo"]


def test_invoking_logging_and_billing(whole):
    """A call's payload, log, request id and bill fit together."""
    done = whole.torpor("invoke", "echo", "-d", '{"n": 1}', "--json", "--tail")
    told = json.loads(done.stdout)
    assert (done.returncode, told["payload"], told["status"]) == (0, {"n": 1}, 200)
    assert "called" in told["log"]
    log = whole.torpor("logs", "echo", "--request", told["request_id"], "--since", "5m").stdout
    assert [line[25:] for line in log.splitlines() if "called" in line] == ["called"]
    assert json.loads(whole.torpor("usage", "echo", "--json").stdout)["total"]["invocations"] >= 1


def test_a_function_that_fails(whole):
    """An exception is exit code 1 with its traceback; over HTTP it is a 502 with the way to the log."""
    done = whole.torpor("invoke", "echo", "-d", '{"fail": 1}')
    assert (done.returncode, done.stdout) == (1, "")
    assert "ValueError: as you wish" in done.stderr
    assert whole.torpor("invoke", "echo", "--dry-run").returncode == 0
    assert whole.torpor("invoke", "nobody").returncode == 4


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl on this machine")
def test_the_curl_line_works_when_pasted(whole):
    """What `deploy` prints reaches the function, closed and public alike, with a body that arrives as text."""
    folder = whole.data.parent / "pasted"
    folder.mkdir()
    (folder / "app.py").write_text(HANDLER)
    for flags in ((), ("--public",)):
        done = whole.torpor("deploy", folder, *flags)
        assert done.returncode == 0, done.stderr
        line = done.stdout.splitlines()[1]
        assert ("env --header" in line) is not bool(flags)
        pasted = subprocess.run(
            ["sh", "-c", line], capture_output=True, text=True, env=whole.surroundings, timeout=60, check=True
        )
        event = json.loads(pasted.stdout)
        assert (event["body"], event["isBase64Encoded"]) == ("{}", False)
        assert "authorization" not in event["headers"]


def test_boto3_under_run(whole):
    """boto3 without any argument talks to this server under `torpor run`."""
    code = "import boto3; print(boto3.client('lambda').get_function(FunctionName='echo')['Configuration']['Handler'])"
    done = whole.torpor("run", "--", sys.executable, "-c", code)
    assert (done.returncode, done.stdout) == (0, "echo.lambda_handler\n"), done.stderr


def test_a_build_that_fails(whole):
    """A package that cannot be had is exit code 1 with the resolver's words; a bad setting is refused with 4."""
    folder = whole.data.parent / "broken"
    folder.mkdir()
    (folder / "app.py").write_text(HANDLER)
    (folder / "requirements.txt").write_text("./no-such-folder\n")
    done = whole.torpor("deploy", folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert "was not built" in done.stderr
    assert whole.torpor("deploy", folder, "--memory", "1").returncode == 4
    assert whole.torpor("rm", "broken").returncode == 0
    assert whole.torpor("rm", "broken").returncode == 4


def test_a_second_server_on_the_same_data_is_refused(whole):
    """`up` on a data folder in use says who has it."""
    done = whole.torpor("up", "--port", "0")
    assert done.returncode == 4
    assert str(whole.data) in done.stderr


def test_a_followed_log_ends_with_the_server(tmp_path):
    """Following says so when the server stops, with exit code 3; afterwards no server is found."""
    running = Whole(tmp_path / "data")
    try:
        (tmp_path / "echo.py").write_text(HANDLER)
        assert running.torpor("deploy", tmp_path / "echo.py").returncode == 0
        following = subprocess.Popen(
            [BIN / "torpor", "logs", "echo", "-f"],
            env=running.surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert running.torpor("invoke", "echo").returncode == 0
        while "REPORT" not in following.stdout.readline():
            pass
    finally:
        running.close()
    _, said = following.communicate(timeout=60)
    assert (following.returncode, running.process.returncode) == (3, 0)
    assert "ended the log" in said
    assert running.torpor("ls").returncode == 3
