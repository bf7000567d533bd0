"""The query protocol: a form names the operation as `Action`, and the answer is XML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torpor.aws.protocol import form_body, xml_body
from torpor.aws.protocol.dialect import Fault, Headers, Match
from torpor.aws.protocol.faults import UnknownOperation
from torpor.aws.protocol.model import Operation, ServiceModel
from torpor.core.http import HttpRequest, HttpResponse

_XML = ("content-type", "text/xml")

# What the query protocol calls the errors that the JSON protocols name `…Exception`.
_CODES = {
    "AccessDeniedException": "AccessDenied",
    "MissingAuthenticationTokenException": "MissingAuthenticationToken",
    "NotImplementedException": "NotImplemented",
    "SerializationException": "MalformedInput",
    "ServiceException": "InternalFailure",
    "TooManyRequestsException": "Throttling",
    "UnknownOperationException": "InvalidAction",
    "ValidationException": "ValidationError",
}


class Query:
    """The query protocol for one service."""

    def __init__(self, model: ServiceModel) -> None:
        self.model = model

    def match(self, request: HttpRequest) -> Match:
        name = _fields(request).get("Action", "")
        operation = self.model.operations.get(name)
        if operation is None:
            version = self.model.api_version
            raise UnknownOperation(f"Could not find operation {name[:128]} for version {version}")
        return Match(operation, {})

    def parse(self, match: Match, request: HttpRequest) -> dict[str, Any]:
        if match.operation.input is None:
            return {}
        return form_body.read_members(match.operation.input, _fields(request))

    def answer(self, operation: Operation, result: Mapping[str, Any], request_id: str, extra: Headers) -> HttpResponse:
        inner = xml_body.element("ResponseMetadata", xml_body.element("RequestId", xml_body.text(request_id)))
        if operation.output is not None:
            members = xml_body.write_members(operation.output, result)
            inner = (xml_body.element(operation.wrapper, members) if operation.wrapper else members) + inner
        body = xml_body.element(f"{operation.name}Response", inner, self.model.namespace)
        headers: Headers = (_XML, ("x-amzn-requestid", request_id), *extra)
        return HttpResponse(status=operation.status, headers=headers, body=body.encode())

    def refuse(self, fault: Fault, request_id: str) -> HttpResponse:
        code = fault.shape.code if fault.shape else _CODES.get(fault.code, fault.code)
        error = xml_body.element(
            "Error",
            xml_body.element("Type", "Sender" if fault.sender else "Receiver")
            + xml_body.element("Code", xml_body.text(code))
            + xml_body.element("Message", xml_body.text(fault.message))
            + (xml_body.write_members(fault.shape, fault.members) if fault.shape else ""),
        )
        inner = error + xml_body.element("RequestId", xml_body.text(request_id))
        body = xml_body.element("ErrorResponse", inner, self.model.namespace)
        headers: Headers = (_XML, ("x-amzn-requestid", request_id))
        return HttpResponse(status=fault.status, headers=headers, body=body.encode())


def _fields(request: HttpRequest) -> dict[str, str]:
    # Presigned requests, GetCallerIdentity above all, carry the form in the query string.
    return form_body.decode(request.body or request.query.encode())
