"""Invoke by callback answers what the protocol layer would."""

from dataclasses import replace

import pytest

from torpor.aws.front import AwsFront
from torpor.aws.lambda_.invoke import InvokeOperations
from torpor.aws.service import Service
from torpor.core.arn import Home
from torpor.core.errors import FunctionNotFound, StartFailed, Throttled
from torpor.core.http import HttpRequest
from torpor.core.identity import ANONYMOUS, Kind, Principal
from torpor.core.invocation import Depth, Outcome, Result, Usage

OWNER = Principal(Kind.OWNER, "arn:aws:iam::000000000000:root")


class Invokes:
    """Ends every invocation in the same way, awaited or called back."""

    def __init__(self, *, error=None, at_once=None, failed=None):
        self.error, self.at_once, self.failed = error, at_once, failed
        self.payloads = []

    def _outcome(self, payload, request_id):
        usage = Usage(
            function="f", version="$LATEST", request_id=request_id, at=0.0, depth=Depth.WARM, init_ms=0.0,
            duration_ms=1.25, billed_ms=2, memory_mb=128, max_memory_mb=40, cpu_ms=1.0, result=Result.OK,
        )  # fmt: skip
        self.payloads.append(payload)
        return Outcome(payload=payload, usage=usage, executed_version="$LATEST", function_error=self.failed)

    async def invoke(self, ref, payload, *, request_id, **more):
        if self.error or self.at_once:
            raise self.error or self.at_once
        return self._outcome(payload, request_id)

    def begin(self, ref, payload, done, *, request_id, **more):
        if self.at_once:
            raise self.at_once
        done(self.error or self._outcome(payload, request_id))
        return lambda: None


def make_front(invokes):
    service = Service(name="lambda", handlers=InvokeOperations(invokes, Home()).handlers())
    return AwsFront([service], invokes)


def request(path="/2015-03-31/functions/f/invocations", **changes):
    values = {"method": "POST", "path": path, "body": b'{"a": 1}', "principal": OWNER, "request_id": "r-1"}
    return HttpRequest(**{**values, **changes})


@pytest.mark.parametrize(
    "invokes",
    [
        Invokes(),
        Invokes(failed="Unhandled"),
        Invokes(error=Throttled(reason="ConcurrentInvocationLimitExceeded")),
        Invokes(error=StartFailed("no")),
        Invokes(error=ValueError("a defect")),
    ],
    ids=["ok", "failed", "throttled", "not started", "a defect"],
)
@pytest.mark.parametrize("body", [b'{"a": 1}', b""])
async def test_both_ways_answer_the_same(invokes, body):
    """Headers, in their order, and body; for outcomes and for what stands in their place."""
    front, answers = make_front(invokes), []
    asked = request(body=body, headers=(("x-amz-invocation-type", "RequestResponse"), ("x-amz-date", "now")))
    assert front.begin(asked, OWNER, answers.append) is not None
    assert answers == [await front(asked)]


@pytest.mark.parametrize(
    "asked",
    [
        request(headers=(("x-amz-invocation-type", "Event"),)),
        request(headers=(("x-amz-log-type", "Tail"),)),
        request(headers=(("x-amz-client-context", "e30="),)),
        request(query="Qualifier=1"),
        request(method="GET"),
        request("/2015-03-31/functions/f:1/invocations"),
        request("/2015-03-31/functions/f/invocations/"),
        request("/2015-03-31/functions/a/b/invocations"),
    ],
)
def test_what_asks_for_more_goes_the_ordinary_way(asked):
    """Declined, with nothing done."""
    invokes = Invokes()
    assert make_front(invokes).begin(asked, asked.principal, pytest.fail) is None
    assert invokes.payloads == []


def test_others_than_the_owner_and_refusals_go_the_ordinary_way():
    """Rights and refusals are worded in one place only."""
    assert make_front(Invokes()).begin(request(), ANONYMOUS, pytest.fail) is None
    refused = make_front(Invokes(at_once=FunctionNotFound("no")))
    assert refused.begin(replace(request(), body=b"1"), OWNER, pytest.fail) is None
