"""Invoke, the hot path: the payload's bytes pass through untouched."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from torpor.aws.lambda_.names import function_ref
from torpor.aws.lambda_.streams import ResponseEvents
from torpor.aws.lambda_.unsupported import refuse_unsupported
from torpor.aws.ports import Invoker
from torpor.aws.service import Call, Params, Result
from torpor.core.arn import Home
from torpor.core.errors import InvalidRequestContent, InvalidValue
from torpor.core.invocation import Outcome

_LONGEST_CONTEXT = 3583  # bytes of base64, Lambda's limit


@dataclass(frozen=True, slots=True)
class InvokeOperations:
    """Handlers by operation."""

    invoker: Invoker
    home: Home

    def handlers(self) -> Mapping[str, Any]:
        return {"Invoke": self.invoke, "InvokeWithResponseStream": self.invoke_with_response_stream}

    async def invoke(self, call: Call, params: Params) -> Result:
        ref = function_ref(params, self.home)
        kind = params.get("InvocationType")
        if kind == "DryRun":
            self.invoker.check(ref, call.principal)
            return {"StatusCode": 204}
        if kind == "Event":
            raise InvalidValue(
                "InvocationType Event is not supported yet: torpor has no durable queue for events so far. "
                "Invoke with RequestResponse, or validate with DryRun."
            )
        refuse_unsupported(params)
        context = params.get("ClientContext")
        outcome = await self.invoker.invoke(
            ref,
            params["Payload"] or b"{}",  # no payload at all is an empty event
            principal=call.principal,
            request_id=call.request_id,
            client_context=_client_context(context) if context else None,
            want_log=params.get("LogType") == "Tail",
            trace_id=call.trace_id,
        )
        call.headers.extend(invocation_headers(outcome))
        return _answer(outcome, want_log=params.get("LogType") == "Tail")

    async def invoke_with_response_stream(self, call: Call, params: Params) -> Result:
        ref = function_ref(params, self.home)
        if params.get("InvocationType") == "DryRun":
            self.invoker.check(ref, call.principal)
            return {"StatusCode": 204}
        refuse_unsupported(params)
        context, want_log = params.get("ClientContext"), params.get("LogType") == "Tail"
        streamed = await self.invoker.stream(
            ref,
            params["Payload"] or b"{}",
            principal=call.principal,
            request_id=call.request_id,
            client_context=_client_context(context) if context else None,
            want_log=want_log,
            trace_id=call.trace_id,
        )
        call.headers.append(("x-torpor-content-type", streamed.content_type or "application/json"))
        events = ResponseEvents(streamed, want_log=want_log)
        return {"ExecutedVersion": streamed.executed_version, "EventStream": events}


def invocation_headers(outcome: Outcome) -> tuple[tuple[str, str], ...]:
    """What every answer to an invocation says about its cost, beside Lambda's own headers."""
    usage = outcome.usage
    return (
        ("x-torpor-start", usage.depth.value),
        ("x-torpor-init-ms", f"{usage.init_ms:.3f}"),
        ("x-torpor-duration-ms", f"{usage.duration_ms:.3f}"),
        ("x-torpor-billed-ms", str(usage.billed_ms)),
        ("x-torpor-max-memory-mb", str(usage.max_memory_mb)),
        ("x-torpor-cpu-ms", f"{usage.cpu_ms:.3f}"),
    )


def _answer(outcome: Outcome, *, want_log: bool) -> Result:
    answer: dict[str, Any] = {"Payload": outcome.payload, "ExecutedVersion": outcome.executed_version}
    if outcome.function_error is not None:
        answer["FunctionError"] = outcome.function_error
    if want_log:
        answer["LogResult"] = base64.b64encode(outcome.log_tail).decode()
    return answer


def _client_context(text: str) -> str:
    """The JSON that a client context holds."""
    if len(text) > _LONGEST_CONTEXT:
        raise InvalidRequestContent(f"Client context must be at most {_LONGEST_CONTEXT} bytes of base64.")
    try:
        plain = base64.b64decode(text, validate=True)
        if not isinstance(msgspec.json.decode(plain), dict):
            raise InvalidRequestContent("Client context must be a valid Base64-encoded JSON object.")
        return plain.decode()
    except (binascii.Error, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise InvalidRequestContent("Client context must be a valid Base64-encoded JSON object.") from None
