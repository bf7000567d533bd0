"""JSON 1.0 and 1.1: the operation is named by the header X-Amz-Target, everything else is one JSON object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torpor.aws.protocol import event_stream, json_body
from torpor.aws.protocol.dialect import Fault, Headers, Match
from torpor.aws.protocol.faults import SerializationFailed, UnknownOperation
from torpor.aws.protocol.model import Operation, ServiceModel
from torpor.core.errors import InvalidRequestContent
from torpor.core.http import HttpRequest, HttpResponse


class JsonRpc:
    """JSON over POST for one service."""

    def __init__(self, model: ServiceModel) -> None:
        self.model = model
        self._content_type = ("content-type", f"application/x-amz-json-{model.json_version}")

    def match(self, request: HttpRequest) -> Match:
        prefix, _, name = request.header("x-amz-target").rpartition(".")
        operation = self.model.operations.get(name)
        if operation is None or prefix != self.model.target_prefix:
            raise UnknownOperation(f"{self.model.title} has no operation {name[:128]!r}")
        return Match(operation, {})

    def parse(self, match: Match, request: HttpRequest) -> dict[str, Any]:
        if match.operation.input is None or not request.body:
            return {}
        try:
            plain = json_body.decode(request.body)
        except InvalidRequestContent as error:
            raise SerializationFailed(error.message) from None
        return json_body.read_members(match.operation.input, plain)

    def answer(self, operation: Operation, result: Mapping[str, Any], request_id: str, extra: Headers) -> HttpResponse:
        headers: Headers = (self._content_type, ("x-amzn-requestid", request_id), *extra)
        events = (
            next((one for one in operation.output.members.values() if one.shape.event_stream), None)
            if (operation.output)
            else None
        )
        if events is not None:
            stream = event_stream.after_initial_response(events.shape, result[events.name])
            return HttpResponse(status=200, headers=(("content-type", event_stream.TYPE), *headers[1:]), stream=stream)
        # An operation without output answers with no body; one with an empty output, with {}.
        body = b"" if operation.output is None else json_body.encode(json_body.write_members(operation.output, result))
        return HttpResponse(status=operation.status, headers=headers, body=body)

    def refuse(self, fault: Fault, request_id: str) -> HttpResponse:
        members = fault.shape.members if fault.shape else {}
        plain: dict[str, Any] = {"__type": fault.code}
        plain["Message" if "Message" in members else "message"] = fault.message
        if fault.shape is not None:
            plain |= json_body.write_members(fault.shape, fault.members)
        headers = [self._content_type, ("x-amzn-requestid", request_id), ("x-amzn-errortype", fault.code)]
        if self.model.query_compatible:
            code = fault.shape.code if fault.shape else fault.code
            headers.append(("x-amzn-query-error", f"{code};{'Sender' if fault.sender else 'Receiver'}"))
        status = 400 if fault.status == 403 else fault.status  # as AWS: the type says it, and not the status
        return HttpResponse(status=status, headers=tuple(headers), body=json_body.encode(plain))
