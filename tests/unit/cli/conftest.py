"""A server of `/_torpor/…` in memory, and the command line called in this process."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from torpor.cli.context import ClientOptions, UpFlags
from torpor.cli.main import run

TOKEN = "torpor-token"
KEY = {"access_key_id": "TORPORKEY", "secret_access_key": "s3cret/+ with space", "token": TOKEN}


@dataclass(frozen=True)
class Call:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """What the fake answers."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any, status: int = 200) -> Reply:
        return cls(status, json.dumps(value).encode(), {"content-type": "application/json"})

    @classmethod
    def error(cls, status: int, code: str, message: str) -> Reply:
        return cls.of({"error": {"code": code, "message": message}}, status)


MEASURED = {
    "x-amzn-requestid": "11111111-2222-3333-4444-555555555555",
    "x-amz-executed-version": "$LATEST",
    "x-torpor-start": "spawn",
    "x-torpor-init-ms": "80.25",
    "x-torpor-duration-ms": "1.5",
    "x-torpor-billed-ms": "82",
    "x-torpor-max-memory-mb": "40",
    "x-torpor-cpu-ms": "33.0",
}


@dataclass
class FakeServer:
    """Functions in a dictionary; `replies` overrides what a method and path answer, in order, the last for ever."""

    functions: dict[str, dict[str, Any]] = field(default_factory=dict)
    archives: dict[str, bytes] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    replies: dict[tuple[str, str], list[Reply]] = field(default_factory=dict)
    auth: str = "on"
    polls_until_built: int = 1
    built: dict[str, Any] = field(default_factory=lambda: {"state": "Active", "update_status": "Successful"})
    page: int = 1000
    url: str = ""

    def reply(self, method: str, path: str, *replies: Reply) -> None:
        self.replies[method, path] = list(replies)

    def called(self, method: str) -> list[Call]:
        return [call for call in self.calls if call.method == method]

    def add(self, name: str, **more: Any) -> dict[str, Any]:
        self.functions[name] = {
            "name": name, "arn": f"arn:aws:lambda:us-east-1:000000000000:function:{name}", "state": "Active",
            "state_reason": "", "state_reason_code": "", "update_status": "Successful", "update_reason": "",
            "runtime": "python3.11", "handler": "app.lambda_handler", "memory_mb": 1024, "timeout_s": 60,
            "code_sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", "code_size": 2048, "environment": "abc",
            "revision_id": "r1", "modified": "2026-01-31T12:00:00+00:00", "url": None, "url_auth": None,
            "invoke_url": f"{self.url}/fn/{name}/", "instances": {"idle": 1, "busy": 0}, "reach": [], "permissions": [],
            "variables": [],
        } | more  # fmt: skip
        return self.functions[name]

    def answer(self, call: Call) -> Reply:
        self.calls.append(call)
        given = self.replies.get((call.method, call.path))
        if given:
            return given.pop(0) if len(given) > 1 else given[0]
        if self.auth == "on" and call.headers.get("authorization") != f"Bearer {TOKEN}":
            return Reply.error(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        parts = unquote(call.path).strip("/").split("/")
        if parts[0] == "_torpor":
            return self._own(call, parts[1], parts[2] if len(parts) > 2 else "")
        name = parts[2] if parts[0] == "2015-03-31" else parts[1]
        if name not in self.functions:
            return Reply.error(404, "ResourceNotFoundException", f"Function not found: {name}")
        return Reply(200, call.body, dict(MEASURED))

    def _own(self, call: Call, what: str, name: str) -> Reply:
        if what == "status":
            return Reply.of({"auth": self.auth, "region": "us-east-1", "url": self.url})
        if what == "functions" and not name:
            return self._list(call)
        if what == "functions" and call.method == "PUT":
            return self._put(call, name)
        if name not in self.functions:
            return Reply.error(404, "ResourceNotFoundException", f"Function not found: {name}")
        if call.method == "DELETE":
            del self.functions[name]
            return Reply(204)
        if "wait_s" in call.query:
            self.polls_until_built -= 1
            if self.polls_until_built <= 0:
                self.functions[name].update(self.built)
        return Reply.of(self.functions[name])

    def _list(self, call: Call) -> Reply:
        names = [name for name in sorted(self.functions) if name > call.query.get("after", "")]
        shown = names[: self.page]
        more = shown[-1] if len(names) > len(shown) else None
        return Reply.of({"functions": [self.functions[name] for name in shown], "next": more})

    def _put(self, call: Call, name: str) -> Reply:
        new = name not in self.functions
        config = json.loads(base64.b64decode(call.headers["x-torpor-config"]))
        public = config.pop("public", None)
        self.archives[name] = call.body
        states = {"state": "Pending", "update_status": "InProgress"} if new else {"update_status": "InProgress"}
        function = self.add(name, **{**config, **states, "variables": sorted(config["variables"])})
        if public:
            function |= {"url": function["invoke_url"], "url_auth": "NONE"}
        return Reply.of(function, 201 if new else 200)


def _handler(fake: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = fake.answer(Call(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body))
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.status != 204:
                self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = handle_any  # noqa: N815 - names that http.server wants

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    return Handler


@pytest.fixture
def fake() -> Iterator[FakeServer]:
    """A server with authentication on, listening on a free port."""
    server = FakeServer()
    listener = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    listener.daemon_threads = True
    server.url = f"http://127.0.0.1:{listener.server_address[1]}"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True)
    thread.start()
    yield server
    listener.shutdown()
    listener.server_close()
    thread.join(5)


@dataclass(frozen=True)
class Ran:
    """How a command line ended."""

    code: int
    out: str
    err: str
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def data_dir(fake: FakeServer, tmp_path: Path) -> Path:
    """A data folder whose record names the fake server."""
    folder = tmp_path / "torpor-data"
    folder.mkdir()
    (folder / "server.json").write_text(json.dumps({"url": fake.url, "pid": 1, "version": "0"}))
    (folder / "key.json").write_text(json.dumps(KEY))
    return folder


@pytest.fixture
def torpor(data_dir: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> Callable[..., Ran]:
    """Calls the command line, by default with the fake server's data folder."""

    def call(*argv: str, **more: Any) -> Ran:
        capsysbinary.readouterr()
        options = more.pop("options", None) or ClientOptions(url=None, token=None, data_dir=data_dir)
        more.setdefault("up", _no_up)
        more.setdefault("doctor", list)
        more.setdefault("bench", list)
        code = run([str(word) for word in argv], options=options, **more)
        captured = capsysbinary.readouterr()
        return Ran(code, captured.out.decode(errors="replace"), captured.err.decode(), captured.out)

    return call


def _no_up(flags: UpFlags) -> int:
    raise AssertionError(f"no server was to be started: {flags}")


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    """Writes a folder `hello` with the files given by name (`__` is a dot) and returns it."""

    def write(**files: str) -> Path:
        folder = tmp_path / "hello"
        folder.mkdir(exist_ok=True)
        for name, text in files.items():
            (folder / name.replace("__", ".")).write_text(text)
        return folder

    return write


@pytest.fixture
def echo_folder(project: Callable[..., Path]) -> Path:
    """A folder with the least there can be."""
    return project(app__py="def lambda_handler(event, context):\n    return event\n")
