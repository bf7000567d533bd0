"""HTTP APIs over HTTP: which stage and route, CORS, throttling, the event for the function, and its answer.

An API is reached as API-ID.localhost, or below /api/API-ID/ on any name of the server. Its owner is the functions'
owner: API Gateway may invoke every function that an integration names, whatever the function's own policy says.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol
from urllib.parse import unquote

from torpor.core.arn import FunctionRef, Home
from torpor.core.errors import AccessDenied, InvalidValue, RequestTooLarge, Throttled, TorporError
from torpor.core.http import HttpRequest, HttpResponse
from torpor.core.http_api import DEFAULT, HttpApi, Integration, Route, Stage, Throttle, function_of
from torpor.core.identity import Kind, Principal
from torpor.core.invocation import Outcome, Result
from torpor.gateway import cors, payload_v1, payload_v2
from torpor.gateway.asgi import BadBody, BodyTooSlow, json_response
from torpor.gateway.auth import Authenticator, Certain, verified
from torpor.gateway.function_urls import SANDBOXED, ReadBody, accounting, without_credentials
from torpor.gateway.loans import Overloaded
from torpor.gateway.origins import is_cross_site
from torpor.gateway.payload_v2 import Addressed, MalformedResponse, Routed
from torpor.gateway.ports import Invokes
from torpor.policy.api_routes import RouteTable, Taken
from torpor.policy.throttle import Bucket

PREFIX = "/api/"
_TEXT_TYPE = ("content-type", "text/plain; charset=utf-8")
_DEFAULT_BURST = 5000  # as on AWS, of a throttle that names a rate alone


def api_address(base: str, api_id: str) -> str:
    """Where an API answers, below the server's address: a name of its own would not resolve everywhere."""
    return f"{base.rstrip('/')}{PREFIX}{api_id}"


class Apis(Protocol):
    """The HTTP APIs there are, from memory."""

    def find(self, api_id: str) -> HttpApi | None: ...


@dataclass(frozen=True, slots=True)
class ApiTarget:
    """An API as a request names it, and the path behind the name, as sent."""

    api_id: str
    path: str
    prefix: str = ""

    @classmethod
    def of_path(cls, path: str) -> ApiTarget:
        """Reads `/api/API-ID/rest`."""
        api_id, _, rest = path.removeprefix(PREFIX).partition("/")
        return cls(api_id, f"/{rest}", f"{PREFIX}{api_id}")


@dataclass(frozen=True, slots=True)
class _Led:
    """Where an integration leads on one stage."""

    integration: Integration
    function: FunctionRef | None  # None: its variables make no function's name


@dataclass(slots=True)
class _View:
    """One stage, compiled: made when it is first asked for after a change, and used until the next."""

    stage: Stage
    table: RouteTable
    led: Mapping[str, _Led]
    cors: cors.Cors | None
    buckets: dict[str, Bucket] = field(default_factory=dict)

    @classmethod
    def of(cls, api: HttpApi, stage: Stage) -> _View | None:
        deployment = api.deployed(stage)
        if deployment is None:
            return None
        led = {one.id: _Led(one, _function(one, stage)) for one in deployment.integrations}
        return cls(stage, RouteTable(deployment.routes), led, deployment.cors)

    def admits(self, route: Route, now: float) -> bool:
        """Whether the stage's throttle for this route lets one more request in, and counts it."""
        throttle = self.stage.throttles.get(route.key, self.stage.throttle) or Throttle()
        if throttle.rate is None and throttle.burst is None:
            return True
        rate = throttle.rate if throttle.rate is not None else float(throttle.burst or 0)
        burst = throttle.burst if throttle.burst is not None else _DEFAULT_BURST
        if rate <= 0 or burst <= 0:
            return False
        bucket = self.buckets.get(route.key) or Bucket.full(rate, burst, now)
        after = bucket.spend(1, now)
        if after.level < 0:
            return False
        self.buckets[route.key] = after
        return True


