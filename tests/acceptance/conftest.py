"""A real server, started as a user would, with real clients: every acceptance test drives what is installed."""

from __future__ import annotations

import io
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import botocore.config
import pytest

TORPOR = str(Path(sys.executable).with_name("torpor"))
LOCK = Path(__file__).parents[2] / "requirements" / "awscli.txt"
START_BOUND_S = 60.0
Answer = tuple[int, dict[str, str], bytes]  # status, headers by lower-case name, body
ROLE = "arn:aws:iam::000000000000:role/any"
RUNTIME = f"python{sys.version_info.major}.{sys.version_info.minor}"


@dataclass
class Server:
    """A running `torpor up`, and clients for it."""

    url: str
    data: Path
    process: subprocess.Popen[str]
    keys: Mapping[str, str] = field(default_factory=dict)

    def client(self, service: str, **config: Any) -> Any:
        """A boto3 client that never tries twice, so that an error is seen as it is."""
        settings = botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=120, **config)
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=self.keys["access_key_id"],
            aws_secret_access_key=self.keys["secret_access_key"],
            config=settings,
        )

    def http(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """One HTTP request without credentials, unless the headers carry them."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=named)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()

    def owner(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """The same with the command line's token."""
        return self.http(method, path, body, authorization=f"Bearer {self.keys['token']}", **headers)

    def cli(
        self, *arguments: str, check: bool = True, more: Mapping[str, str] | None = None, **kwargs: Any
    ) -> subprocess.CompletedProcess[str]:
        """The command line against this server; `more` are further variables."""
        environment = {**os.environ, "TORPOR_DATA": str(self.data), **(more or {})}
        return subprocess.run(
            [TORPOR, *arguments], env=environment, capture_output=True, text=True, check=check, timeout=300, **kwargs
        )

    def status(self) -> dict[str, Any]:
        return json.loads(self.owner("GET", "/_torpor/status")[2])

    def stop(self) -> int:
        """End the server in its orderly way."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        if self.process.stdout:
            self.process.stdout.close()
        return code


def _read_ready(process: subprocess.Popen[str], errors: Path) -> str:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        if not selector.select(START_BOUND_S):
            process.kill()
            pytest.fail(f"`torpor up` did not get ready: {errors.read_text()}")
    line = process.stdout.readline()
    if not line.startswith("ready "):
        process.kill()
        process.wait()
        pytest.fail(f"`torpor up` said {line!r}: {errors.read_text()}")
    return line.split()[1]


def start(data: Path, *flags: str, **variables: str) -> Server:
    """`torpor up` on a free port; returns once it serves."""
    data.mkdir(parents=True, exist_ok=True)
    errors = Path(tempfile.mkstemp(prefix="up-", suffix=".err", dir=data.parent)[1])
    with errors.open("wb") as sink:
        process = subprocess.Popen(
            [TORPOR, "up", "--port", "0", "--data", str(data), *flags],
            stdout=subprocess.PIPE,
            stderr=sink,
            text=True,
            env={**os.environ, **variables},
        )
    url = _read_ready(process, errors)
    return Server(url, data, process, json.loads((data / "key.json").read_text()))


def _left(server: Server) -> bool:
    """Whether it ended in its orderly way; it has ended all the same."""
    try:
        server.stop()
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.stop()
        return False
    return True


@pytest.fixture(scope="session")
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Start more servers; all are ended with the tests."""
    started: list[Server] = []

    def begin(*flags: str, data: Path | None = None, **variables: str) -> Server:
        server = start(data or tmp_path_factory.mktemp("up") / "data", *flags, **variables)
        started.append(server)
        return server

    yield begin
    stuck = [server for server in started if not _left(server)]
    assert not stuck, f"did not stop within a minute of SIGTERM: {stuck}"


@pytest.fixture(scope="session")
def server(start_server: Callable[..., Server]) -> Server:
    """One server for the tests that do not end it."""
    return start_server()


def bundle(files: Mapping[str, str] | str) -> bytes:
    """A zip of these files, the same at any time; a bare text is `app.py`."""
    if isinstance(files, str):
        files = {"app.py": files}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)  # of 1980: with the clock's time, two of the same files may differ
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def zipped() -> Callable[..., bytes]:
    return bundle


@pytest.fixture(scope="session")
def create() -> Callable[..., Any]:
    """Create a function over boto3 and wait until it is active."""

    def create(server: Server, name: str, files: Mapping[str, str] | str, **more: Any) -> Any:
        client = server.client("lambda")
        given = {"Runtime": RUNTIME, "Handler": "app.handler", "Role": ROLE, "Timeout": 30, "MemorySize": 512, **more}
        client.create_function(FunctionName=name, Code={"ZipFile": bundle(files)}, **given)
        client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 0.2, "MaxAttempts": 600})
        return client

    return create


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Any]:
    """Wait, bounded, until a condition holds; the last value is shown when it never does."""

    def eventually(condition: Callable[[], Any], bound_s: float = 20.0, every_s: float = 0.05) -> Any:
        deadline = time.monotonic() + bound_s
        while not (value := condition()):
            if time.monotonic() > deadline:
                pytest.fail(f"never held within {bound_s} s: {value!r}")
            time.sleep(every_s)
        return value

    return eventually


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> str:
    """`aws` in an environment of its own, since it pins its botocore."""
    home = tmp_path_factory.mktemp("awscli")
    subprocess.run([sys.executable, "-m", "venv", str(home / "venv")], check=True, timeout=120)
    pip = [str(home / "venv/bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    done = subprocess.run(
        [*pip, "--require-hashes", "-r", str(LOCK)], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        if os.environ.get("CI"):
            pytest.fail(f"the aws command line could not be installed: {done.stderr}")
        pytest.skip(f"the aws command line could not be installed: {done.stderr[-300:]}")
    return str(home / "venv/bin/aws")
