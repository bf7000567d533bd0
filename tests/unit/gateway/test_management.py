"""Our own JSON interface, over fake use cases."""

# ruff: noqa: PLR0917  - fixtures are parameters

import asyncio
import base64
import errno
import json
import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest

from torpor.core.arn import Home
from torpor.core.errors import Conflict, FunctionNotFound, InvalidValue, ResourceNotFound
from torpor.core.function import (
    Bundle,
    Environment,
    Function,
    FunctionConfig,
    FunctionLayer,
    FunctionUrl,
    State,
    UpdateStatus,
)
from torpor.core.identity import Kind, Principal
from torpor.core.layer import LayerVersion
from torpor.core.secret import Secret, SecretVersion
from torpor.core.stack import Stack, StackChanged
from torpor.gateway.code_links import CodeLinks
from torpor.gateway.management import Management
from torpor.gateway.uploads import Uploads
from torpor.gateway.use_cases import Instances, ServerFacts, UseCases
from torpor.store.log_files import LogLine

OWNER = Principal(Kind.OWNER)
ENVIRONMENT = Environment("e" * 64, "/env/bin/python", "/env/lib", ("/env",))


def a_function(name="hello", **config):
    config = {"handler": "app.handler", "variables": {"SECRET": "value"}, **config}
    return Function(
        config=FunctionConfig(name=name, **config),
        bundle=Bundle("ab" * 32, 321),
        environment=ENVIRONMENT,
        state=State.ACTIVE,
        state_reason="",
        state_reason_code="",
        update_status=UpdateStatus.SUCCESSFUL,
        revision_id="rev-1",
    )


@dataclass
class Page:
    functions: tuple
    next: str | None


class FakeConcurrency:
    """Reservations by name; beyond 900 there is no room."""

    def __init__(self):
        self.reserved = {}

    def get(self, name, qualifier=None):
        return self.reserved.get(name)

    def check(self, name, concurrency):
        if concurrency > 900:
            raise InvalidValue(f"{name} wants too much")

    async def put(self, name, concurrency):
        self.reserved[name] = concurrency
        return concurrency


@dataclass
class FakeWorld:
    """Catalog, deployer, urls, accounting, collector and logs in one."""

    functions: dict = field(default_factory=lambda: {"hello": a_function()})
    urls: dict = field(default_factory=dict)
    put_archives: list = field(default_factory=list)
    waits: list = field(default_factory=list)
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    lines: list = field(default_factory=list)
    more: asyncio.Queue = field(default_factory=asyncio.Queue)
    asked: list = field(default_factory=list)
    following: int = 0
    error: Exception | None = None

    def __len__(self):
        return len(self.functions)

    def get(self, name, qualifier=None):
        if name not in self.functions:
            raise FunctionNotFound(f"Function not found: {Home().function_arn(name)}")
        return self.functions[name]

    def find(self, name):
        return self.functions.get(name)

    def list(self, after=None, limit=50):
        names = sorted(name for name in self.functions if after is None or name > after)
        return Page(
            tuple(self.functions[name] for name in names[:limit]), names[limit - 1] if len(names) > limit else None
        )

    def url(self, name, qualifier=None):
        return self.urls.get(name)

    async def put(self, config, archive=None, *, auth=None, invoke_mode=None):
        if auth is not None:
            old = self.urls.get(config)
            mode = invoke_mode or (old.invoke_mode if old else "BUFFERED")
            self.urls[config] = FunctionUrl(name=config, auth=auth, invoke_mode=mode)
            return self.urls[config]
        if self.error is not None:
            raise self.error
        self.put_archives.append((archive, archive.read_bytes()))
        self.functions[config.name] = a_function(config.name).evolve(config=config, state=State.PENDING)
        return self.functions[config.name]

    async def delete(self, name):
        self.get(name)
        if self.urls.pop(name, None) is None:
            del self.functions[name]

    async def wait_settled(self, name, timeout_s=None, *, checked=True):
        self.waits.append(timeout_s)
        self.get(name)
        await self.settled.wait()
        return self.get(name)

    async def usage(self, since=0.0, function=None):
        self.asked.append((since, function))
        return Plain({"rows": [{"function": "hello", "invocations": 2}], "total": {"invocations": 2}})

    async def gc(self):
        return Plain({"bundles": {"count": 1, "bytes": 5}, "environments": {"count": 0, "bytes": 0}, "bytes_freed": 5})

    async def read(self, function, *, since_ms, request_id, limit):
        self.asked.append((since_ms, request_id, limit))
        return self.lines

    async def follow(self, function, *, since_ms, request_id, limit):
        self.following += 1
        try:
            for line in self.lines:
                yield line
            while True:
                yield await self.more.get()
        finally:
            self.following -= 1


