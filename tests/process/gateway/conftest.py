"""A real server on a free port, over fakes, and raw connections to it."""

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace

import pytest
import uvloop

from torpor.core.arn import Home
from torpor.core.function import FunctionUrl
from torpor.core.http import HttpResponse
from torpor.core.identity import Kind, Principal
from torpor.core.invocation import Depth, Outcome, Result, Usage
from torpor.gateway.app import QUICK_PATHS, Gateway, GatewayOptions
from torpor.gateway.auth import Closed, Key, Keys
from torpor.gateway.function_urls import FunctionUrls
from torpor.gateway.http_apis import HttpApiServer
from torpor.gateway.origins import Hosts
from torpor.gateway.serve import Server, listen

KEY_ID, SECRET, TOKEN = "AKIATORPOREXAMPLE", "a secret", "the-token"
OWNER = Principal(Kind.OWNER, "arn:aws:iam::000000000000:root")


def pytest_asyncio_loop_factories(config, item):
    """uvloop is what the server runs on; asyncio's own must do as well."""
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.SelectorEventLoop}


@dataclass
class Backend:
    """AWS front, directory and invoker in one; `hold` keeps invocations from ending."""

    requests: list = field(default_factory=list)
    calls: list = field(default_factory=list)
    payload: bytes | None = None
    hold: asyncio.Event | None = None
    cancelled: int = 0
    begun: int = 0

    async def __call__(self, request):
        self.requests.append(request)
        await self._held()
        headers = (("content-type", "application/json"), ("x-amz-executed-version", "$LATEST"))
        form = request.header("content-type").startswith("application/x-www-form-urlencoded")
        echo = (
            request.body
            if request.path.endswith("/invocations")
            else b"<Response><GetCallerIdentityResult/></Response>"
            if form
            else b""
        )
        return HttpResponse(headers=headers, body=echo)

    @staticmethod
    def service_of(request):
        signed = "aws4_request" in request.header("authorization") + request.query
        return "lambda" if signed or request.path.startswith("/2015-03-31/") else None

    def find(self, name):
        return name if name == "hello" else None

    def url(self, name, qualifier=None):
        return FunctionUrl(name=name, auth="NONE") if name == "hello" else None

    async def invoke(self, ref, payload, *, principal, request_id, client_context=None, want_log=False, trace_id=""):
        self.calls.append(json.loads(payload))
        await self._held()
        usage = Usage(
            function=ref.name, version="$LATEST", request_id=request_id, at=0.0, depth=Depth.WARM, init_ms=0.0,
            duration_ms=1.0, billed_ms=1, memory_mb=128, max_memory_mb=40, cpu_ms=1.0, result=Result.OK,
        )  # fmt: skip
        answer = payload if self.payload is None else self.payload
        return Outcome(payload=answer, usage=usage, executed_version="$LATEST")

    def begin(self, what, payload_or_principal, done, **more):
        """Both short ways, of the invoker and of the front."""
        if isinstance(payload_or_principal, Principal):
            call = self(replace(what, principal=payload_or_principal))
        else:
            call = self.invoke(what, payload_or_principal, **more)
        task = asyncio.ensure_future(call)
        task.add_done_callback(lambda ended: None if ended.cancelled() else done(ended.result()))
        self.begun += 1
        return task.cancel

    async def _held(self):
        if self.hold is None:
            return
        try:
            await self.hold.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise


class Raw:
    """A connection that sends whatever it is told."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def response(self):
        """Status, headers and body of one response."""
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.rstrip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return int(first.split()[1]), headers, body

    async def ended(self):
        """Wait until the server closes; returns what it still sent."""
        async with asyncio.timeout(10):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""

    async def close(self):
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


@dataclass
class Running:
    """A server, its port and what is behind it."""

    serving: object
    port: int
    backend: Backend

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def connect(self):
        raw = Raw(*await asyncio.open_connection("127.0.0.1", self.port))
        try:
            yield raw
        finally:
            await raw.close()


async def eventually(condition):
    """Wait, with a bound, until `condition` holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for is seen from outside only
            await asyncio.sleep(0.001)


@pytest.fixture
def until():
    return eventually


class NoApis:
    """A server without HTTP APIs."""

    def find(self, api_id):
        return None


@pytest.fixture
def backend():
    return Backend()


@pytest.fixture(params=["short way", "ordinary way"])
def way(request):
    return request.param


@pytest.fixture
async def start(backend, way):
    """Starts servers, with or without a short way; all are closed at the end."""
    running = []

    async def start(*, bounds=None, options=None, own=None):
        keys = Keys({KEY_ID: Key(SECRET, OWNER)}, TOKEN, OWNER)
        authenticator = Closed(keys)
        gateway = Gateway(
            front=backend,
            service_of=backend.service_of,
            functions=FunctionUrls(backend, backend, authenticator, home=Home()),
            apis=HttpApiServer(NoApis(), backend, authenticator, home=Home()),
            management=own,
            authenticator=authenticator,
            hosts=Hosts.of("127.0.0.1"),
            options=options or GatewayOptions(version="9.9"),
        )
        listener = listen("127.0.0.1", 0)
        port = listener.getsockname()[1]
        quick = gateway.quick if way == "short way" else None
        serving = await Server(gateway, bounds, quick=quick, quick_paths=QUICK_PATHS).serve([listener])
        running.append(serving)
        return Running(serving, port, backend)

    yield start
    for serving in running:
        await serving.close()


@pytest.fixture
async def server(start):
    return await start()


@pytest.fixture
def bearer():
    return f"Bearer {TOKEN}"


@pytest.fixture
def credentials():
    return {"aws_access_key_id": KEY_ID, "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
