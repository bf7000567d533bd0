"""The AWS front behind a small real HTTP server, over fakes of the use cases, for the real boto3 to talk to."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.config import Config

from torpor.aws.apigateway.service import apigateway_service
from torpor.aws.front import AwsFront
from torpor.aws.iam import iam_service
from torpor.aws.lambda_ import lambda_service
from torpor.aws.logs import logs_service
from torpor.aws.secretsmanager import secretsmanager_service
from torpor.aws.ssm import ssm_service
from torpor.aws.sts import sts_service
from torpor.core.arn import LATEST, Home
from torpor.core.attached import Provision
from torpor.core.errors import (
    Conflict,
    FunctionNotFound,
    InvalidValue,
    PreconditionFailed,
    ProvisionNotFound,
    ResourceNotFound,
)
from torpor.core.function import Bundle, Function, FunctionUrl, Role, State, UpdateStatus
from torpor.core.http import HttpRequest
from torpor.core.identity import Credentials, Kind, Principal
from torpor.core.invocation import Depth, Outcome, Result, Usage
from torpor.core.limits import Limits
from torpor.functions.account import Account
from torpor.functions.attachments import Attachments
from torpor.functions.gate import Gate
from torpor.functions.http_apis import HttpApis
from torpor.functions.layers import Layers
from torpor.functions.log_groups import LogGroups
from torpor.functions.provisioning import ProvisionPage
from torpor.functions.roles import Roles
from torpor.functions.vault import Vault
from torpor.policy.provision import Standing
from torpor.store.database import Database
from torpor.store.log_group_table import LogGroupTable
from torpor.store.logs import LogOptions, LogStore
from torpor.store.sealing import Sealer

OWNER = Principal(Kind.OWNER, arn="arn:aws:iam::000000000000:root")
WHEN = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


@dataclass(frozen=True)
class Page:
    functions: tuple[Function, ...]
    next: str | None


class FakeCatalog:
    """Functions in memory. A created one becomes active when it was looked at once, as a build takes its time."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.functions: dict[str, Function] = {}

    def get(self, name: str, qualifier: str | None = None) -> Function:
        function = self.functions.get(name)
        if function is None or qualifier not in (None, LATEST):
            raise FunctionNotFound(f"Function not found: {self.home.function_arn(name, qualifier)}")
        self.functions[name] = function.evolve(
            state=State.ACTIVE, state_reason="", state_reason_code="", update_status=UpdateStatus.SUCCESSFUL
        )
        return function

    def find(self, name: str) -> Function | None:
        return self.functions.get(name)

    def records(self) -> list[Any]:
        return [SimpleNamespace(name=function.name, function=function) for function in self.functions.values()]

    def list(self, after: str | None = None, limit: int = 50, *, versions: bool = False) -> Page:
        names = sorted(name for name in self.functions if after is None or name > after)
        more = names[limit - 1] if len(names) > limit else None
        return Page(tuple(self.functions[name] for name in names[:limit]), more)

    def permits(self, principal, action, ref) -> bool:
        return False


class FakeDeployer:
    def __init__(self, catalog: FakeCatalog) -> None:
        self.catalog = catalog
        self.revisions = 0

    async def create(self, config, archive, *, publish=False) -> Function:
        if config.name in self.catalog.functions:
            raise Conflict(f"Function already exist: {config.name}")
        return self._save(Function(config=config, bundle=self._bundle(archive)))

    async def update_code(self, name, archive, revision_id=None, *, dry_run=False, publish=False) -> Function:
        old = self._current(name, revision_id)
        new = old.evolve(bundle=self._bundle(archive), update_status=UpdateStatus.IN_PROGRESS)
        return new if dry_run else self._save(new)

    async def update_config(self, name, changes, revision_id=None) -> Function:
        old = self._current(name, revision_id)
        return self._save(old.evolve(config=old.config.evolve(**changes), update_status=UpdateStatus.IN_PROGRESS))

    async def delete(self, name) -> None:
        self.catalog.get(name)
        del self.catalog.functions[name]

    def _current(self, name: str, revision_id: str | None) -> Function:
        old = self.catalog.get(name)
        if revision_id not in (None, old.revision_id):
            raise PreconditionFailed
        return old

    def _save(self, function: Function) -> Function:
        self.revisions += 1
        saved = function.evolve(revision_id=f"revision-{self.revisions}", modified=WHEN)
        self.catalog.functions[function.name] = saved
        return saved

    def _bundle(self, archive: bytes) -> Bundle:
        if not zipfile.is_zipfile(io.BytesIO(archive)):
            raise InvalidValue("Could not unzip uploaded file. Please check your file, then try to upload again.")
        return Bundle(hashlib.sha256(archive).hexdigest(), len(archive))


