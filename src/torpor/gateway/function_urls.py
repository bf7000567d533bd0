"""Functions over HTTP: who may call, CORS, the event, and the handler's answer."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import unquote

import structlog

from torpor.core.arn import FunctionRef, Home, is_function_name
from torpor.core.errors import AccessDenied, FunctionNotFound, NotInvocable, TorporError
from torpor.core.function import FunctionUrl, is_public
from torpor.core.http import BrokenBody, HttpRequest, HttpResponse
from torpor.core.identity import Kind, Principal
from torpor.core.invocation import Outcome, Result
from torpor.gateway import cors, refusals
from torpor.gateway.asgi import json_response
from torpor.gateway.auth import Authenticator, Certain, Proof
from torpor.gateway.function_streams import respond
from torpor.gateway.origins import is_cross_site
from torpor.gateway.payload_v2 import Addressed, EventFrame, MalformedResponse, event_of, failure, response_of
from torpor.gateway.ports import Directory, Invokes
from torpor.gateway.quick import Answer, Begin, Leave
from torpor.gateway.sigv4 import MissingToken

_log = structlog.get_logger()

PREFIX = "/fn/"
# Pages under /fn/ share their origin with the management interface, and functions are not trusted: a sandboxed page
# has an origin of its own, so that what it asks of us comes across sites. NAME.localhost needs none of this.
SANDBOXED = (
    "content-security-policy",
    "sandbox allow-downloads allow-forms allow-modals allow-popups allow-popups-to-escape-sandbox allow-scripts",
)
_CREDENTIALS = frozenset({"authorization", "x-amz-security-token"})
_ACTIONS = ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction")
_TIMED_OUT = b'{"message":"Endpoint request timed out"}'

ReadBody = Callable[[HttpRequest], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Target:
    """A function as a URL names it, and the path behind the name."""

    ref: FunctionRef
    path: str
    prefix: str = ""

    @classmethod
    def of_host(cls, name: str, path: str) -> Target:
        """A function addressed as NAME.localhost. Raises FunctionNotFound where that is no function's name."""
        if not is_function_name(name):
            raise FunctionNotFound(f"'{name[:200]}' is not the name of a function: write NAME.localhost.")
        return cls(FunctionRef(name), path)


def target_of_path(path: str) -> Target:
    """Reads `/fn/NAME[:QUALIFIER]/rest`; `path` is as sent. Raises FunctionNotFound where that names none."""
    segment, _, rest = path.removeprefix(PREFIX).partition("/")
    name, colon, qualifier = unquote(segment).partition(":")
    if not is_function_name(name) or (colon and not qualifier):
        raise FunctionNotFound(
            f"'{unquote(segment)[:200]}' is not the name of a function: write /fn/NAME/ or /fn/NAME:QUALIFIER/."
        )
    return Target(FunctionRef(name, qualifier or None), f"/{rest}", f"{PREFIX}{segment}")


