"""The one port: an ASGI application that decides who a request is for and whether its sender may ask, and no more."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field, replace

import structlog

from torpor.core.errors import AccessDenied, RequestTooLarge, TorporError
from torpor.core.http import HttpRequest, HttpResponse
from torpor.core.limits import MIB, Limits
from torpor.gateway import http_apis, refusals, rights
from torpor.gateway.abandon import abandonable, was_abandoned
from torpor.gateway.asgi import (
    App,
    BodyTooLarge,
    DateHeader,
    Disconnected,
    Message,
    Output,
    Receive,
    Scope,
    Send,
    json_response,
    new_request_id,
    read_body,
    request_of,
    send_response,
)
from torpor.gateway.auth import Authenticator, Certain, verified
from torpor.gateway.function_urls import PREFIX, FunctionUrls, Target, target_of_path
from torpor.gateway.http_apis import ApiTarget, HttpApiServer
from torpor.gateway.loans import FREE_BYTES, Loan, Memory
from torpor.gateway.origins import Hosts, function_of_host, hosts_of, is_cross_site
from torpor.gateway.ports import Front, ServiceOf
from torpor.gateway.quick import Answer, Begin, Leave
from torpor.gateway.sigv4 import AuthenticationFailed
from torpor.gateway.streaming import send_stream

log = structlog.get_logger()

OWN = "/_torpor"
HEALTH = "/_torpor/health"
CODE = "/_torpor/code/"
QUICK_PATHS = (PREFIX.encode(), b"/2015-03-31/functions/")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """`patience_s` is how long a client may take between two pieces of a body."""

    version: str = ""
    limits: Limits = field(default_factory=Limits)
    patience_s: float = 60.0
    body_memory: int = 512 * MIB
    log_requests: bool = False

    @property
    def upload(self) -> int:
        """Bytes of a request that carries a directly uploaded archive, base64 and all: AWS's own 70,167,211."""
        return self.limits.zip_direct * 4 // 3 + 262_145


class Gateway:
    """Routes: health, our own interface, HTTP APIs, functions, AWS. What is ours wins over a bucket of its name."""

    def __init__(
        self,
        *,
        front: Front,
        service_of: ServiceOf,
        functions: FunctionUrls,
        apis: HttpApiServer,
        management: App,
        authenticator: Authenticator,
        hosts: Hosts,
        options: GatewayOptions | None = None,
    ) -> None:
        self._front = front
        self._service_of = service_of
        self._functions = functions
        self._apis = apis
        self._management = management
        self._authenticator = authenticator
        self._hosts = hosts
        self._options = options or GatewayOptions()
        self._memory = Memory(self._options.body_memory)
        self._date = DateHeader()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = request_of(scope, new_request_id())
        exchange = _Exchange(send, self._date, self._memory.loan(), scope, self._options.patience_s)
        try:
            await self._serve(request, scope, receive, exchange)
        except Disconnected:
            return
        except asyncio.CancelledError:
            if not was_abandoned(scope):
                raise
        except Exception:
            log.exception("a request failed", action="request_failed", request_id=request.request_id, path=request.path)
            await exchange.fail(request)
        finally:
            exchange.loan.give_back()
        if self._options.log_requests:
            exchange.report(request)

    def quick(self, head: HttpRequest) -> Begin | None:
        """The short way to a function: see `quick`."""
        host = hosts_of(head)
        if len(host) != 1 or not self._hosts.allows(host[0]) or function_of_host(host[0]) is not None:
            return None
        if self._options.log_requests or self._options.limits.sync_payload < FREE_BYTES:
            return None
        if head.path.startswith(PREFIX):
            return self._functions.offer(head)
        if is_cross_site(head) or self._service_of(head) != "lambda":
            return None

        def begin(body: bytes, request_id: str, answer: Answer) -> Leave | None:
            try:
                principal = self._authenticator.begin(head).verify(body)
            except TorporError:
                return None  # the ordinary way says why
            return self._front.begin(replace(head, body=body, request_id=request_id), principal, answer)

        return begin

    async def _serve(self, request: HttpRequest, scope: Scope, receive: Receive, exchange: _Exchange) -> None:
        host = hosts_of(request)
        if len(host) != 1 or not self._hosts.allows(host[0]):
            await exchange.answer(_wrong_host(host))
            return
        function = function_of_host(host[0])
        path = request.path
        if function is None and (path == OWN or path.startswith(f"{OWN}/")):
            await self._own(request, scope, receive, exchange)
        elif (api := self._api_of(function, path)) is not None:
            await exchange.answer(await self._api(request, api, scope, receive, exchange.loan))
        elif function is not None or path.startswith(PREFIX):
            await exchange.answer(await self._function(request, function, scope, receive, exchange.loan))
        else:
            await exchange.answer(await self._aws(request, scope, receive, exchange.loan))

    def _api_of(self, label: str | None, path: str) -> ApiTarget | None:
        """The HTTP API that a host's label or a path names."""
        if label is not None:
            return ApiTarget(label, path) if self._apis.has(label) else None
        return ApiTarget.of_path(path) if path.startswith(http_apis.PREFIX) else None

    async def _api(
        self, request: HttpRequest, target: ApiTarget, scope: Scope, receive: Receive, loan: Loan
    ) -> HttpResponse:
        async def read(head: HttpRequest) -> bytes:
            return await self._body(head, receive, loan, self._options.limits.http_api_payload)

        with abandonable(scope):
            return await self._apis(request, target, read)

    async def _function(
        self, request: HttpRequest, name: str | None, scope: Scope, receive: Receive, loan: Loan
    ) -> HttpResponse:
        async def read(head: HttpRequest) -> bytes:
            return await self._body(head, receive, loan, self._options.limits.sync_payload)

        try:
            target = target_of_path(request.path) if name is None else Target.of_host(name, request.path)
        except TorporError as error:
            return refusals.web(error)
        with abandonable(scope):
            return await self._functions(request, target, read)

    async def _aws(self, request: HttpRequest, scope: Scope, receive: Receive, loan: Loan) -> HttpResponse:
        try:
            if is_cross_site(request):
                raise AccessDenied(_CROSS_SITE)
            proof = self._authenticator.begin(request)
            invokes = request.path.endswith(_INVOCATIONS)
            limit = self._options.limits.sync_payload if invokes else self._options.upload
            body = await self._body(request, receive, loan, limit)
            request = replace(request, body=body, principal=await verified(proof, body))
        except AuthenticationFailed as error:
            if self._service_of(request) is None and not refusals.speaks_query(request):
                return _nothing_here(request)
            return refusals.aws(error, request)
        except TorporError as error:
            return refusals.aws(error, request)
        if self._service_of(request) is None:
            return _nothing_here(request)
        if not invokes:
            return await self._front(request)
        with abandonable(scope):
            return await self._front(request)

    async def _own(self, request: HttpRequest, scope: Scope, receive: Receive, exchange: _Exchange) -> None:
        if request.path == HEALTH and request.method in ("GET", "HEAD"):
            await exchange.answer(json_response(200, {"status": "ok", "version": self._options.version}))
            return
        if "%2f" in request.path.lower():
            # The router behind us goes by the decoded path, where DELETE …/functions/a%2Furl would close a's URL.
            message = f"There is nothing at {request.method} {request.path[:200]}."
            await exchange.answer(refusals.own_message(404, "NotFound", message))
            return
        try:
            if is_cross_site(request):
                raise AccessDenied(_CROSS_SITE)
            if not request.path.startswith(CODE):  # a link to code carries its own proof
                request, receive = await self._admit(request, receive, exchange.loan)
        except TorporError as error:
            await exchange.answer(refusals.own(error))
            return
        scope["torpor.request"] = request
        await self._management(scope, receive, exchange.send)

    async def _admit(self, request: HttpRequest, receive: Receive, loan: Loan) -> tuple[HttpRequest, Receive]:
        """Raises AuthenticationFailed or AccessDenied. With a token the body streams on; a signed one is read first."""
        proof = self._authenticator.begin(request)
        if isinstance(proof, Certain):
            principal = proof.principal
        else:
            body = await self._body(request, receive, loan, self._options.upload)
            principal = await verified(proof, body)
            receive = _replay(body, receive)
        rights.check(principal, request.method, request.path)
        return replace(request, principal=principal), receive

    async def _body(self, request: HttpRequest, receive: Receive, loan: Loan, limit: int) -> bytes:
        try:
            return await read_body(request, receive, loan, limit, self._options.patience_s)
        except BodyTooLarge:
            operation = (
                "the InvokeFunction operation" if limit == self._options.limits.sync_payload else "this operation"
            )
            raise RequestTooLarge(f"Request must be smaller than {limit} bytes for {operation}") from None


