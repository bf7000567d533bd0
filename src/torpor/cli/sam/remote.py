"""The server as stacks use it: our own interface, and AWS's through botocore, both with the command line's token."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from torpor.cli.client import Client
from torpor.cli.failures import Failed, Refused, Unreachable
from torpor.cli.sam.record import Stack

_GONE = {"ResourceNotFoundException", "NotFoundException", "NoSuchEntityException", "NoSuchEntity", "NotFound"}


class Gone(Exception):
    """What was asked for is not there."""


@dataclass(slots=True)
class Remote:
    """One server. `account` and `region` are its own."""

    client: Client
    account: str
    region: str
    url: str
    _clients: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, client: Client) -> Remote:
        """Ask a server who it is. Raises Unreachable and Refused."""
        status = client.call("GET", "/_torpor/status")
        return cls(client, status["account"], status["region"], status["url"])

    def aws(self, service: str) -> Any:
        """A client of one of AWS's interfaces. Use it within `calling`."""
        if service not in self._clients:
            self._clients[service] = self._connect(service)
        return self._clients[service]

    def function_arn(self, name: str) -> str:
        return f"arn:aws:lambda:{self.region}:{self.account}:function:{name}"

    def stack(self, name: str) -> Stack:
        """The stack of this name; an empty one where there is none. Raises Refused."""
        try:
            found = self.client.call("GET", _path(name))
        except Refused as error:
            if error.status == 404:
                return Stack(name=name)
            raise
        try:
            return Stack.from_json(name, found["revision"], found["document"])
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise Failed(f"the record of the stack {name} cannot be read: {error}", code="RecordUnreadable") from None

    def stacks(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.client.call("GET", "/_torpor/stacks")["stacks"]
        return found

    def keep(self, stack: Stack) -> None:
        """Store a stack. Raises Refused where somebody else changed it meanwhile."""
        import json

        body = json.dumps({"revision": stack.revision, "document": stack.document()}).encode()
        stack.revision = self.client.call("PUT", _path(stack.name), body=body)["revision"]

    def forget(self, stack: Stack) -> None:
        self.client.call("DELETE", _path(stack.name), query={"revision": stack.revision})

    def _connect(self, service: str) -> Any:
        from botocore import UNSIGNED
        from botocore.config import Config
        from botocore.session import Session

        config = Config(
            signature_version=UNSIGNED,
            retries={"total_max_attempts": 1},
            read_timeout=120,
            proxies={},
            parameter_validation=True,
        )
        made = Session().create_client(
            service, region_name=self.region, endpoint_url=self.client.server.url, config=config
        )
        made.meta.events.register("before-send", self._sign)
        return made

    def _sign(self, request: Any, **_more: Any) -> None:
        if self.client.server.token:
            request.headers["authorization"] = f"Bearer {self.client.server.token}"


@contextmanager
def calling() -> Iterator[None]:
    """What AWS's interfaces answer, as this command line tells it. Raises Gone, Refused and Unreachable."""
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, ParamValidationError

    try:
        yield
    except ClientError as error:
        about = error.response.get("Error", {})
        code, message = str(about.get("Code", "Unknown")), str(about.get("Message") or error)
        if code in _GONE:
            raise Gone(message) from None
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400))
        raise Refused(message, status=status, code=code) from None
    except ParamValidationError as error:
        raise Refused(str(error), status=400, code="ValidationException") from None
    except HTTPClientError as error:
        raise Unreachable(f"the connection to the server was lost: {error}") from None
    except BotoCoreError as error:
        raise Refused(str(error), status=400) from None


def _path(name: str) -> str:
    return f"/_torpor/stacks/{quote(name, safe='')}"