@dataclass
class FakeKey:
    id: str
    name: str
    permissions: tuple
    created: datetime = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)


class FakeKeys:
    """Keys by name, all with one secret."""

    def __init__(self):
        self.keys = {}

    async def create(self, name, permissions):
        if name in self.keys:
            raise Conflict(name)
        self.keys[name] = FakeKey(f"ID-{name}", name, tuple(permissions))
        return self.keys[name], "s3cret"

    def list(self):
        return list(self.keys.values())

    async def remove(self, name):
        if name not in self.keys:
            raise ResourceNotFound(name)
        return self.keys.pop(name)


class FakeSecrets:
    """Keeps values by name, and shows them to nobody."""

    def __init__(self):
        self.values = {}

    async def set(self, name, value, *, binary):
        self.values[name] = (value, binary)
        version = SecretVersion(id="1", number=7, sealed=b"sealed", stages=("AWSCURRENT",))
        return Secret(name=name, suffix="abcdef", versions=(version,))

    def all(self):
        return [Secret(name=name, suffix="abcdef") for name in self.values]

    async def delete(self, name):
        if name not in self.values:
            raise ResourceNotFound(name)
        del self.values[name]
        return Secret(name=name, suffix="abcdef"), None


class FakeLayers:
    """Layers by name and number, of no content."""

    def __init__(self):
        self.versions = {}

    async def publish(self, name, archive, **about):
        number = len(self.versions) + 1
        bundle = Bundle("cd" * 32, archive.stat().st_size)
        self.versions[name, number] = LayerVersion(name=name, version=number, bundle=bundle, unpacked=7, **about)
        return self.versions[name, number]

    def all(self):
        return list(self.versions.values())

    def get(self, name, version):
        if (name, version) not in self.versions:
            raise ResourceNotFound(name)
        return self.versions[name, version]

    async def delete(self, name, version):
        del self.versions[name, version]

    def resolve(self, wanted):
        return tuple(FunctionLayer(arn=f"arn:layer:{one}", digest="cd" * 32, size=1, unpacked=2) for one in wanted)


class FakeStacks:
    """Stacks by name, with the revisions that they took."""

    def __init__(self):
        self.stacks = {}

    async def all(self):
        return list(self.stacks.values())

    async def get(self, name):
        if name not in self.stacks:
            raise ResourceNotFound(name)
        return self.stacks[name]

    async def put(self, name, revision, document):
        if revision != (self.stacks[name].revision if name in self.stacks else 0):
            raise StackChanged
        self.stacks[name] = Stack(name, revision + 1, document)
        return self.stacks[name]

    async def delete(self, name, revision):
        if (await self.get(name)).revision != revision:
            raise StackChanged
        del self.stacks[name]


@dataclass
class Plain:
    value: dict

    def as_json(self):
        return self.value


@pytest.fixture
def world():
    return FakeWorld()


@pytest.fixture
def links(clock):
    return CodeLinks("http://localhost:7070", clock=clock)


@pytest.fixture
def interface(world, tmp_path, links):
    archive = tmp_path / "code.zip"
    archive.write_bytes(b"PK the code")
    use_cases = UseCases(
        catalog=world, deployer=world, urls=world, concurrency=FakeConcurrency(), accounting=world, collector=world, logs=world, keys=FakeKeys(), secrets=FakeSecrets(), stacks=FakeStacks(), layers=FakeLayers(),
        instances=lambda name: Instances(1, 2) if name in (None, "hello") else Instances(),
        archive=lambda bundle: archive if bundle.digest == "ab" * 32 else tmp_path / "gone.zip",
    )  # fmt: skip
    facts = ServerFacts(
        version="9.9", url="http://localhost:7070", data="/data", auth="on", region="us-east-1", account="0" * 12, pid=7
    )
    spool = tmp_path / "spool"
    spool.mkdir()
    return Management(use_cases, facts, Home(), Uploads(spool, limit=1000), links)


