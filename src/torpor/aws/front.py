"""The front of all AWS services: picks service and operation, authorizes, calls the handler, answers every error."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from torpor.aws.lambda_.quick import QuickInvoke
from torpor.aws.ports import Invoker
from torpor.aws.protocol.constraints import validate
from torpor.aws.protocol.dialect import Dialect, fault_for
from torpor.aws.protocol.dialects import dialect_for
from torpor.aws.protocol.faults import NotOffered, Unauthenticated
from torpor.aws.protocol.json_body import encode
from torpor.aws.protocol.model import Shape, load_model
from torpor.aws.service import Call, Params, Service
from torpor.aws.which import service_of
from torpor.core.errors import AccessDenied, PlatformFault, TorporError
from torpor.core.http import HttpRequest, HttpResponse
from torpor.core.identity import Kind, Principal

__all__ = ["AwsFront", "service_of"]

_log = structlog.get_logger(__name__)


class AwsFront:
    """Serves AWS requests. A service's model is read when it is first asked for, or by `prepare`."""

    def __init__(self, services: Sequence[Service], invoker: Invoker | None = None) -> None:
        self._services = {service.signing_name or service.name: service for service in services}
        self._doors: dict[str, _Door] = {}
        self._quick = QuickInvoke(invoker, self._refusal) if invoker is not None else None

    def prepare(self, *names: str) -> None:
        """Read the models of these services now, so that no request waits for it; `names` are those they sign with,
        none means all.
        """
        for name in names or self._services:
            self._door(name)

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer one request; never raises but for cancellation."""
        if not request.request_id:
            request = replace(request, request_id=str(uuid.uuid4()))
        name = service_of(request)
        if name not in self._services:
            return _not_a_service(name, sorted(self._services), request)
        return await self._door(name).serve(request)

    def begin(
        self, request: HttpRequest, principal: Principal, answer: Callable[[HttpResponse], None]
    ) -> Callable[[], None] | None:
        """Answer by callback what needs no model: Lambda's Invoke, where the composition root gave an `invoker`.

        Returns what to call when the client leaves; None for everything that has to be called.
        """
        return None if self._quick is None else self._quick.begin(request, principal, answer)

    def _refusal(self, error: Exception, request: HttpRequest) -> HttpResponse:
        return self._door("lambda").refusal(error, request, "Invoke")

    def _door(self, name: str) -> _Door:
        if name not in self._doors:
            service = self._services[name]
            self._doors[name] = _Door(service, dialect_for(load_model(service.name, service.handlers)))
        return self._doors[name]


class _Door:
    """One service with its dialect."""

    def __init__(self, service: Service, dialect: Dialect) -> None:
        self._service = service
        self._dialect = dialect

    async def serve(self, request: HttpRequest) -> HttpResponse:
        call = Call("", request.principal, request.request_id, request.header("x-amzn-trace-id"))
        try:
            return await self._serve(call, request)
        except Exception as error:
            return self._refused(error, call)

    def refusal(self, error: Exception, request: HttpRequest, operation: str) -> HttpResponse:
        """What an operation answers that failed so."""
        return self._refused(error, Call(operation, request.principal, request.request_id))

    def _refused(self, error: Exception, call: Call) -> HttpResponse:
        if isinstance(error, TorporError):
            if isinstance(error, PlatformFault):
                _log.warning("platform fault", action="aws.platform_fault", **self._about(call), error=error.message)
            return self._refuse(error.code, error.message, error, call)
        _log.error("unexpected error", action="aws.unexpected_error", **self._about(call), exc_info=error)
        return self._refuse("ServiceException", _unexpected(call), None, call)

    async def _serve(self, call: Call, request: HttpRequest) -> HttpResponse:
        if call.principal.kind is Kind.ANONYMOUS:
            raise Unauthenticated
        match = self._dialect.match(request)
        operation = match.operation
        call.operation = operation.name
        handler = self._service.handlers.get(operation.name)
        if handler is None:
            raise NotOffered(f"torpor does not offer {self._service.name}:{operation.name} yet.")
        params = self._dialect.parse(match, request)
        if operation.input is not None:
            validate(operation.input, params)
        self._authorize(call, params)
        result = await handler(call, params)
        return self._dialect.answer(operation, result, call.request_id, tuple(call.headers))

    def _authorize(self, call: Call, params: Params) -> None:
        if call.principal.kind is Kind.OWNER:
            return
        name = self._service.actions.get(call.operation, call.operation)
        action = f"{self._service.signing_name or self._service.name}:{name}"
        if self._service.permits(call.principal, action, params):
            return
        found = self._service.resource(params)
        for resource in (found,) if isinstance(found, str) else found or ("",):
            self._demand(call, action, resource)

    def _demand(self, call: Call, action: str, resource: str) -> None:
        if not call.principal.allows(action, resource):
            raise AccessDenied(
                f"User: {call.principal.arn} is not authorized to perform: {action} on resource: "
                f"{self._service.arn(resource)} because no identity-based policy allows the {action} action"
                + _remedy(call.principal, action, resource)
            )

    def _refuse(self, code: str, message: str, error: TorporError | None, call: Call) -> HttpResponse:
        model = self._dialect.model
        name = self._service.codes.get(code, code)
        shape = model.exceptions.get(name)
        members = _members_of(error, shape) if error is not None and shape is not None else {}
        return self._dialect.refuse(fault_for(model, name, message, members), call.request_id)

    def _about(self, call: Call) -> dict[str, str]:
        return {"service": self._service.name, "operation": call.operation, "request_id": call.request_id}


def _members_of(error: TorporError, shape: Shape) -> dict[str, Any]:
    """What the error carries of the shape's further members: `Throttled.reason` is `Reason`."""
    members = {}
    for name in shape.members:
        if name.lower() not in ("message", "type"):
            value = getattr(error, name.lower(), None)
            if value is not None:
                members[name] = value
    return members


def _remedy(principal: Principal, action: str, resource: str) -> str:
    wanted = f"{action}/{resource}" if resource else action
    if principal.kind is not Kind.FUNCTION:
        return f". A key that may is made with: torpor keys create NAME --allow {wanted}"
    return f". Add {wanted} to the permissions of the function {principal.function}, and it may."


def _unexpected(call: Call) -> str:
    return f"torpor failed in an unexpected way; its log has the details under request {call.request_id}."


def _not_a_service(name: str | None, known: Sequence[str], request: HttpRequest) -> HttpResponse:
    """The answer for a service that is not offered, in JSON, which every SDK can show."""
    asked = f"torpor does not offer the AWS service {name!r}" if name else "This is not a request for an AWS service"
    message = f"{asked}; offered are: {', '.join(known)}."
    plain: Mapping[str, str] = {"__type": NotOffered.code, "message": message}
    headers = (
        ("content-type", "application/json"),
        ("x-amzn-requestid", request.request_id),
        ("x-amzn-errortype", NotOffered.code),
    )
    return HttpResponse(status=501, headers=headers, body=encode(plain))
