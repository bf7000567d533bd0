"""One call of each kind, and whether what came back is what may come back."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import random
import re
import secrets
import socket
from collections import Counter
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.config
from botocore.exceptions import ClientError

WAIT_S = 200  # beyond every time-out of functions and queues: who waits so long waits for ever
# On a very busy machine its channel may have been closed for a second before the kernel tells of its end.
_ENDS = r"(signal: killed|it hung up on torpor's control channel)"
KILLED = ("exit", "Runtime.ExitError", rf"RequestId: \S+ Error: Runtime exited with error: {_ENDS}$")
RESULTS = {
    "raise": ("error", "LookupError", r"^{token}$"),
    "leave": ("exit", "Runtime.ExitError", r"Runtime exited with error: exit status 3"),
    "overrun": ("timeout", "Sandbox.Timedout", r"Task timed out after 1\.00 seconds"),
    "hoard": ("out-of-memory", "Runtime.OutOfMemory", r"Runtime exited with error: signal: killed"),
}
IRIS = {(5.1, 3.5, 1.4, 0.2): 0, (6.4, 3.2, 4.5, 1.5): 1, (6.3, 3.3, 6.0, 2.5): 2}


@dataclass
class Record:
    """What all callers saw, for one report. Safe from any thread."""

    outcomes: Counter[str] = field(default_factory=Counter)
    requests: dict[str, tuple[str, str]] = field(default_factory=dict)  # request id → function, result
    left: Counter[str] = field(default_factory=Counter)  # by function: clients that did not wait for the answer
    wrong: list[str] = field(default_factory=list)
    starts: Counter[str] = field(default_factory=Counter)
    lock: Lock = field(default_factory=Lock)

    def answered(self, function: str, result: str, request: str, start: str) -> None:
        with self.lock:
            if request in self.requests:
                self.wrong.append(f"{function}: the request id {request} came twice")
            self.requests[request] = (function, result)
            self.outcomes[f"{function.partition('-')[0]} {result}"] += 1
            self.starts[start] += 1

    def refused(self, function: str, why: str) -> None:
        with self.lock:
            self.outcomes[f"{function} {why}"] += 1

    def complain(self, function: str, what: object) -> None:
        with self.lock:
            self.wrong.append(f"{function}: {str(what)[:600]}")


class Caller:
    """Calls functions, one at a time. `keys` are the server's."""

    def __init__(self, url: str, keys: dict[str, str], record: Record, chance: random.Random) -> None:
        self._host, self._port = urlsplit(url).hostname or "", urlsplit(url).port or 80
        self._record = record
        self._chance = chance
        self.client = boto3.client(
            "lambda",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id=keys["access_key_id"],
            aws_secret_access_key=keys["secret_access_key"],
            config=botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=WAIT_S),
        )

    def call(self, function: str) -> None:
        """Call it with an event of its kind, and record what came of it; whatever should not be is complained of."""
        token = secrets.token_hex(8)
        try:
            if function == "page":
                self._page(token)
            else:
                self._invoke(function, token)
        except Exception as error:
            self._record.complain(function, repr(error))

    def _value(self, function: str) -> Any:
        chance = self._chance
        return {
            "burn": lambda: chance.randrange(200_000),
            "sleep": lambda: chance.random() ** 3 * 2,
            "print": lambda: chance.randrange(300),
            "large": lambda: secrets.token_hex(chance.choice([10, 100_000, 2_900_000])),
            "predict": lambda: chance.choice(list(IRIS)),
        }.get(function, chance.random)()

    def _right(self, function: str, value: Any) -> Any:
        return {
            "echo": lambda: value,
            "burn": lambda: sum(n * n for n in range(value)),
            "large": lambda: value[::-1],
            "predict": lambda: IRIS[value],
        }.get(function, lambda: None)()

    def _invoke(self, function: str, token: str) -> None:
        value = self._value(function)
        event = json.dumps({"token": token, "value": value}).encode()
        try:
            answer = self.client.invoke(FunctionName=function, Payload=event, LogType="Tail")
        except ClientError as error:
            self._refused(function, error.response)
            return
        got = json.loads(answer["Payload"].read())
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        result = self.judge(function, token, answer.get("FunctionError"), got, self._right(function, value))
        if function == "print" and result == "ok":
            self._read_log(token, base64.b64decode(answer["LogResult"]).decode())
        self._record.answered(function, result, headers["x-amzn-requestid"], headers["x-torpor-start"])

    def judge(self, function: str, token: str, failed: str | None, got: Any, right: Any) -> str:
        """The ledger's word for it; complains of what may not be."""
        if failed is None:
            if function in RESULTS or got != {"function": function, "token": token, "value": right}:
                self._record.complain(function, f"a wrong answer to {token}: {got}")
            return "ok"
        for result, kind, text in filter(None, (RESULTS.get(function), KILLED)):
            if got["errorType"] == kind and re.search(text.replace("{token}", token), got["errorMessage"]):
                return result
        self._record.complain(function, f"an error that may not be: {got}")
        return "unknown"

    def _read_log(self, token: str, text: str) -> None:
        """Every whole line that is not the platform's is this invocation's own."""
        lines = [line for line in text.splitlines()[1:] if line and not re.match(r"START|END|REPORT", line)]
        if foreign := [line for line in lines if not line.startswith(token)]:
            self._record.complain("print", f"lines in the log that are not its own: {foreign[:3]}")

    def _refused(self, function: str, response: dict[str, Any]) -> None:
        reason = response.get("Reason", "")
        if function == "narrow" and reason == "ReservedFunctionConcurrentInvocationLimitExceeded":
            self._record.refused(function, "throttled")
        else:
            self._record.complain(function, f"refused: {response['Error']} {reason}")

    def _page(self, token: str) -> None:
        """Over HTTP, with a body; now and then without waiting for the answer."""
        leaves = self._chance.random() < 0.3
        body = secrets.token_hex(self._chance.choice([0, 50, 100_000]))
        wait = self._chance.random() * (0.5 if leaves else 0.1)
        connection = http.client.HTTPConnection(self._host, self._port, timeout=WAIT_S)
        try:
            connection.request("POST", f"/fn/page/{wait:.3f}?token={token}", body, {"content-type": "text/plain"})
            if leaves:
                self._leave(connection)
                return
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        request, start = answer.getheader("x-amzn-requestid", ""), answer.getheader("x-torpor-start", "none")
        if answer.status == 201 and (answer.getheader("x-token"), text) == (token, body):
            self._record.answered("page", "ok", request, start)
        elif answer.status == 502 and start != "none":
            self._record.answered("page", "exit", request, start)
        else:
            self._record.complain("page", f"{answer.status} {answer.getheaders()} {text[:200]}")

    def _leave(self, connection: http.client.HTTPConnection) -> None:
        assert isinstance(connection.sock, socket.socket)
        connection.sock.settimeout(self._chance.random() * 0.2)
        with contextlib.suppress(TimeoutError):
            connection.sock.recv(1)
        with self._record.lock:
            self._record.left["page"] += 1