@pytest.fixture
def ask(interface, request_, call):
    app = interface.app()

    def ask(method, path, *, principal=OWNER, chunks=None, disconnect=False, **more):
        request = request_(method, path, **more)
        extra = {"torpor.request": replace(request, principal=principal)}
        return call(app, request, extra=extra, chunks=chunks, disconnect=disconnect)

    return ask


def config_header(**config):
    return ("x-torpor-config", base64.b64encode(json.dumps(config).encode()).decode())


async def test_status_tells_where_and_what(ask):
    """The facts of the server, and how much there is."""
    reply = await ask("GET", "/_torpor/status")
    assert reply.json == {
        "version": "9.9", "url": "http://localhost:7070", "data": "/data", "auth": "on", "region": "us-east-1",
        "account": "0" * 12, "pid": 7, "functions": 1, "instances": 3,
    }  # fmt: skip


async def test_a_key_s_secret_is_told_once(ask):
    """Made, listed and removed; only the first answer holds the secret, and nobody keeps it."""
    body = json.dumps({"name": "ci", "permissions": ["lambda:*"]}).encode()
    shown = {
        "name": "ci", "access_key_id": "ID-ci", "permissions": ["lambda:*"], "created": "2026-01-02T03:04:05+00:00",
    }  # fmt: skip
    reply = await ask("POST", "/_torpor/keys", body=body)
    assert (reply.status, reply.header("cache-control")) == (201, "no-store")
    assert reply.json == shown | {"secret_access_key": "s3cret", "token": "ID-ci:s3cret"}
    assert (await ask("POST", "/_torpor/keys", body=body)).status == 409
    assert (await ask("GET", "/_torpor/keys")).json == {"keys": [shown]}
    assert (await ask("DELETE", "/_torpor/keys/ci")).json == shown
    assert (await ask("DELETE", "/_torpor/keys/ci")).status == 404
    assert (await ask("POST", "/_torpor/keys", body=b'{"name": 1}')).status == 400


async def test_a_secret_goes_in_and_does_not_come_out(interface, ask):
    """Set, listed and removed by names with slashes; no answer holds the value, and a too long one is refused."""
    secrets = interface._use.secrets
    reply = await ask("PUT", "/_torpor/secrets/prod/db", body=b"hunter2")
    assert (reply.status, reply.json["name"], reply.json["version"]) == (200, "prod/db", 7)
    await ask("PUT", "/_torpor/secrets//lead", body=b"\xff")
    assert secrets.values == {"prod/db": (b"hunter2", False), "/lead": (b"\xff", True)}
    listed = await ask("GET", "/_torpor/secrets")
    assert [one["name"] for one in listed.json["secrets"]] == ["prod/db", "/lead"]
    assert b"hunter2" not in reply.body + listed.body
    assert b"sealed" not in reply.body + listed.body
    assert (await ask("PUT", "/_torpor/secrets/x", body=b"x" * 65_537)).status == 400
    assert (await ask("DELETE", "/_torpor/secrets/prod/db")).json["name"] == "prod/db"
    assert (await ask("DELETE", "/_torpor/secrets/prod/db")).status == 404


async def test_a_stack_is_kept_for_whoever_deploys_it_next(ask):
    """Stored by revision, listed with counts, read whole, forgotten; who comes with an older state is refused."""
    document = {"status": "deployed", "resources": [1, 2], "waiting": [3], "template": "t.yaml", "changed": "now"}

    def put(revision, **changes):
        body = json.dumps({"revision": revision, "document": document | changes}).encode()
        return ask("PUT", "/_torpor/stacks/app", body=body)

    assert (await put(0)).json == {"name": "app", "revision": 1}
    assert (await put(0)).status == 409
    assert (await put(1, status="failed")).json["revision"] == 2
    assert (await ask("GET", "/_torpor/stacks")).json["stacks"] == [
        {
            "name": "app",
            "revision": 2,
            "status": "failed",
            "template": "t.yaml",
            "changed": "now",
            "resources": 2,
            "waiting": 1,
        }
    ]
    assert (await ask("GET", "/_torpor/stacks/app")).json["document"] == document | {"status": "failed"}
    assert (await ask("DELETE", "/_torpor/stacks/app", query="revision=1")).status == 409
    assert (await ask("DELETE", "/_torpor/stacks/app")).status == 400
    assert (await ask("DELETE", "/_torpor/stacks/app", query="revision=2")).status == 204
    assert (await ask("GET", "/_torpor/stacks/app")).status == 404
    for body in (b"[]", b'{"revision": "1", "document": {}}', b'{"revision": 1}', b"{" * 100):
        assert (await ask("PUT", "/_torpor/stacks/app", body=body)).status == 400


