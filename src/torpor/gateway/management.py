"""`/_torpor/…`: our own JSON interface, for the command line and the console. Its callers are authenticated already."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route

from torpor.core.arn import Home
from torpor.core.errors import FunctionNotFound, InvalidValue, TorporError
from torpor.core.function import Bundle, Function, is_public
from torpor.core.log_group import log_group_of
from torpor.gateway import refusals
from torpor.gateway.code_links import CodeLinks
from torpor.gateway.descriptions import describe, function_address
from torpor.gateway.keys import KeyEndpoints
from torpor.gateway.layers import LayerEndpoints
from torpor.gateway.small_bodies import read_small
from torpor.gateway.stacks import StackEndpoints
from torpor.gateway.uploads import Uploads, Wanted
from torpor.gateway.use_cases import ServerFacts, UseCases
from torpor.gateway.vault import SecretEndpoints
from torpor.store.log_files import LogLine

LONGEST_WAIT_S = 60.0
LONGEST_PAGE = 1000
LONGEST_LOG = 100_000

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]


class Management:
    """The endpoints. `closing` is set when the server stops: what streams or waits ends then."""

    def __init__(self, use_cases: UseCases, facts: ServerFacts, home: Home, uploads: Uploads, links: CodeLinks) -> None:
        self._use = use_cases
        self._facts = facts
        self._home = home
        self._uploads = uploads
        self._links = links
        self.closing = asyncio.Event()

    def app(self) -> Starlette:
        """The ASGI application."""
        routes = [
            _route("GET", "/_torpor/status", self.status),
            _route("GET", "/_torpor/functions", self.list_functions),
            _route("GET", "/_torpor/functions/{name}", self.describe_function),
            _route("PUT", "/_torpor/functions/{name}", self.put_function),
            _route("DELETE", "/_torpor/functions/{name}", self.delete_function),
            _route("PUT", "/_torpor/functions/{name}/url", self.put_url),
            _route("DELETE", "/_torpor/functions/{name}/url", self.delete_url),
            _route("GET", "/_torpor/logs/{name}", self.read_log),
            _route("GET", "/_torpor/usage", self.usage),
            _route("POST", "/_torpor/gc", self.collect),
            _route("GET", "/_torpor/code/{name}", self.fetch_code),
            *KeyEndpoints(self._use.keys).routes(),
            *SecretEndpoints(self._use.secrets).routes(),
            *StackEndpoints(self._use.stacks).routes(),
            *LayerEndpoints(self._use.layers, self._uploads, self._home).routes(),
        ]
        handlers: Any = {TorporError: _torpor_error, HTTPException: _http_error}
        app = Starlette(routes=routes, exception_handlers=handlers)
        app.router.redirect_slashes = False  # a redirect would lose a body, and a signature
        return app

    async def status(self, _request: Request) -> Response:
        instances = self._use.instances(None)
        counts = {"functions": len(self._use.catalog), "instances": instances.idle + instances.busy}
        return _json(self._facts.as_json() | counts)

    async def list_functions(self, request: Request) -> Response:
        limit = _number(request, "limit", 50, least=1, most=LONGEST_PAGE)
        page = self._use.catalog.list(request.query_params.get("after") or None, limit)
        return _json({"functions": [self._describe(function) for function in page.functions], "next": page.next})

    async def describe_function(self, request: Request) -> Response:
        name = request.path_params["name"]
        wait_s = _decimal(request, "wait_s", 0.0, most=LONGEST_WAIT_S)
        if wait_s > 0:
            checked = request.query_params.get("until") != "built"
            await self._unless_closing(self._use.deployer.wait_settled(name, wait_s, checked=checked))
        qualifier = request.query_params.get("qualifier") or None
        return _json(self._describe(self._use.catalog.get(name, qualifier), qualifier))

    async def put_function(self, request: Request) -> Response:
        name = request.path_params["name"]
        existing = self._find(name)
        header = request.headers.get("x-torpor-config", "")
        wanted = self._uploads.wanted(name, header, existing, layers_of=self._use.layers.resolve)
        principal = request.scope["torpor.request"].principal
        principal.check_may_grant(wanted.config.grants_beyond(existing.config if existing else None))
        for action in self._actions(name, wanted, is_new=existing is None):
            principal.check_may(action, name)
        if wanted.reserved_concurrency is not None:
            self._use.concurrency.check(name, wanted.reserved_concurrency)
        async with self._uploads.receive(request) as archive:
            function = await self._use.deployer.put(wanted.config, archive)
        if wanted.reserved_concurrency is not None:
            await self._use.concurrency.put(name, wanted.reserved_concurrency)
        if wanted.public is not None or wanted.streaming is not None:
            await self._set_url(name, public=wanted.public, streaming=wanted.streaming)
        return _json(self._describe(function), 200 if existing else 201)

    async def delete_function(self, request: Request) -> Response:
        await self._use.deployer.delete(request.path_params["name"])
        return Response(status_code=204)

    async def put_url(self, request: Request) -> Response:
        name = request.path_params["name"]
        wanted = await read_small(request, _UrlBody)
        await self._use.urls.put(name, auth=wanted.auth)
        return _json({"url": function_address(self._facts.url, name), "auth": wanted.auth})

    async def delete_url(self, request: Request) -> Response:
        name = request.path_params["name"]
        self._use.catalog.get(name)
        if self._use.catalog.url(name) is not None:
            await self._use.urls.delete(name)
        return Response(status_code=204)

    async def read_log(self, request: Request) -> Response:
        name = request.path_params["name"]
        group = log_group_of(self._use.catalog.get(name).config)  # the lines of whoever else writes there are told, too
        request.scope["torpor.request"].principal.check_may("logs:FilterLogEvents", group)
        wanted: dict[str, Any] = {
            "since_ms": _number(request, "since_ms", 0),
            "request_id": request.query_params.get("request") or None,
            "limit": _number(request, "limit", 10_000, least=1, most=LONGEST_LOG),
        }
        if _number(request, "follow", 0, most=1):
            lines = self._until_closing(self._use.logs.follow(name, **wanted))
            return StreamingResponse(lines, media_type="application/x-ndjson", headers={"cache-control": "no-store"})
        read = await self._use.logs.read(name, **wanted)
        return Response(b"".join(map(_encoded, read)), media_type="application/x-ndjson")

    async def usage(self, request: Request) -> Response:
        function = request.query_params.get("function") or None
        report = await self._use.accounting.usage(_decimal(request, "since", 0.0), function)
        return _json(report.as_json())

    async def collect(self, _request: Request) -> Response:
        freed = await self._use.collector.gc()
        return _json(freed.as_json())

    async def fetch_code(self, request: Request) -> Response:
        name, given = request.path_params["name"], request.query_params
        digest = given.get("digest", "")
        self._links.check(name, digest, given.get("expires", ""), given.get("signature", ""))
        path = self._use.archive(Bundle(digest, 0))
        if not path.is_file():
            raise FunctionNotFound("This code is no longer kept: the function was changed and `torpor gc` was run.")
        return FileResponse(path, media_type="application/zip", filename=f"{name}.zip")

    def _describe(self, function: Function, qualifier: str | None = None) -> dict[str, Any]:
        name = function.name
        return describe(
            function,
            self._use.catalog.url(name, qualifier),
            self._use.instances(name if qualifier is None else f"{name}:{function.version}"),
            qualifier=qualifier,
            reserved_concurrency=self._use.concurrency.get(name),
            home=self._home,
            base=self._facts.url,
        )

    def _find(self, name: str) -> Function | None:
        return self._use.catalog.get(name) if self._use.catalog.find(name) is not None else None

    def _actions(self, name: str, wanted: Wanted, *, is_new: bool) -> Iterator[str]:
        """What a deployment does besides deploying."""
        url = self._use.catalog.url(name)
        if wanted.public is False and is_public(url):
            yield "lambda:DeleteFunctionUrlConfig"
        streams = url is not None and url.streams
        if (wanted.public and not is_public(url)) or wanted.streaming not in (None, streams):
            yield from ("lambda:CreateFunctionUrlConfig", "lambda:UpdateFunctionUrlConfig")
        reserved = None if is_new else self._use.concurrency.get(name)
        if wanted.reserved_concurrency not in (None, reserved):
            yield "lambda:PutFunctionConcurrency"

    async def _set_url(self, name: str, *, public: bool | None, streaming: bool | None) -> None:
        """Streaming needs a URL: where there is none, one opens for signers only."""
        url = self._use.catalog.url(name)
        if public is False and url is not None and url.auth == "NONE":
            await self._use.urls.delete(name)
            url = None
        if public or streaming or (streaming is not None and url is not None):
            auth = "NONE" if public else url.auth if url is not None else "AWS_IAM"
            mode = None if streaming is None else "RESPONSE_STREAM" if streaming else "BUFFERED"
            await self._use.urls.put(name, auth=auth, invoke_mode=mode)

    async def _unless_closing(self, work: Coroutine[Any, Any, Function]) -> None:
        task, closing = asyncio.ensure_future(work), asyncio.ensure_future(self.closing.wait())
        try:
            await asyncio.wait({task, closing}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
        finally:
            task.cancel()
            closing.cancel()

    async def _until_closing(self, source: AsyncIterator[LogLine]) -> AsyncIterator[bytes]:
        closing = asyncio.ensure_future(self.closing.wait())
        following: asyncio.Future[LogLine] | None = None
        try:
            while not closing.done():
                following = asyncio.ensure_future(anext(source))
                await asyncio.wait({following, closing}, return_when=asyncio.FIRST_COMPLETED)
                if following.done():
                    yield _encoded(following.result())
        except StopAsyncIteration:
            return
        finally:
            closing.cancel()
            if following is not None:
                following.cancel()


class _UrlBody(msgspec.Struct, forbid_unknown_fields=True):
    auth: str = "NONE"


def _route(method: str, path: str, endpoint: Endpoint) -> Route:
    return Route(path, endpoint, methods=[method])


def _json(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _encoded(line: LogLine) -> bytes:
    return msgspec.json.encode(line) + b"\n"


def _number(request: Request, name: str, default: int, *, least: int = 0, most: int = 2**53) -> int:
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 17) or not least <= int(text) <= most:
        raise InvalidValue(f"{name} must be a whole number from {least} to {most}, not '{text[:50]}'.")
    return int(text)


def _decimal(request: Request, name: str, default: float, *, most: float = 1e15) -> float:
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not re.fullmatch(r"\d{1,15}(?:\.\d{1,9})?", text):
        raise InvalidValue(f"{name} must be a number of seconds, such as 30 or 1.5, not '{text[:50]}'.")
    return min(float(text), most)


async def _torpor_error(_request: Request, error: TorporError) -> Response:
    response = refusals.own(error)
    return Response(response.body, response.status, headers=dict(response.headers))


async def _http_error(request: Request, error: HTTPException) -> Response:
    code = {404: "NotFound", 405: "MethodNotAllowed"}.get(error.status_code, "BadRequest")
    message = f"There is nothing at {request.method} {request.url.path[:200]}."
    response = refusals.own_message(error.status_code, code, message)
    return Response(response.body, response.status, headers={**dict(response.headers), **(error.headers or {})})
