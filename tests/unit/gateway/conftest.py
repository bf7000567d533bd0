"""Fakes behind the edge, a signing client, and a way to call an ASGI application without a server."""

import asyncio
import json
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from torpor.core.arn import Home
from torpor.core.function import FunctionUrl
from torpor.core.http import HttpRequest, HttpResponse
from torpor.core.identity import Kind, Principal
from torpor.core.invocation import Depth, Outcome, Result, Usage
from torpor.gateway.app import Gateway, GatewayOptions
from torpor.gateway.auth import Closed, Key, Keys, Open
from torpor.gateway.function_urls import FunctionUrls
from torpor.gateway.http_apis import HttpApiServer
from torpor.gateway.origins import Hosts

KEY_ID, SECRET, TOKEN = "AKIATORPOREXAMPLE", "a secret", "the-token"
OWNER = Principal(Kind.OWNER, "arn:aws:iam::000000000000:root")
NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z


@dataclass
class Clock:
    now: float = NOW

    def __call__(self):
        return self.now


@dataclass
class FakeFront:
    """Answers every AWS request with what it saw."""

    requests: list = field(default_factory=list)
    wait: asyncio.Event | None = None
    error: Exception | None = None
    cancelled: int = 0

    async def __call__(self, request):
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        if self.wait is not None:
            try:
                await self.wait.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        body = {"path": request.path, "size": len(request.body), "kind": request.principal.kind.value}
        return HttpResponse(headers=(("content-type", "application/json"),), body=json.dumps(body).encode())

    @staticmethod
    def service_of(request):
        if "aws4_request" in request.header("authorization") + request.query:
            return "lambda"
        return "lambda" if request.path.startswith("/2015-03-31/") else None


@dataclass
class FakeDirectory:
    functions: set = field(default_factory=lambda: {"hello"})
    urls: dict = field(default_factory=dict)

    def find(self, name):
        return name if name in self.functions else None

    def url(self, name, qualifier=None):
        return self.urls.get(name) if qualifier in (None, "$LATEST") else None

    def permits(self, principal, action, ref):
        return False

    def open(self, name, **settings):
        self.functions.add(name)
        self.urls[name] = FunctionUrl(name=name, **settings)


def make_outcome(payload=b"null", *, result=Result.OK, error=None, request_id="r-1"):
    usage = Usage(
        function="hello", version="$LATEST", request_id=request_id, at=NOW, depth=Depth.SPAWN, init_ms=81.234,
        duration_ms=1.5, billed_ms=83, memory_mb=128, max_memory_mb=40, cpu_ms=2.25, result=result,
    )  # fmt: skip
    return Outcome(payload=payload, usage=usage, executed_version="$LATEST", function_error=error)


@dataclass
class FakeInvoker:
    """Returns `payload`, or what `answer` makes of the event."""

    payload: bytes = b'{"statusCode": 200, "body": "hi"}'
    result: Result = Result.OK
    function_error: str | None = None
    error: Exception | None = None
    calls: list = field(default_factory=list)

    @property
    def event(self):
        return json.loads(self.calls[-1][1])

    async def invoke(self, ref, payload, *, principal, request_id, client_context=None, want_log=False, trace_id=""):
        self.calls.append((ref, payload, principal))
        if self.error is not None:
            raise self.error
        return make_outcome(self.payload, result=self.result, error=self.function_error, request_id=request_id)


@dataclass
class Reply:
    status: int
    headers: list
    body: bytes

    def header(self, name):
        return dict(self.headers).get(name)

    @property
    def json(self):
        return json.loads(self.body)


