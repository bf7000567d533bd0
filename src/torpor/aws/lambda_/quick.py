"""The usual Invoke by callback: a payload in, an answer out, and nothing else asked for.

What it answers is what the protocol layer would: a test compares the two. Everything that is not as usual it declines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torpor.aws.lambda_.invoke import invocation_headers
from torpor.aws.ports import Invoker
from torpor.core.arn import FunctionRef, is_function_name
from torpor.core.errors import TorporError
from torpor.core.http import HttpRequest, HttpResponse
from torpor.core.identity import Kind, Principal
from torpor.core.invocation import Outcome

_BEFORE, _AFTER = "/2015-03-31/functions/", "/invocations"
_JSON = ("content-type", "application/json")
# Of the headers that begin like this, those that ask for nothing besides the invocation itself.
_ASKING = "x-amz-"
_SYNCHRONOUS = ("x-amz-invocation-type", "RequestResponse")
_PLAIN = frozenset({"x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-amz-user-agent"})

Refusal = Callable[[Exception, HttpRequest], HttpResponse]


@dataclass(frozen=True, slots=True)
class QuickInvoke:
    """`refusal` words what came in the place of an outcome."""

    invoker: Invoker
    refusal: Refusal

    def begin(
        self, request: HttpRequest, principal: Principal, answer: Callable[[HttpResponse], None]
    ) -> Callable[[], None] | None:
        """What to call when the client leaves; None where the request has to go the ordinary way."""
        name = request.path.removeprefix(_BEFORE).removesuffix(_AFTER)
        usual = request.method == "POST" and not request.query and principal.kind is Kind.OWNER
        if not (
            usual and is_function_name(name) and request.path == f"{_BEFORE}{name}{_AFTER}" and _asks_nothing(request)
        ):
            return None

        def done(what: Outcome | Exception) -> None:
            if isinstance(what, Outcome):
                answer(_response(what, request.request_id))
            else:
                answer(self.refusal(what, request))

        try:
            return self.invoker.begin(
                FunctionRef(name),
                request.body or b"{}",
                done,
                principal=principal,
                request_id=request.request_id,
                trace_id=request.header("x-amzn-trace-id"),
            )
        except TorporError:
            return None  # the ordinary way says why


def _asks_nothing(request: HttpRequest) -> bool:
    asking = (pair for pair in request.headers if pair[0].startswith(_ASKING) and pair[0] not in _PLAIN)
    return all(pair == _SYNCHRONOUS for pair in asking)


def _response(outcome: Outcome, request_id: str) -> HttpResponse:
    failed = () if outcome.function_error is None else (("x-amz-function-error", outcome.function_error),)
    version = ("x-amz-executed-version", outcome.executed_version)
    headers = (_JSON, ("x-amzn-requestid", request_id), *failed, version, *invocation_headers(outcome))
    return HttpResponse(headers=headers, body=outcome.payload)