async def test_nobody_gives_a_function_what_they_do_not_hold(ask, world):
    """A key that may deploy cannot thereby do everything."""
    ci = Principal(Kind.KEY, "arn:ci", permissions=("lambda:*/new",))
    headers = [config_header(handler="a.b", runtime="python3.11", permissions=["lambda:*"])]
    reply = await ask("PUT", "/_torpor/functions/new", principal=ci, headers=headers, body=b"zip")
    assert (reply.status, reply.json["error"]["code"]) == (403, "AccessDeniedException")
    headers = [config_header(handler="a.b", runtime="python3.11", secrets=["DB=prod/db"])]
    reply = await ask("PUT", "/_torpor/functions/new", principal=ci, headers=headers, body=b"zip")
    assert "secretsmanager:GetSecretValue/prod/db" in reply.json["error"]["message"]
    assert "new" not in world.functions


async def test_a_function_is_described_without_its_secrets(ask, world):
    """State, configuration, addresses and instances; of the variables their names alone."""
    world.urls["hello"] = FunctionUrl(name="hello", auth="NONE")
    reply = await ask("GET", "/_torpor/functions/hello")
    told = reply.json
    assert told["arn"] == "arn:aws:lambda:us-east-1:000000000000:function:hello"
    assert (told["state"], told["update_status"], told["revision_id"]) == ("Active", "Successful", "rev-1")
    assert (told["handler"], told["memory_mb"], told["code_size"]) == ("app.handler", 128, 321)
    assert told["environment"] == "e" * 64
    assert told["url"] == told["invoke_url"] == "http://localhost:7070/fn/hello/"
    assert told["url_auth"] == "NONE"
    assert told["instances"] == {"idle": 1, "busy": 2}
    assert told["variables"] == ["SECRET"]
    assert b"value" not in reply.body


async def test_functions_are_listed_in_pages(ask, world):
    """Each page says where the next begins."""
    world.functions = {name: a_function(name) for name in "abc"}
    page = (await ask("GET", "/_torpor/functions", query="limit=2")).json
    assert ([one["name"] for one in page["functions"]], page["next"]) == (["a", "b"], "b")
    page = (await ask("GET", "/_torpor/functions", query="limit=2&after=b")).json
    assert ([one["name"] for one in page["functions"]], page["next"]) == (["c"], None)


async def test_a_deployment_is_streamed_into_a_file(ask, world, interface):
    """Configuration from the header, the archive from the body; the file is gone afterwards."""
    reply = await ask(
        "PUT", "/_torpor/functions/new", headers=[config_header(handler="a.b", memory_mb=256)], body=b"PKzip"
    )
    assert (reply.status, reply.json["state"]) == (201, "Pending")
    path, data = world.put_archives[0]
    assert data == b"PKzip"
    assert not path.exists()
    assert world.functions["new"].config.memory_mb == 256
    assert "new" not in world.urls


async def test_deploying_again_keeps_what_is_not_said(ask, world):
    """A role or a tag set by boto3 survives `torpor deploy`, and what the header says is replaced."""
    world.functions["hello"] = a_function(role="arn:aws:iam::0:role/r", memory_mb=512)
    reply = await ask(
        "PUT", "/_torpor/functions/hello", headers=[config_header(handler="new.handler", variables={})], body=b"PK"
    )
    config = world.functions["hello"].config
    assert reply.status == 200
    assert (config.handler, config.role, config.memory_mb) == ("new.handler", "arn:aws:iam::0:role/r", 512)
    assert config.variables == {}


