"""Sends generated requests to a running server, and finds out which operations it has built."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from torpor.testing.aws_answers import Answer
from torpor.testing.aws_requests import Generated, model_of, operations_of, written

SERVICES = ("lambda", "iam", "sts", "apigatewayv2", "secretsmanager", "ssm", "logs")
_ANSWERED_WITHIN_S = 60  # a bound for a machine that does much else besides, and not a target
_ENDLESS = "application/vnd.amazon.eventstream"  # a live tail ends with its client


@dataclass(frozen=True, slots=True)
class Wire:
    """One connection, and the key that requests are signed with."""

    connection: http.client.HTTPConnection
    host: str
    key_id: str
    secret: str

    @classmethod
    def to(cls, url: str, keys: Mapping[str, str]) -> Wire:
        """To the server at `url`; `keys` is what its `key.json` holds."""
        host = urlsplit(url).netloc
        connection = http.client.HTTPConnection(host, timeout=_ANSWERED_WITHIN_S)
        return cls(connection, host, keys["access_key_id"], keys["secret_access_key"])

    def send(self, request: Generated) -> Answer:
        """Sign and send; of a stream of events, which may have no end, the head alone is read."""
        connection = self.connection
        connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        for name, value in request.signed(self.key_id, self.secret, self.host).items():
            connection.putheader(name, value.encode())
        connection.putheader("content-length", str(len(request.body)))
        connection.endheaders(request.body)
        with connection.getresponse() as response:
            headers = {name.lower(): value for name, value in response.getheaders()}
            endless = headers.get("content-type") == _ENDLESS
            body = b"" if endless else response.read()
        if endless:
            connection.close()
        return Answer(response.status, headers, body)

    def offered(self, service: str) -> list[str]:
        """The operations that are built: asked without parameters, they answer otherwise than with 501."""
        return [operation for operation in operations_of(service) if self.send(_bare(service, operation)).status != 501]

    def close(self) -> None:
        self.connection.close()


def _bare(service: str, operation: str) -> Generated:
    shape = model_of(service).operation_model(operation).input_shape
    members = shape.members.items() if shape else ()
    path = {name: "none" for name, member in members if member.serialization.get("location") == "uri"}
    return written(service, operation, path)
