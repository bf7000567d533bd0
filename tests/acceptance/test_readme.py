"""What the README shows works as it stands there."""

import io
import json
import re
import sys
import zipfile
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
FIRST, CLIENT = re.findall(r"```python\n(.*?)```", README, re.DOTALL)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def hello(tmp_path):
    """The README's first function, in a folder of its own."""
    folder = tmp_path / "hello"
    folder.mkdir()
    (folder / "app.py").write_text(FIRST)
    return folder


def test_the_first_function_greets_by_name(server, hello):
    """Deployed with a public address, it answers the README's curl line."""
    server.cli("deploy", str(hello), "--public")
    status, headers, body = server.http("GET", "/fn/hello/?name=Ada")
    assert status == 200
    assert headers["content-type"] == "application/json"
    answer = json.loads(body)
    assert answer["hello"] == "Ada"
    assert 0 < answer["left_ms"] <= 60_000


def test_the_boto3_script_runs_under_torpor_run(server, tmp_path):
    """The README's script, with no arguments to the client, creates the function here and prints its answer."""
    running = f'Runtime="python{sys.version_info.major}.{sys.version_info.minor}"'
    script = re.sub(r'Runtime="[^"]*"', running, CLIENT).replace('"hello"', '"hello-by-boto3"')
    (tmp_path / "deploy.py").write_text(script)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("app.py", FIRST)
    (tmp_path / "hello.zip").write_bytes(archive.getvalue())
    answer = json.loads(server.cli("run", "--", sys.executable, "deploy.py", cwd=tmp_path).stdout)
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["hello"] == "world"