class FakeBundles:
    """Takes any zip, and holds nothing."""

    async def add(self, archive) -> Bundle:
        if not zipfile.is_zipfile(io.BytesIO(archive)):
            raise InvalidValue("Could not unzip uploaded file. Please check your file, then try to upload again.")
        return Bundle(hashlib.sha256(archive).hexdigest(), len(archive))

    async def unpacked_size(self, bundle) -> int:
        return 3 * bundle.size


class FakeConcurrency:
    """Reservations of at most 900."""

    def __init__(self, catalog: FakeCatalog) -> None:
        self.catalog = catalog
        self.reserved: dict[str, int] = {}

    async def put(self, name: str, concurrency: int) -> int:
        self.catalog.get(name)
        if concurrency > 900:
            raise InvalidValue("Specified ReservedConcurrentExecutions is too much")
        self.reserved[name] = concurrency
        return concurrency

    def get(self, name: str) -> int | None:
        self.catalog.get(name)
        return self.reserved.get(name)

    async def delete(self, name: str) -> None:
        self.catalog.get(name)
        self.reserved.pop(name, None)


@dataclass
class FakeInvoker:
    """Answers the payload itself, or what `answer` holds, or raises `error`; keeps what it was asked."""

    catalog: FakeCatalog
    error: Exception | None = None
    answer: bytes | None = None
    function_error: str | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)

    async def invoke(self, ref, payload, **more) -> Outcome:
        self.check(ref, more["principal"])
        self.asked.append({"ref": ref, "payload": payload, **more})
        usage = Usage(
            function=ref.name, version=LATEST, request_id=more["request_id"], at=0.0, depth=Depth.SPAWN, init_ms=80.5,
            duration_ms=1.25, billed_ms=2, memory_mb=128, max_memory_mb=40, cpu_ms=1.0,
            result=Result.ERROR if self.function_error else Result.OK,
        )  # fmt: skip
        return Outcome(
            payload=payload if self.answer is None else self.answer,
            usage=usage,
            executed_version=LATEST,
            function_error=self.function_error,
            log_tail=b"START RequestId\nEND RequestId\n" if more["want_log"] else b"",
        )

    def check(self, ref, principal) -> None:
        self.catalog.get(ref.name, ref.qualifier)
        if self.error is not None:
            raise self.error


class FakeUrls:
    def __init__(self) -> None:
        self.urls: dict[str, FunctionUrl] = {}

    async def create(self, name, *, auth, cors, invoke_mode, qualifier=None) -> FunctionUrl:
        if name in self.urls:
            raise Conflict(f"Failed to create function url config for [functionArn = {name}]. Error message: exists")
        self.urls[name] = FunctionUrl(
            name=name, auth=auth, cors=cors, invoke_mode=invoke_mode, created=WHEN, modified=WHEN
        )
        return self.urls[name]

    def get(self, name, qualifier=None) -> FunctionUrl:
        if name not in self.urls:
            raise ResourceNotFound("The resource you requested does not exist.")
        return self.urls[name]

    async def update(self, name, *, auth=None, cors=None, invoke_mode=None, qualifier=None) -> FunctionUrl:
        old = self.get(name)
        kept, mode = cors if cors is not None else old.cors, invoke_mode or old.invoke_mode
        new = FunctionUrl(name=name, auth=auth or old.auth, cors=kept, invoke_mode=mode, created=WHEN)
        self.urls[name] = new
        return new

    async def delete(self, name, qualifier=None) -> None:
        self.get(name)
        del self.urls[name]

    def list(self, name) -> list[FunctionUrl]:
        return [self.urls[name]] if name in self.urls else []


class FakeSessions:
    """Credentials that name what they were made of."""

    def of_key(self, key_id, arn, lifetime_s) -> Credentials:
        return Credentials(f"ASIA{key_id}", f"secret of {arn}", f"token of {arn}", WHEN.timestamp() + lifetime_s)


class StoredRoles:
    """What the real use cases of roles need of the catalog, in memory."""

    def __init__(self) -> None:
        self._roles: dict[str, Role] = {}

    def role(self, name) -> Role | None:
        return self._roles.get(name.lower())

    def roles(self) -> tuple[Role, ...]:
        return tuple(sorted(self._roles.values(), key=lambda role: role.name))

    async def save_role(self, role, *, check) -> None:
        check()
        self._roles[role.name.lower()] = role

    async def remove_role(self, name, *, check) -> None:
        check()
        del self._roles[name.lower()]


class StoredSecrets:
    """What the real use cases of secrets need of a store, forgetting everything."""

    def read_all(self):
        return []

    def put(self, secret) -> None: ...

    def delete(self, name) -> None: ...