async def test_a_deployment_reserves_concurrency(ask, world):
    """A reservation is made, stays when nothing is said of it, and one that is refused deploys nothing."""
    for given in ({"reserved_concurrency": 3}, {}):
        answer = await ask(
            "PUT", "/_torpor/functions/hello", body=b"PK", headers=[config_header(handler="a.b", **given)]
        )
        assert json.loads(answer.body)["reserved_concurrency"] == 3
    for wrong in (901, "3", True):
        header = config_header(handler="a.b", reserved_concurrency=wrong)
        assert (await ask("PUT", "/_torpor/functions/hello", body=b"PK", headers=[header])).status == 400
    assert len(world.put_archives) == 2


async def test_public_opens_and_closes_the_url(ask, world):
    """`public` true makes the URL, false removes a public one, and without it nothing changes."""
    for public, expected in ((True, "NONE"), (None, "NONE"), (False, None)):
        given = {"handler": "a.b"} if public is None else {"handler": "a.b", "public": public}
        reply = await ask("PUT", "/_torpor/functions/hello", headers=[config_header(**given)], body=b"PK")
        assert reply.json["url_auth"] == expected


async def test_streaming_sets_how_the_url_answers(ask, world):
    """It opens a URL for signers where there is none, survives a change of who may call, and is taken back."""
    steps = [({"streaming": True}, "AWS_IAM", True), ({"public": True}, "NONE", True), ({}, "NONE", True),
             ({"streaming": False}, "NONE", False), ({"public": False}, None, False), ({"streaming": False}, None, False)]  # fmt: skip
    for given, auth, streaming in steps:
        reply = await ask(
            "PUT", "/_torpor/functions/hello", headers=[config_header(handler="a.b", **given)], body=b"PK"
        )
        assert (reply.json["url_auth"], reply.json["streaming"]) == (auth, streaming)


@pytest.mark.parametrize(
    ("name", "header", "body", "says"),
    [
        ("new", [config_header(handler="a.b", streaming=1)], b"PK", "streaming"),
        ("new", [], b"PK", "x-torpor-config"),
        ("new", [("x-torpor-config", "%%%")], b"PK", "base64"),
        ("new", [("x-torpor-config", "e30")], b"PK", "base64"),
        ("new", [("x-torpor-config", base64.b64encode(b"[]").decode())], b"PK", "JSON object"),
        ("new", [config_header(memory_mb=1)], b"PK", "handler"),
        ("new", [config_header(handler="a.b", memory="1")], b"PK", "there is no setting `memory`"),
        ("new", [config_header(handler="a.b", memory_mb="much")], b"PK", "$.memory_mb"),
        ("new", [config_header(handler="a.b", variables={"A": 1})], b"PK", "$.variables"),
        ("new", [config_header(handler="a.b", public="yes")], b"PK", "public"),
        ("a.b", [config_header(handler="a.b")], b"PK", "cannot name a function"),
        ("new", [config_header(handler="a.b")], b"", "no body"),
    ],
)
async def test_a_deployment_that_is_wrong_says_where(ask, world, interface, name, header, body, says):
    """400 with the name of the field, and nothing is stored."""
    reply = await ask("PUT", f"/_torpor/functions/{name}", headers=header, body=body)
    assert reply.status == 400
    assert says in reply.json["error"]["message"]
    assert not world.put_archives
    assert not list(interface._uploads._spool.iterdir())


async def test_an_archive_beyond_the_limit_is_refused(ask, call, request_, interface, world):
    """413 by what is declared and by what arrives, and no file is left."""
    header = config_header(handler="a.b")
    assert (await ask("PUT", "/_torpor/functions/new", headers=[header], body=b"x" * 1001)).status == 413
    reply = await call(
        interface.app(),
        request_("PUT", "/_torpor/functions/new", headers=[header]),
        chunks=[b"x" * 600] * 2,
        extra={"torpor.request": request_(principal=OWNER)},
    )
    assert (reply.status, reply.json["error"]["code"]) == (413, "RequestTooLargeException")
    assert not list(interface._uploads._spool.iterdir())
    assert not world.put_archives