class FunctionUrls:
    """Answers for every function; a stranger is let in only where the function's URL says so."""

    def __init__(
        self,
        directory: Directory,
        invoker: Invokes,
        authenticator: Authenticator,
        *,
        home: Home,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._invoker = invoker
        self._authenticator = authenticator
        self._home = home
        self._clock = clock

    async def __call__(self, request: HttpRequest, target: Target, read: ReadBody) -> HttpResponse:
        """The function's answer, or why there is none. `read` reads the request's body, once the head is let in."""
        try:
            return await self._answer(request, target, read)
        except NotInvocable as error:
            # Why a build failed is for its owner: the reason quotes the resolver's last lines.
            hidden = is_public(self._directory.url(target.ref.name, target.ref.qualifier))
            return refusals.web(NotInvocable("The function is not ready to answer.") if hidden else error)
        except TorporError as error:
            return refusals.web(error)

    async def _answer(self, request: HttpRequest, target: Target, read: ReadBody) -> HttpResponse:
        name = target.ref.name
        url = self._directory.url(name, target.ref.qualifier)
        if url is None and self._directory.find(name) is None:
            raise FunctionNotFound(f"Function not found: {self._home.function_arn(name, target.ref.qualifier)}")
        if url is not None and url.cors and cors.is_preflight(request):
            return cors.preflight(url.cors, request)
        proof = self._proof(request, url, target)
        body = await read(request)
        request = replace(request, body=body, principal=self._proven(proof, body, target.ref))
        request = without_credentials(request, self._authenticator)
        streams = url is not None and url.streams
        response = await (self._stream if streams else self._invoke)(request, target)
        if url is not None and url.cors and request.header("origin"):
            response = cors.decorate(url.cors, request, response)
        return response

    def offer(self, head: HttpRequest) -> Begin | None:
        """The short way: see `quick`. `head` is for a path below PREFIX."""
        try:
            target = target_of_path(head.path)
        except TorporError:
            return None  # the ordinary way says why
        addressed = Addressed(target.ref.name, target.path, target.prefix, self._home)
        trace_id = head.header("x-amzn-trace-id")
        last: tuple[Principal, EventFrame] | None = None  # who asked last with this head, and what they have in common

        def begin(body: bytes, request_id: str, answer: Answer) -> Leave | None:
            nonlocal last
            try:
                principal = self._admitted(head, target, body)
                if principal is None:
                    return None
                if last is None or last[0] is not principal:
                    cleaned = without_credentials(head, self._authenticator, principal)
                    last = principal, EventFrame(cleaned, addressed, principal)
                return self._invoker.begin(
                    target.ref,
                    last[1].event(request_id, body, self._clock()),
                    lambda what: answer(_answer_of(what, target, request_id)),
                    principal=principal,
                    request_id=request_id,
                    trace_id=trace_id,
                )
            except TorporError:
                return None  # the ordinary way says why

        return begin

    def _admitted(self, head: HttpRequest, target: Target, body: bytes) -> Principal | None:
        """Who asks; None where the short way does not know what to do. Raises TorporError."""
        name, qualifier = target.ref.name, target.ref.qualifier
        url = self._directory.url(name, qualifier)
        if url is None:
            if self._directory.find(name) is None:
                return None
        elif url.cors or url.streams:
            return None
        return self._proven(self._proof(head, url, target), body, target.ref)

    def _proof(self, request: HttpRequest, url: FunctionUrl | None, target: Target) -> Proof:
        """Who may be calling. Raises AccessDenied for strangers at a closed door."""
        if is_public(url):
            return _stranger_at(target.ref.name)
        proof = _attempt(self._authenticator, request)
        if isinstance(proof, Certain) and not request.header("authorization") and is_cross_site(request):
            raise AccessDenied("Forbidden")  # --auth off trusts this machine's programs, not the pages it shows
        return proof

    def _proven(self, proof: Proof, body: bytes, ref: FunctionRef) -> Principal:
        principal = proof.verify(body)
        public = principal.kind is Kind.ANONYMOUS
        if not public and not any(
            principal.allows(action, ref.name) or self._directory.permits(principal, action, ref) for action in _ACTIONS
        ):
            raise AccessDenied("Forbidden")
        return principal

    async def _stream(self, request: HttpRequest, target: Target) -> HttpResponse:
        """An answer that is sent as it comes; one that comes whole is a response of payload format 2.0."""
        addressed = Addressed(target.ref.name, target.path, target.prefix, self._home)
        streamed = await self._invoker.stream(
            target.ref,
            event_of(request, addressed, now=self._clock()),
            principal=request.principal,
            request_id=request.request_id,
            trace_id=request.header("x-amzn-trace-id"),
        )
        if streamed.content_type is None:
            return _response(streamed.outcome, target)
        try:
            response = await respond(streamed)
        except BrokenBody:
            return _response(streamed.outcome, target)
        except MalformedResponse as error:
            response = _malformed(error)
        headers = (*response.headers, ("x-amzn-requestid", request.request_id))
        return replace(response, headers=(*headers, SANDBOXED) if target.prefix else headers)

    async def _invoke(self, request: HttpRequest, target: Target) -> HttpResponse:
        addressed = Addressed(target.ref.name, target.path, target.prefix, self._home)
        outcome = await self._invoker.invoke(
            target.ref,
            event_of(request, addressed, now=self._clock()),
            principal=request.principal,
            request_id=request.request_id,
            trace_id=request.header("x-amzn-trace-id"),
        )
        return _response(outcome, target)


@lru_cache(maxsize=1024)
def _stranger_at(function: str) -> Certain:
    return Certain(Principal(Kind.ANONYMOUS, function=function))


def _answer_of(what: Outcome | Exception, target: Target, request_id: str) -> HttpResponse:
    """Never raises: it is called where the instance's frames are read."""
    if isinstance(what, TorporError):
        return refusals.web(what)
    try:
        if isinstance(what, Outcome):
            return _response(what, target)
        cause: Exception = what
    except Exception as error:
        cause = error
    _log.error("a request failed", action="request_failed", request_id=request_id, exc_info=cause)
    body = {"message": "Internal Server Error", "requestId": request_id}
    return json_response(500, body, [("x-amzn-requestid", request_id)])


def _response(outcome: Outcome, target: Target) -> HttpResponse:
    response = _translate(outcome)
    sandboxed = (SANDBOXED,) if target.prefix else ()
    headers = (*response.headers, *accounting(outcome), *sandboxed)
    return HttpResponse(status=response.status, headers=headers, body=response.body)


def _attempt(authenticator: Authenticator, request: HttpRequest) -> Proof:
    try:
        return authenticator.begin(request)
    except MissingToken:
        raise AccessDenied("Forbidden") from None


def without_credentials(
    request: HttpRequest, authenticator: Authenticator, principal: Principal | None = None
) -> HttpRequest:
    """What opened our door is no business of the function's; its own visitors' Authorization is."""
    if (principal or request.principal).kind is Kind.ANONYMOUS and not authenticator.holds_token(request):
        return request
    return replace(request, headers=tuple(pair for pair in request.headers if pair[0] not in _CREDENTIALS))


def _translate(outcome: Outcome) -> HttpResponse:
    if outcome.result is Result.TIMEOUT:
        return failure(504, _TIMED_OUT)
    if outcome.function_error is not None:
        return failure(502)
    try:
        return response_of(outcome.payload)
    except MalformedResponse as error:
        return _malformed(error)


def _malformed(error: MalformedResponse) -> HttpResponse:
    response = failure(502)
    return replace(response, headers=(*response.headers, ("x-torpor-malformed", error.message[:200])))


def accounting(outcome: Outcome) -> tuple[tuple[str, str], ...]:
    """What the invocation cost, as response headers."""
    usage = outcome.usage
    return (
        ("x-amzn-requestid", usage.request_id),
        ("x-torpor-start", usage.depth.value),
        ("x-torpor-init-ms", f"{usage.init_ms:.2f}"),
        ("x-torpor-duration-ms", f"{usage.duration_ms:.2f}"),
        ("x-torpor-billed-ms", str(usage.billed_ms)),
        ("x-torpor-max-memory-mb", str(usage.max_memory_mb)),
        ("x-torpor-cpu-ms", f"{usage.cpu_ms:.2f}"),
    )
