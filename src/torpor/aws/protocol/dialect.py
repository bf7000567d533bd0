"""What a wire protocol does for a service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torpor.aws.protocol.faults import COMMON_STATUS
from torpor.aws.protocol.model import Operation, ServiceModel, Shape
from torpor.core.http import HttpRequest, HttpResponse

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Match:
    """The operation a request is for, and what its path says."""

    operation: Operation
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Fault:
    """An error, ready for the wire. `members` are the shape's further members, such as `Reason`.

    `code` is the shape's name; the query protocol, and it alone, uses the code that the shape may have besides.
    """

    code: str
    message: str
    status: int
    sender: bool
    shape: Shape | None
    members: Mapping[str, Any]


class Dialect(Protocol):
    """One service on one wire protocol. Nothing here does input or output, or knows any operation."""

    model: ServiceModel

    def match(self, request: HttpRequest) -> Match:
        """Find the operation; raises UnknownOperation."""

    def parse(self, match: Match, request: HttpRequest) -> dict[str, Any]:
        """Read the parameters, unvalidated; raises SerializationFailed or InvalidRequestContent."""

    def answer(self, operation: Operation, result: Mapping[str, Any], request_id: str, extra: Headers) -> HttpResponse:
        """Serialize a result."""

    def refuse(self, fault: Fault, request_id: str) -> HttpResponse:
        """Serialize an error."""


def fault_for(model: ServiceModel, code: str, message: str, members: Mapping[str, Any]) -> Fault:
    """The service's own error of that name, or the common one, or its name with status 400."""
    shape = model.exceptions.get(code)
    if shape is not None:
        return Fault(code, message, shape.status, shape.sender, shape, members)
    status = COMMON_STATUS.get(code, 400)
    if code == "UnknownOperationException" and model.protocol.startswith("rest-"):
        status = 404  # an address that leads nowhere; elsewhere the address is right and the name is wrong
    return Fault(code, message, status, status < 500 or status == 501, None, members)