def test_what_a_killed_server_received_is_gone(tmp_path):
    """Half an archive is nobody's; other files of the folder are not touched."""
    (tmp_path / "upload-abc.zip").write_bytes(b"PK")
    (tmp_path / "cgroups.json").write_bytes(b"{}")
    Uploads(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["cgroups.json"]


async def test_a_full_disk_is_said_so(ask, world, monkeypatch, tmp_path):
    """What cannot be received for want of room, or of the folder, is no failure of unknown kind."""

    def full(_descriptor, _data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    reply = await ask("PUT", "/_torpor/functions/hello", headers=[config_header(handler="a.b")], body=b"PK")
    assert reply.status == 500
    assert reply.json["error"]["message"] == "The archive could not be stored: No space left on device."
    monkeypatch.undo()
    (tmp_path / "spool").rmdir()
    reply = await ask("PUT", "/_torpor/functions/hello", headers=[config_header(handler="a.b")], body=b"PK")
    assert "No such file or directory" in reply.json["error"]["message"]
    assert not world.put_archives


async def test_a_refused_deployment_leaves_no_file(ask, world, interface):
    """The use case's error is told, and the upload is removed."""
    world.error = Conflict("An update is in progress")
    reply = await ask("PUT", "/_torpor/functions/hello", headers=[config_header(handler="a.b")], body=b"PK")
    assert (reply.status, reply.json["error"]["message"]) == (409, "An update is in progress")
    assert not list(interface._uploads._spool.iterdir())


async def test_waiting_for_a_build_is_bounded(ask, world):
    """wait_s is passed on, never more than a minute, and 0 does not wait."""
    world.settled.set()
    for given in ("30", "0.5", "9999"):
        assert (await ask("GET", "/_torpor/functions/hello", query=f"wait_s={given}")).status == 200
    assert world.waits == [30.0, 0.5, 60.0]
    await ask("GET", "/_torpor/functions/hello", query="wait_s=0")
    assert len(world.waits) == 3


async def test_a_stopping_server_ends_waits(ask, world, interface, until):
    """A long poll answers with what is so, instead of holding up the stop."""
    polling = asyncio.create_task(ask("GET", "/_torpor/functions/hello", query="wait_s=60"))
    await until(lambda: world.waits)
    interface.closing.set()
    assert (await polling).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "functions/no"), ("DELETE", "functions/no"), ("GET", "logs/no"), ("DELETE", "functions/no/url")],
)
async def test_a_missing_function_is_told(ask, method, path):
    """404 with Lambda's name and words for it."""
    reply = await ask(method, f"/_torpor/{path}")
    assert (reply.status, reply.json["error"]["code"]) == (404, "ResourceNotFoundException")
    assert "function:no" in reply.json["error"]["message"]


async def test_a_function_is_removed(ask, world):
    """204, and it is gone."""
    assert (await ask("DELETE", "/_torpor/functions/hello")).status == 204
    assert not world.functions


async def test_a_url_is_opened_and_closed(ask, world):
    """Its address is told; closing twice is fine."""
    reply = await ask("PUT", "/_torpor/functions/hello/url", body=b'{"auth": "AWS_IAM"}')
    assert reply.json == {"url": "http://localhost:7070/fn/hello/", "auth": "AWS_IAM"}
    assert world.urls["hello"].auth == "AWS_IAM"
    for _ in range(2):
        assert (await ask("DELETE", "/_torpor/functions/hello/url")).status == 204
    assert world.functions
    assert not world.urls


@pytest.mark.parametrize("body", [b"{", b'{"auth": 1}', b'{"open": true}', b"x" * 70_000])
async def test_a_bad_body_is_told(ask, body):
    """400 for what is no JSON, has other fields, or is far too long."""
    assert (await ask("PUT", "/_torpor/functions/hello/url", body=body)).status == 400


async def test_a_log_is_read_as_lines(ask, world):
    """One JSON object a line, with the filters passed on."""
    world.lines = [LogLine(at_ms=1, stream="s", request_id="r", line="hé")]
    reply = await ask("GET", "/_torpor/logs/hello", query="since_ms=5&request=r&limit=7")
    assert reply.header("content-type") == "application/x-ndjson"
    assert [json.loads(line) for line in reply.body.splitlines()] == [
        {"at_ms": 1, "stream": "s", "request_id": "r", "line": "hé"}
    ]
    assert world.asked == [(5, "r", 7)]


