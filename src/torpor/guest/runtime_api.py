"""Lambda's Runtime API on the instance's own loopback, for the bootstrap of a custom runtime.

Source: AWS, "Using the Lambda runtime API for custom runtimes". One thread for each connection; bodies are bounded.
"""

# ruff: noqa: TID252  # relative, since inside a sandbox this package is `_torpor_guest`

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable  # Callable not from collections.abc: that alias fails on 3.9.0 and 3.9.1

from ..wire.frames import Kind
from ..wire.streams import MAX_TYPE
from . import request_body
from .channel import ChannelLost
from .desk import Desk, Work
from .flows import Abandoned
from .request_body import BadBody, Body, TooLarge

_ACCEPTING_S = 0.002
_VERSION = "2018-06-01"
_MAX_ERROR = 128 * 1024
_MODE_HEADER = "Lambda-Runtime-Function-Response-Mode"
_BYTES = "application/octet-stream"
_KIND_HEADER = "Lambda-Runtime-Function-Error-Type"


class Api:
    """Serves in the background at `address`, HOST:PORT."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._server = _open(desk)
        self.address = f"127.0.0.1:{self._server.server_port}"

    def settle(self, within_s: float) -> None:
        """The bootstrap has ended: let what it had sent before be passed on, in a bounded time."""
        until = time.monotonic() + within_s
        while select.select([self._server], [], [], 0)[0] and time.monotonic() < until:
            time.sleep(_ACCEPTING_S)
        time.sleep(_ACCEPTING_S)  # between being accepted and being counted
        self._desk.settle(max(0.0, until - time.monotonic()))


class _Server(ThreadingHTTPServer):
    """Counts its connections."""

    desk: Desk

    def process_request(self, request: Any, client_address: Any) -> None:
        self.desk.connected(+1)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.desk.connected(-1)


def _open(desk: Desk) -> _Server:

    class Handler(_Handler):
        pass

    Handler.desk = desk
    server = _Server(("127.0.0.1", 0), Handler)
    server.desk = desk
    threading.Thread(target=server.serve_forever, name="runtime-api", daemon=True).start()
    return server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    desk: Desk

    def do_GET(self) -> None:
        parts = self._parts()
        if parts == ["runtime", "invocation", "next"]:
            self._next()
        elif parts == ["runtime", "restore", "next"]:
            self._refuse(403, "InvalidStateTransition", "This function is not restored from a snapshot.")
        else:
            self._nothing()

    def do_POST(self) -> None:
        parts = self._parts()
        try:
            if parts[:2] == ["runtime", "invocation"] and len(parts) == 4 and parts[3] in ("response", "error"):
                self._answer(parts[2], self._respond if parts[3] == "response" else self._fail)
            elif parts == ["runtime", "init", "error"]:
                self._fail_init()
            else:
                self._nothing()
        except BadBody as error:
            self.close_connection = True
            self._refuse(400, "InvalidRequest", str(error))

    def log_message(self, *_: Any) -> None:
        """Standard error is the function's log."""

    def handle(self) -> None:
        try:
            super().handle()
        except (OSError, ChannelLost):  # one end or the other is gone, and its end is noticed elsewhere
            self.close_connection = True

    def _parts(self) -> list[str]:
        parts = self.path.partition("?")[0].strip("/").split("/")
        return parts[1:] if parts[0] == _VERSION else []

    def _next(self) -> None:
        work = self.desk.next()
        try:
            if self._is_gone():
                raise BrokenPipeError
            self._reply(200, work.payload, _headers(work))
        except OSError:
            self.desk.give_back(work)
            raise

    def _is_gone(self) -> bool:
        """Whether the bootstrap hung up while it waited, as a client with a time-out of its own does."""
        connection: socket.socket = self.connection
        return bool(select.select([connection], [], [], 0)[0]) and not connection.recv(1, socket.MSG_PEEK)

    def _answer(self, request_id: str, then: Callable[[Work], None]) -> None:
        work = self.desk.begin_answer(request_id)
        if work is None:
            self._skip_body()
            self._refuse(400, "InvalidRequestID", f"There is no open invocation {request_id[:64]}.")
            return
        try:
            then(work)
        except BadBody as error:
            body = {"errorType": "Runtime.TruncatedResponse", "errorMessage": str(error)}
            self.desk.answer(work, Kind.ERROR, json.dumps(body).encode())
            raise
        except OSError:
            body = {"errorType": "Runtime.TruncatedResponse", "errorMessage": "The runtime hung up within its response"}
            self.desk.answer(work, Kind.ERROR, json.dumps(body).encode())
            raise

    def _respond(self, work: Work) -> None:
        body = request_body.of(self.headers, self.rfile)
        if work.streamed and self.headers.get(_MODE_HEADER, "").lower() == "streaming":
            self._stream(work, body)
        else:
            self._respond_whole(work, body)

    def _stream(self, work: Work, body: Body) -> None:
        """Pass pieces on as they come. Not reading on is what makes the runtime wait, and hanging up what stops it."""
        with self.desk.flow(work) as flow:
            try:
                flow.begin(self.headers.get("Content-Type", _BYTES)[:MAX_TYPE])
                for piece in body.pieces():
                    flow.send(piece)
            except Abandoned:
                self.close_connection = True
                self.desk.answer(work, Kind.RESULT, b"")
                return
        failure = body.failure()
        self.desk.answer(work, Kind.RESULT if failure is None else Kind.ERROR, failure or b"")
        self._accepted()

    def _respond_whole(self, work: Work, body: Body) -> None:
        try:
            payload = body.read(self.desk.max_response)
        except TooLarge as error:
            self.desk.answer(work, Kind.TOO_LARGE, b"%d" % error.size)
            self._refuse(413, "RequestEntityTooLarge", f"A response is at most {self.desk.max_response} bytes.")
            return
        failure = body.failure()
        self.desk.answer(work, Kind.RESULT if failure is None else Kind.ERROR, payload if failure is None else failure)
        self._accepted()

    def _fail(self, work: Work) -> None:
        self.desk.answer(work, Kind.ERROR, self._error_object())
        self._accepted()

    def _fail_init(self) -> None:
        told = self._error_object()
        if self.desk.fail_init(told):
            self._accepted()
        else:
            self._refuse(
                403, "InvalidStateTransition", "Initialisation was over: the runtime has asked for its next invocation."
            )

    def _error_object(self) -> bytes:
        """The body where it is an object, as Lambda passes it on; else one that says as much as is known."""
        try:
            text = request_body.of(self.headers, self.rfile).read(_MAX_ERROR)
        except TooLarge:
            text = b""
        try:
            if isinstance(json.loads(text), dict):
                return text
        except (ValueError, RecursionError):
            pass
        kind = self.headers.get(_KIND_HEADER, "Runtime.Unknown")
        return json.dumps({"errorType": kind, "errorMessage": text.decode(errors="replace")}).encode()

    def _accepted(self) -> None:
        self._reply(202, b'{"status":"OK"}')

    def _skip_body(self) -> None:
        with contextlib.suppress(TooLarge):
            request_body.of(self.headers, self.rfile).read(0)

    def _nothing(self) -> None:
        self._skip_body()
        self._refuse(404, "NotFound", f"The Runtime API has nothing at {self.command} {self.path[:200]}.")

    def _refuse(self, status: int, kind: str, message: str) -> None:
        self._reply(status, json.dumps({"errorType": kind, "errorMessage": message}).encode())

    def _reply(self, status: int, body: bytes, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """In one piece: header and body apart would wake the bootstrap twice."""
        lines = [f"HTTP/1.1 {status} {self.responses[status][0]}", "Content-Type: application/json"]
        lines += [f"{name}: {_one_line(value)}" for name, value in headers]
        lines.append(f"Content-Length: {len(body)}")
        if self.close_connection:
            lines.append("Connection: close")
        self.wfile.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def _headers(work: Work) -> tuple[tuple[str, str], ...]:
    call = work.call
    headers = [
        ("Lambda-Runtime-Aws-Request-Id", call.request_id),
        ("Lambda-Runtime-Deadline-Ms", str(work.deadline_ms)),
        ("Lambda-Runtime-Invoked-Function-Arn", call.function_arn),
    ]
    if call.trace_id:
        headers.append(("Lambda-Runtime-Trace-Id", call.trace_id))
    if call.client_context:
        headers.append(("Lambda-Runtime-Client-Context", call.client_context))
    return tuple(headers)


def _one_line(value: str) -> str:
    """JSON may hold line breaks between its values, and a header may not."""
    return " ".join(value.splitlines())