class HttpApiServer:
    """Answers for every HTTP API."""

    def __init__(
        self,
        apis: Apis,
        invoker: Invokes,
        authenticator: Authenticator,
        *,
        home: Home,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._apis = apis
        self._invoker = invoker
        self._authenticator = authenticator
        self._home = home
        self._clock = clock
        self._owner = Principal(Kind.OWNER, "apigateway.amazonaws.com")
        self._views: dict[str, tuple[HttpApi, dict[str, _View | None]]] = {}

    def has(self, api_id: str) -> bool:
        """Whether there is such an API: its name comes before a function's of the same name."""
        return self._apis.find(api_id) is not None

    async def __call__(self, request: HttpRequest, target: ApiTarget, read: ReadBody) -> HttpResponse:
        """The answer; never raises but for cancellation and a client that left."""
        response = await self._serve(request, target, read)
        headers = (*response.headers, ("apigw-requestid", request.request_id))
        if target.prefix:
            headers = (*_below(target.prefix, headers, request), SANDBOXED)
        return HttpResponse(status=response.status, headers=headers, body=response.body)

    async def _serve(self, request: HttpRequest, target: ApiTarget, read: ReadBody) -> HttpResponse:
        api = self._apis.find(target.api_id)
        if api is None or api.disabled:
            return _said(404, "Not Found")
        segments = [unquote(segment, errors="replace") for segment in target.path.split("/")[1:]]
        stage = api.stages.get(segments[0]) if segments[0] != DEFAULT else None
        if stage is not None:
            segments = segments[1:] or [""]
        else:
            stage = api.stages.get(DEFAULT)
        view = self._view(api, stage) if stage is not None else None
        if view is None:
            return _said(404, "Not Found")
        if view.cors and cors.is_preflight(request):
            return replace(cors.preflight(view.cors, request), status=204)
        response = await self._led(request, target, view, view.table.match(request.method, segments), read)
        if view.cors and request.header("origin"):
            response = cors.decorate(view.cors, request, response)
        return response

    async def _led(
        self, request: HttpRequest, target: ApiTarget, view: _View, taken: Taken | None, read: ReadBody
    ) -> HttpResponse:
        if taken is None:
            return _said(404, "Not Found")
        if not view.admits(taken.route, self._clock()):
            return _said(429, "Too Many Requests")
        led = view.led.get(taken.route.integration or "")
        try:
            request = await self._admit(request, target, taken.route, read)
            if led is None or led.function is None:
                return _said(500, "Internal Server Error")
            addressed = Addressed(
                target.api_id,
                unquote(target.path, errors="replace"),
                target.prefix,
                self._home,
                Routed(taken.route.key, view.stage.name, taken.parameters, view.stage.variables),
            )
            return await self._invoke(request, addressed, led.function, led.integration)
        except TorporError as error:
            return _refused(error)

    async def _admit(self, request: HttpRequest, target: ApiTarget, route: Route, read: ReadBody) -> HttpRequest:
        """The request with its body and who made it. Raises AccessDenied where the route asks for a signature."""
        if route.authorization == "NONE":
            body = await read(request)
            return without_credentials(replace(request, body=body) if body else request, self._authenticator)
        try:
            proof = self._authenticator.begin(request)
        except TorporError:
            raise AccessDenied("Forbidden") from None
        if isinstance(proof, Certain) and not request.header("authorization") and is_cross_site(request):
            raise AccessDenied("Forbidden")  # --auth off trusts this machine's programs, not the pages it shows
        body = await read(request)
        try:
            principal = await verified(proof, body)
        except TorporError:
            raise AccessDenied("Forbidden") from None
        if not principal.allows("execute-api:Invoke", target.api_id):
            raise AccessDenied("Forbidden")
        return without_credentials(replace(request, body=body, principal=principal), self._authenticator)

    async def _invoke(
        self, request: HttpRequest, addressed: Addressed, function: FunctionRef, integration: Integration
    ) -> HttpResponse:
        event = _EVENTS[integration.payload](request, addressed, now=self._clock())
        try:
            async with asyncio.timeout(integration.timeout_ms / 1000):
                outcome = await self._invoker.invoke(
                    function,
                    event,
                    principal=self._owner,
                    request_id=request.request_id,
                    trace_id=request.header("x-amzn-trace-id"),
                )
        except TimeoutError:
            return _said(503, "Service Unavailable")
        response = _translate(outcome, integration.payload)
        headers = (*response.headers, *accounting(outcome))
        return HttpResponse(status=response.status, headers=headers, body=response.body)

    def _view(self, api: HttpApi, stage: Stage) -> _View | None:
        known = self._views.get(api.id)
        if known is None or known[0] is not api:
            for gone in [one for one in self._views if self._apis.find(one) is None]:
                del self._views[gone]
            known = self._views[api.id] = (api, {})
        views = known[1]
        if stage.name not in views:
            views[stage.name] = _View.of(api, stage)
        return views[stage.name]


def _event_v1(request: HttpRequest, addressed: Addressed, *, now: float) -> bytes:
    return payload_v1.event_of(request, addressed, addressed.routed or Routed(DEFAULT, DEFAULT), now=now)


_EVENTS = {"1.0": _event_v1, "2.0": payload_v2.event_of}


def _function(integration: Integration, stage: Stage) -> FunctionRef | None:
    try:
        return function_of(integration.uri, stage.variables)
    except InvalidValue:
        return None


def _translate(outcome: Outcome, payload: str) -> HttpResponse:
    if outcome.function_error is not None or outcome.result is Result.TIMEOUT:
        return _said(500, "Internal Server Error")
    try:
        return payload_v2.response_of(outcome.payload, unnamed=_TEXT_TYPE, inferred=payload == "2.0")
    except MalformedResponse as error:
        response = _said(500, "Internal Server Error")
        return replace(response, headers=(*response.headers, ("x-torpor-malformed", error.message[:200])))


def _refused(error: TorporError) -> HttpResponse:
    """What a visitor hears: which function stands behind, and what is wrong with it, is its owner's business."""
    match error:
        case AccessDenied():
            return _said(403, "Forbidden")
        case BadBody():
            return _said(400, "Bad Request")
        case Throttled() | Overloaded():
            return _said(503, "Service Unavailable")
        case RequestTooLarge():
            return _said(413, "Request Entity Too Large")
        case BodyTooSlow():
            return _said(408, "Request Timeout")
        case _:
            response = _said(500, "Internal Server Error")
            return replace(response, headers=(*response.headers, ("x-amzn-errortype", error.code)))


def _below(prefix: str, headers: tuple[tuple[str, str], ...], request: HttpRequest) -> list[tuple[str, str]]:
    """The headers with redirects to the API's own root led below its prefix, as reverse proxies do."""
    return [(name, _moved(prefix, value, request) if name == "location" else value) for name, value in headers]


def _moved(prefix: str, location: str, request: HttpRequest) -> str:
    origin = f"{request.scheme}://{request.header('host')}"
    path = location.removeprefix(origin)
    inside = path == prefix or path.startswith(f"{prefix}/")
    if not path.startswith("/") or path.startswith("//") or inside:
        return location
    return f"{location.removesuffix(path)}{prefix}{path}"


def _said(status: int, message: str) -> HttpResponse:
    return json_response(status, {"message": message})