@pytest.mark.parametrize("query", ["since_ms=x", "limit=0", "limit=100001", "follow=2", "since_ms=-1"])
async def test_a_bad_parameter_is_told(ask, query):
    """400, naming the parameter and what it takes."""
    reply = await ask("GET", "/_torpor/logs/hello", query=query)
    assert reply.status == 400
    assert query.partition("=")[0] in reply.json["error"]["message"]


async def test_following_ends_when_the_server_stops(ask, world, interface, until):
    """Lines are sent as they come, until the server closes; then the reader is let go."""
    world.lines = [LogLine(at_ms=1, stream="s", request_id="r", line="one")]
    world.more.put_nowait(LogLine(at_ms=2, stream="s", request_id="r", line="two"))
    reading = asyncio.create_task(ask("GET", "/_torpor/logs/hello", query="follow=1"))
    await until(lambda: world.following and world.more.empty())
    interface.closing.set()
    reply = await reading
    assert [json.loads(line)["line"] for line in reply.body.splitlines()] == ["one", "two"]
    await until(lambda: world.following == 0)


async def test_following_ends_when_the_client_leaves(ask, world, until):
    """Nobody reads for a client that has gone."""
    await ask("GET", "/_torpor/logs/hello", query="follow=1", chunks=[], disconnect=True)
    await until(lambda: world.following == 0)


async def test_usage_and_collection_are_passed_on(ask, world):
    """What the use cases report is the answer."""
    reply = await ask("GET", "/_torpor/usage", query="since=1767225600.5&function=hello")
    assert reply.json["total"] == {"invocations": 2}
    assert world.asked == [(1767225600.5, "hello")]
    assert (await ask("POST", "/_torpor/gc")).json["bytes_freed"] == 5
    assert (await ask("GET", "/_torpor/usage", query="since=nan")).status == 400


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/_torpor/x", 404), ("POST", "/_torpor/status", 405)])
async def test_what_is_not_there_is_told_in_json(ask, method, path, status):
    """404 and 405 in the shape of every other error."""
    reply = await ask(method, path)
    assert reply.status == status
    assert reply.json["error"]["code"] in ("NotFound", "MethodNotAllowed")


async def test_a_use_cases_error_has_its_status(ask, world):
    """Errors keep their code."""

    async def fail(name, *, auth):
        raise ResourceNotFound("Function does not exist")

    world.put = fail
    reply = await ask("PUT", "/_torpor/functions/hello/url", body=b"{}")
    assert (reply.status, reply.json["error"]["message"]) == (404, "Function does not exist")


async def test_a_link_to_code_needs_no_key_for_ten_minutes(ask, links, clock, call, request_, make_gateway, interface):
    """GetFunction's location works as it is, is bound to its function, and expires."""
    parts = urlsplit(links.location("hello", Bundle("ab" * 32, 11)))
    request = request_(path=parts.path, query=parts.query)
    reply = await call(make_gateway(own=interface.app()), request)
    assert (reply.status, reply.body, reply.header("content-type")) == (200, b"PK the code", "application/zip")
    other = request_(path=parts.path.replace("hello", "other"), query=parts.query)
    assert (await call(make_gateway(own=interface.app()), other)).status == 403
    for query in ("", parts.query.replace("expires=1", "expires=2"), "digest=a&expires=x&signature=b"):
        assert (await ask("GET", "/_torpor/code/hello", query=query)).status == 403
    clock.now += 601
    assert (await ask("GET", "/_torpor/code/hello", query=parts.query)).status == 403


async def test_a_link_to_collected_code_is_told(ask, links):
    """404 when the code is no longer kept."""
    parts = urlsplit(links.location("hello", Bundle("cd" * 32, 11)))
    assert (await ask("GET", parts.path, query=parts.query)).status == 404


