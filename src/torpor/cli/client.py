"""HTTP to the server with the standard library: importing a richer client costs more than most commands take."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from torpor import __version__
from torpor.cli.failures import Refused, Unreachable
from torpor.cli.locate import Server

CONNECT_S = 10.0  # on one machine or in one network, an answer to a connection takes milliseconds
ANSWER_S = 960.0  # the longest invocation is 900 s


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said; header names are lower-case."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


class Client:
    """Requests to one server; each uses its own connection, since commands make few."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.answer_s: float = ANSWER_S  # how long an answer may take

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One exchange, whatever its status. Raises Unreachable."""
        connection = self._connect()
        try:
            response = self._exchange(connection, method, target(path, query), body, headers or {})
            return _answer(response, response.read())
        except (OSError, http.client.HTTPException) as error:
            raise self._lost(error) from error
        finally:
            connection.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """The JSON of a successful answer (None where it is empty). Raises Unreachable and Refused."""
        answer = self.request(method, path, query=query, body=body, headers=headers)
        self.check(answer)
        return self._decoded(answer) if answer.body else None

    def lines(self, path: str, *, query: Mapping[str, object] | None = None) -> Iterator[bytes]:
        """The lines of an answer as they arrive, endless where the server follows. Raises Unreachable and Refused."""
        connection = self._connect()
        try:
            response = self._exchange(connection, "GET", target(path, query), b"", {})
            if response.status >= 400:
                self.check(_answer(response, response.read()))
            if connection.sock is not None:
                connection.sock.settimeout(None)  # a quiet function's log may stay quiet for days
            while line := response.readline():
                if line.strip():
                    yield line
        except (OSError, http.client.HTTPException) as error:
            raise self._lost(error) from error
        finally:
            connection.close()

    def check(self, answer: Answer) -> None:
        """Raises Refused, with the server's own words, unless the answer is a success."""
        if answer.status >= 300:
            code, message = _error_of(answer)
            raise Refused(self._taught(answer.status, message), status=answer.status, code=code)

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.server.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=CONNECT_S)
        try:
            connection.connect()
        except OSError as error:
            raise self._silent(error) from error
        if connection.sock is not None:
            connection.sock.settimeout(self.answer_s)
        return connection

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes,
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        sent = {"user-agent": f"torpor/{__version__}", "accept": "application/json, */*", **headers}
        if self.server.token and "authorization" not in {name.lower() for name in headers}:
            sent["authorization"] = f"Bearer {self.server.token}"
        try:
            connection.request(method, urlsplit(self.server.url).path + path, body=body or None, headers=sent)
        except (BrokenPipeError, ConnectionResetError):
            # A server that refuses a large body answers before it has read it all: the answer is worth more.
            return connection.getresponse()
        return connection.getresponse()

    def _decoded(self, answer: Answer) -> Any:
        try:
            return json.loads(answer.body)
        except ValueError:
            raise Unreachable(
                f"what answers at {self.server.url} is not torpor: it sent no JSON (status {answer.status}). "
                "Check --url, TORPOR_URL or the proxy in between."
            ) from None

    def _silent(self, error: OSError) -> Unreachable:
        return Unreachable(
            f"no server answers at {self.server.url} ({_why(error)}): start one with `torpor up`, "
            "or say where it is with --url, --data or TORPOR_URL"
        )

    def _lost(self, error: Exception) -> Unreachable:
        return Unreachable(
            f"the connection to {self.server.url} was lost before the answer was complete ({_why(error)})"
        )

    def _taught(self, status: int, message: str) -> str:
        if status in {401, 403} and self.server.token is None:
            return (
                f"{message}\nNo token was sent: name the server's data folder with --data (its key is used then), "
                "or set TORPOR_TOKEN."
            )
        return message


def target(path: str, query: Mapping[str, object] | None = None) -> str:
    """A path with its query; parameters that are None are left out."""
    given = {name: value for name, value in (query or {}).items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def _answer(response: http.client.HTTPResponse, body: bytes) -> Answer:
    headers: dict[str, str] = {}
    for name, value in response.getheaders():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return Answer(response.status, response.reason, headers, body)


def _error_of(answer: Answer) -> tuple[str, str]:
    """Code and message of an error, in our own interface's shape or in AWS's."""
    code = answer.headers.get("x-amzn-errortype", "").partition(":")[0] or f"HTTP {answer.status}"
    try:
        plain = json.loads(answer.body)
    except ValueError:
        text = answer.body.decode(errors="replace").strip()
        return code, text[:500] or f"the server answered {answer.status} {answer.reason} without a word"
    if isinstance(plain, dict):
        inner = plain["error"] if isinstance(plain.get("error"), dict) else plain
        code = str(inner.get("code") or inner.get("__type") or code)
        message = inner.get("message") or inner.get("Message")
        if message:
            return code, str(message)
    return code, f"the server answered {answer.status} {answer.reason}: {answer.body[:500].decode(errors='replace')}"


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error) or type(error).__name__