_INVOCATIONS = ("/invocations", "/response-streaming-invocations")
_CROSS_SITE = (
    "A web page of another origin sent this request, and only function URLs answer those: "
    "open the function with `torpor deploy --public`, or call from a program."
)


class _Exchange:
    """One answer: remembers whether it began, so that a failure afterwards does not begin another."""

    __slots__ = ("_date", "_output", "_patience_s", "_scope", "_send", "_since", "loan", "status")

    def __init__(self, send: Send, date: DateHeader, loan: Loan, scope: Scope, patience_s: float) -> None:
        self._output: Output | None = scope.get("torpor.output")
        self._scope = scope
        self._patience_s = patience_s
        self._send = send
        self._date = date
        self._since = time.perf_counter()
        self.loan = loan
        self.status = 0

    async def answer(self, response: HttpResponse) -> None:
        self.status = response.status
        if response.stream is None:
            await send_response(self._send, response, self._date(), output=self._output)
        else:
            stream, patience_s = response.stream, self._patience_s
            await send_stream(self._send, self._scope, response, stream, self._date(), patience_s=patience_s)

    async def send(self, message: Message) -> None:
        """As ASGI's send, with a Date."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), self._date()]
        await self._send(message)

    async def fail(self, request: HttpRequest) -> None:
        if self.status:
            return  # half an answer is out: uvicorn cuts the connection, and the client sees that it is incomplete
        body = {"message": "Internal Server Error", "requestId": request.request_id}
        await self.answer(json_response(500, body, [("x-amzn-requestid", request.request_id)]))

    def report(self, request: HttpRequest) -> None:
        log.info(
            "request",
            action="http_request",
            method=request.method,
            path=request.path,
            status=self.status,
            ms=round((time.perf_counter() - self._since) * 1000, 3),
            client=request.client,
            request_id=request.request_id,
        )


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _wrong_host(host: list[str]) -> HttpResponse:
    if len(host) != 1:
        return json_response(400, {"message": "A request must have one Host header."})
    message = (
        f"This server does not answer to the name '{host[0][:200]}' (a page may have pointed its own name here). "
        "Start it with --public-url to give it another name than localhost."
    )
    return json_response(403, {"message": message})


def _nothing_here(request: HttpRequest) -> HttpResponse:
    message = f"There is nothing at {request.method} {request.path[:200]}."
    return json_response(404, {"message": message}, [("x-amzn-requestid", request.request_id)])