async def test_layers_are_published_listed_and_removed(ask):
    """A layer's archive is the body, what is said about it the query; a version is removed by its number."""
    status = (
        reply := await ask("PUT", "/_torpor/layers/tools", query="description=d&runtimes=a+b", body=b"zip")
    ).status
    assert (status, reply.json["version"], reply.json["runtimes"]) == (201, 1, ["a", "b"])
    assert reply.json["arn"] == "arn:aws:lambda:us-east-1:000000000000:layer:tools:1"
    assert [one["description"] for one in (await ask("GET", "/_torpor/layers")).json["layers"]] == ["d"]
    assert (await ask("DELETE", "/_torpor/layers/tools/one")).status == 404
    assert (await ask("DELETE", "/_torpor/layers/tools/1")).status == 200
    assert (await ask("DELETE", "/_torpor/layers/tools/1")).status == 404
    assert (await ask("PUT", "/_torpor/layers/tools", query="color=green", body=b"zip")).status == 400


async def test_a_deployment_names_its_layers(ask, world):
    """Layers come by name and are stored with their code; what is no list of names is refused."""
    reply = await ask(
        "PUT", "/_torpor/functions/new", headers=[config_header(handler="a.b", layers=["x:1"])], body=b"z"
    )
    assert reply.status == 201
    assert reply.json["layers"] == ["arn:layer:x:1"]
    forged = config_header(handler="a.b", layers="x")
    assert (await ask("PUT", "/_torpor/functions/new", headers=[forged], body=b"z")).status == 400


async def test_a_deployment_asks_for_the_right_to_all_it_does(interface, ask, world):
    """Opening a URL, reserving concurrency and new connections take rights of their own; what is so already none."""
    deploys = ("lambda:CreateFunction", "lambda:UpdateFunctionCode", "lambda:UpdateFunctionConfiguration")
    ci = Principal(Kind.KEY, "arn:ci", permissions=deploys)

    async def put(who, **config):
        headers = [config_header(handler="a.b", **config)]
        return await ask("PUT", "/_torpor/functions/new", principal=who, headers=headers, body=b"PK")

    wanted = (
        ({"public": True}, "lambda:CreateFunctionUrlConfig", "lambda:UpdateFunctionUrlConfig"),
        ({"streaming": True}, "lambda:CreateFunctionUrlConfig", "lambda:UpdateFunctionUrlConfig"),
        ({"reserved_concurrency": 3}, "lambda:PutFunctionConcurrency"),
        ({"reach": ["127.0.0.1:5432"]}, "torpor:Connect/127.0.0.1:5432"),
        ({"layers": ["tools:1"]}, "lambda:GetLayerVersion/*"),
        ({"debug_port": 5678}, "torpor:Debug"),
    )
    for config, *rights in wanted:
        assert (await put(ci, **config)).status == 403, config
        holder = replace(ci, permissions=(*deploys, *rights))
        assert (await put(holder, **config)).status == 201, config
        assert (await put(ci, **config)).status == 200, config  # nothing changes
        await ask("DELETE", "/_torpor/functions/new")  # its URL
        world.functions.pop("new", None)
        interface._use.concurrency.reserved.clear()


async def test_a_log_that_others_write_to_takes_the_right_to_it(ask, world):
    """A function may log to another's group: who may read the one's log does not read the other's thereby."""
    world.functions["hello"] = a_function(log_group="/aws/lambda/other")
    ci = Principal(Kind.KEY, "arn:ci", permissions=("logs:FilterLogEvents//aws/lambda/hello",))
    assert (await ask("GET", "/_torpor/logs/hello", principal=ci)).status == 403
    ci = replace(ci, permissions=("logs:FilterLogEvents//aws/lambda/*",))
    assert (await ask("GET", "/_torpor/logs/hello", principal=ci)).status == 200


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("GET", "/_torpor/logs/hello", {"query": "limit=" + "9" * 5000}),
        ("POST", "/_torpor/keys", {"body": b'{"name": "\xff"}'}),
        ("POST", "/_torpor/keys", {"body": b'{"name": ' + b"[" * 20_000}),
        ("PUT", "/_torpor/functions/new", {"headers": [("x-torpor-config", base64.b64encode(b"[" * 20_000).decode())]}),
    ],
    ids=["digits", "not text", "deep body", "deep header"],
)
async def test_no_input_is_our_failure(ask, method, path, more):
    """Whatever cannot be read is the client's mistake."""
    assert (await ask(method, path, **more)).status == 400