async def asgi_call(app, request, *, chunks=None, state=None, extra=None, disconnect=False):
    """Send one request through an ASGI application. `chunks` replaces the body, piece by piece."""
    pieces = [request.body] if chunks is None else list(chunks)
    sent = []

    async def receive():
        if pieces:
            piece = pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(pieces) or disconnect}
        if disconnect:
            return {"type": "http.disconnect"}
        return await asyncio.get_running_loop().create_future()  # silence

    async def send(message):
        sent.append(message)

    headers = list(request.headers)
    if chunks is None and request.body and not request.header("content-length"):
        headers.append(("content-length", str(len(request.body))))
    elif chunks is not None and not request.header("content-length"):
        headers.append(("transfer-encoding", "chunked"))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.scheme,
        "path": request.path,
        "raw_path": request.path.encode(),
        "root_path": "",
        "query_string": request.query.encode(),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
        "client": (request.client, 40000),
        "server": ("127.0.0.1", 7070),
        "state": state or {},
    }
    scope.update(extra or {})
    await app(scope, receive, send)
    if not sent:
        return None
    lines = [(name.decode(), value.decode("latin-1")) for name, value in sent[0]["headers"]]
    return Reply(sent[0]["status"], lines, b"".join(message.get("body", b"") for message in sent[1:]))


def make_request(method="GET", path="/", *, query="", headers=(), body=b"", host="localhost:7070", **more):
    lines = (("host", host), *headers) if host is not None else tuple(headers)
    return HttpRequest(method=method, path=path, query=query, headers=lines, body=body, request_id="r-1", **more)


SIGNERS = {
    ("header", False): SigV4Auth,
    ("query", False): SigV4QueryAuth,
    ("header", True): S3SigV4Auth,
    ("query", True): S3SigV4QueryAuth,
}


def sign(
    request,
    *,
    key_id=KEY_ID,
    secret=SECRET,
    service="lambda",
    region="us-east-1",
    by="header",
    token=None,
    context=None,
):
    """The request as botocore signs it."""
    url = f"http://{request.header('host')}{request.path}" + (f"?{request.query}" if request.query else "")
    headers = {name: value for name, value in request.headers if name != "host"}
    plain = AWSRequest(request.method, url, headers=headers, data=request.body)
    plain.context.update(context or {})
    SIGNERS[by, service == "s3"](Credentials(key_id, secret, token), service, region).add_auth(plain)
    parts = urlsplit(plain.url)
    signed = [("host", parts.netloc)]
    signed += [
        (name.lower(), value.decode() if isinstance(value, bytes) else value) for name, value in plain.headers.items()
    ]
    return replace(request, path=parts.path or "/", query=parts.query, headers=tuple(signed))


async def eventually(condition):
    """Wait, with a bound, until `condition` holds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - what is waited for is seen from outside only
            await asyncio.sleep(0)


@pytest.fixture
def until():
    return eventually


@pytest.fixture
def keys():
    return Keys({KEY_ID: Key(SECRET, OWNER)}, TOKEN, OWNER)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def request_():
    return make_request


@pytest.fixture
def signed():
    return sign


@pytest.fixture
def call():
    return asgi_call


@pytest.fixture
def outcome():
    return make_outcome


@pytest.fixture
def front():
    return FakeFront()


@pytest.fixture
def directory():
    return FakeDirectory()


@pytest.fixture
def invoker():
    return FakeInvoker()


@pytest.fixture
def key_token():
    """The Authorization of who says a key as a token."""
    return f"Bearer {KEY_ID}:{SECRET}"


@pytest.fixture
def bearer():
    return ("authorization", f"Bearer {TOKEN}")


@pytest.fixture
def management():
    """An application in the place of our own interface, which tells what reached it."""

    async def app(scope, receive, send):
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        answer = json.dumps({"own": scope["path"], "size": len(body)}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": answer})

    return app


@dataclass
class FakeApis:
    """HTTP APIs in memory."""

    apis: dict = field(default_factory=dict)

    def find(self, api_id):
        return self.apis.get(api_id)


@pytest.fixture
def make_gateway(front, directory, invoker, management, keys):
    def make(
        *, auth="on", options=None, hosts=None, own=management, service_of=front.service_of, apis=None, api_invoker=None
    ):
        authenticator = Closed(keys) if auth == "on" else Open(keys)
        functions = FunctionUrls(directory, invoker, authenticator, home=Home(), clock=Clock())
        return Gateway(
            front=front,
            service_of=service_of,
            functions=functions,
            apis=HttpApiServer(apis or FakeApis(), api_invoker or invoker, authenticator, home=Home(), clock=Clock()),
            management=own,
            authenticator=authenticator,
            hosts=hosts or Hosts.of("127.0.0.1"),
            options=options or GatewayOptions(version="9.9"),
        )

    return make
