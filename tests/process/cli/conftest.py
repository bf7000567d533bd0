"""The command line in a process of its own, against a few canned answers."""

from __future__ import annotations

import json
import os
import signal
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ENTRY = """
import sys
from pathlib import Path
from torpor.cli.context import ClientOptions
from torpor.cli.main import run
options = ClientOptions(url=None, token=None, data_dir=Path(sys.argv.pop(1)))
sys.exit(run(None, options=options, up=lambda flags: 0, doctor=list, bench=list))
"""
LINE = json.dumps({"at_ms": 1_700_000_000_000, "stream": "s", "request_id": "r", "line": "hello"}).encode() + b"\n"
FUNCTIONS = [{"name": f"function-{n:05}", "state": "Active", "instances": {}} for n in range(20_000)]


class _Canned(socketserver.StreamRequestHandler):
    """Answers one request; a followed log stays open until the reader goes."""

    def handle(self) -> None:
        request = self.rfile.readline().decode()
        while self.rfile.readline().strip():
            pass
        if "/logs/" in request:
            self.wfile.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/x-ndjson\r\nconnection: close\r\n\r\n" + LINE
            )
            if "follow=1" in request:
                self.rfile.read()  # until the reader hangs up
            return
        body = (
            {"functions": FUNCTIONS, "next": None}
            if "/functions?" in request
            else {"region": "eu-test-1", "auth": "on"}
        )
        text = json.dumps(body).encode()
        self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(text), text))


@pytest.fixture
def canned_url() -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Canned) as server:
        server.daemon_threads = True
        server.block_on_close = False
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join(5)


@pytest.fixture
def data_dir(canned_url: str, tmp_path: Path) -> Path:
    (tmp_path / "server.json").write_text(json.dumps({"url": canned_url}))
    key = {"access_key_id": "ID", "secret_access_key": "SECRET", "token": "TOKEN"}
    (tmp_path / "key.json").write_text(json.dumps(key))
    return tmp_path


@pytest.fixture
def start(data_dir: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts the command line; what still runs at the end is killed."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(*argv: str, **more: Any) -> subprocess.Popen[bytes]:
        # Unbuffered, Python overlooks a pipe that is closed in the middle of a write.
        more.setdefault("env", {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"})
        more = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL} | more
        process = subprocess.Popen([sys.executable, "-c", ENTRY, str(data_dir), *argv], **more)
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def on_terminal(start: Callable[..., subprocess.Popen[bytes]]) -> Callable[..., tuple[int, str]]:
    """Runs the command line on a terminal of its own; exit code and what the terminal got."""

    def call(*argv: str) -> tuple[int, str]:
        ours, theirs = os.openpty()
        process = start(*argv, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm"})
        os.close(theirs)
        seen = b""
        while True:
            try:
                chunk = os.read(ours, 65536)
            except OSError:  # Linux says EIO when the last writer has gone
                break
            if not chunk:
                break
            seen += chunk
        os.close(ours)
        return process.wait(30), seen.decode()

    return call