@dataclass
class World:
    """A running front with its fakes. `principal` is who asks, whatever the signature says."""

    url: str
    front: AwsFront
    catalog: FakeCatalog
    invoker: FakeInvoker
    principal: Principal = OWNER
    seen: list[HttpRequest] = field(default_factory=list)
    retries: int = 1
    clients: list[Any] = field(default_factory=list)

    def client(self, service: str, **config: Any) -> Any:
        settings = Config(retries={"total_max_attempts": self.retries}, **config)
        client = boto3.client(
            service, endpoint_url=self.url, region_name="us-east-1", aws_access_key_id="AKIATEST",
            aws_secret_access_key="secret", config=settings,
        )  # fmt: skip
        self.clients.append(client)
        return client


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        world, loop = self.server.world, self.server.loop  # type: ignore[attr-defined]  # set by the fixture
        path, _, query = self.path.partition("?")
        request = HttpRequest(
            method=self.command,
            path=path,
            query=query,
            headers=tuple((name.lower(), value) for name, value in self.headers.items()),
            body=self.rfile.read(int(self.headers.get("content-length", "0"))),
            principal=world.principal,
        )
        world.seen.append(request)
        response = asyncio.run_coroutine_threadsafe(world.front(request), loop).result(10)
        self.send_response(response.status)
        for name, value in response.headers:
            self.send_header(name, value)
        if response.status != 204:
            self.send_header("content-length", str(len(response.body)))
        self.end_headers()
        self.wfile.write(response.body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815  the base class's names

    def log_message(self, *_: Any) -> None:
        """Tests print nothing."""


@dataclass
class FakeProvisioning:
    """Knows nothing of any function, and allocates at once."""

    def __init__(self):
        self.configs = {}

    def get(self, ref):
        if ref.text not in self.configs:
            raise ProvisionNotFound("No Provisioned Concurrency Config found for this function")
        return self.configs[ref.text]

    async def put(self, ref, executions):
        standing = Standing(requested=executions, allocated=executions, available=executions, status="READY")
        self.configs[ref.text] = Provision(executions=executions), standing
        return self.configs[ref.text]

    async def delete(self, ref):
        self.configs.pop(ref.text, None)

    def list(self, name, after=None, limit=50):
        return ProvisionPage({text.partition(":")[2]: found for text, found in self.configs.items()}, None)


class Clock:
    now: float = 1_767_225_600.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def home() -> Home:
    return Home()


@pytest.fixture
def log_store(tmp_path) -> Iterator[LogStore]:
    store = LogStore(tmp_path / "logs", LogOptions(group_s=0))
    yield store
    store.close()


@pytest.fixture
def database(tmp_path) -> Iterator[Database]:
    with Database(tmp_path / "contract.db") as database:
        yield database


@pytest.fixture
def world(home, clock, database, log_store) -> Iterator[World]:
    """A front, its fakes, and a server on a free port."""
    loop = asyncio.new_event_loop()
    looping = threading.Thread(target=loop.run_forever, daemon=True)
    looping.start()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    url = f"http://127.0.0.1:{server.server_port}"
    catalog = FakeCatalog(home)
    invoker = FakeInvoker(catalog)
    roles = Roles(StoredRoles())
    vault = Vault(StoredSecrets(), Sealer(b"k" * 32), clock)
    services = [
        lambda_service(
            catalog=catalog,
            deployer=FakeDeployer(catalog),
            invoker=invoker,
            urls=FakeUrls(),
            attachments=Attachments.of(catalog, FakeProvisioning()),
            account=Account(catalog, Limits(), Path("/")),
            concurrency=FakeConcurrency(catalog),
            layers=Layers(database, FakeBundles(), Gate(), home=home, limits=Limits()),
            home=home,
            limits=Limits(),
            code_location=lambda function: f"{url}/code/{function.name}",
            url_address=lambda name: f"{url}/fn/{name}/",
            layer_location=lambda layer: f"{url}/code/{layer.name}",
            architecture="x86_64",
        ),
        sts_service(home, FakeSessions(), roles),
        iam_service(roles=roles, home=home),
        apigateway_service(
            apis=HttpApis(database, home.account, []), home=home, endpoint=lambda api_id: f"{url}/api/{api_id}"
        ),
        secretsmanager_service(vault, home),
        ssm_service(vault, home),
        logs_service(LogGroups(LogGroupTable(database), catalog, log_store, clock), home),
    ]
    world = World(url, AwsFront(services), catalog, invoker)
    server.world, server.loop = world, loop  # type: ignore[attr-defined]  # read by the handler
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield world
    for client in world.clients:
        client.close()
    server.shutdown()
    server.server_close()
    thread.join(10)
    loop.call_soon_threadsafe(loop.stop)
    looping.join(10)
    loop.close()


@pytest.fixture
def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", "def handler(event, context):\n    return event\n")
    return buffer.getvalue()


@pytest.fixture
def create(zipped):
    """Create a function with the least there is to say."""

    def make(client: Any, name: str, **more: Any) -> Mapping[str, Any]:
        asked = {
            "FunctionName": name,
            "Runtime": "python3.11",
            "Role": "arn:aws:iam::000000000000:role/r",
            "Handler": "app.handler",
            "Code": {"ZipFile": zipped},
        }
        return client.create_function(**(asked | more))

    return make


@pytest.fixture
def sha256():
    return lambda data: base64.b64encode(hashlib.sha256(data).digest()).decode()
