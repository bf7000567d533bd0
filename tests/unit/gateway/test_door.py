"""The application behind every door."""

# ruff: noqa: PLR0917  - fixtures are parameters

import asyncio
from datetime import datetime

import pytest
import structlog

from torpor.core.function import FunctionConfig
from torpor.core.identity import Credentials, Key, Kind, Principal, SessionExpired
from torpor.core.limits import Limits
from torpor.gateway.auth import Closed, Keys
from torpor.gateway.door import CREDENTIALS, Doors, Visitor
from torpor.gateway.loans import Memory

CONFIG = FunctionConfig(name="hello", handler="app.handler", permissions=("lambda:InvokeFunction",))
ARN = "arn:aws:sts::000000000000:assumed-role/torpor/hello"
INVOKE = "/2015-03-31/functions/other/invocations"
SIGNED = {"key_id": "ASIA1", "secret": "s-1", "token": "t-1"}


class FakeSessions:
    """Numbered credentials; a token `other` is another function's."""

    def __init__(self, clock):
        self.clock = clock
        self.issued = {}

    def of_function(self, config, version, lifetime_s):
        number = len(self.issued) + 1
        given = Credentials(f"ASIA{number}", f"s-{number}", f"t-{number}", self.clock.now + lifetime_s)
        self.issued[given.access_key_id, given.token] = (config, given)
        return given

    def find(self, key_id, token):
        if (key_id, token) not in self.issued:
            return None
        config, given = self.issued[key_id, token]
        if self.clock.now >= given.expires:
            raise SessionExpired
        principal = Principal(Kind.FUNCTION, ARN, config.name, config.permissions)
        return Key(given.secret, principal, given.token)


@pytest.fixture
def sessions(clock):
    return FakeSessions(clock)


@pytest.fixture
def doors(front, clock, sessions):
    authenticator = Closed(Keys(session=sessions.find), clock)
    return Doors(front, front.service_of, authenticator, sessions, limits=Limits(sync_payload=100), clock=clock)


@pytest.fixture
def visitor(sessions):
    return Visitor(CONFIG, "$LATEST", Memory(150_000), authorization="the token of this door")


@pytest.fixture
def knock(doors, visitor, request_, call):
    def knock(method, path, **more):
        return call(doors, request_(method, path, host="127.0.0.1:9001", **more), state={"visitor": visitor})

    return knock


@pytest.fixture
def at_now(clock, time_machine_at):
    return time_machine_at(clock.now)


@pytest.fixture
def time_machine_at():
    import time_machine

    travellers = []

    def travel(to):
        traveller = time_machine.travel(to, tick=False)
        traveller.start()
        travellers.append(traveller)

    yield travel
    for traveller in travellers:
        traveller.stop()


@pytest.fixture
def ask(doors, visitor, sessions, request_, signed, call, at_now):
    """An invocation, signed with the first credentials of this door."""
    sessions.of_function(CONFIG, "$LATEST", 3600)

    def ask(body=b"{}", *, state=None, extra=None, **changes):
        request = signed(request_("POST", INVOKE, host="127.0.0.1:9001", body=body), **{**SIGNED, **changes})
        return call(doors, request, state=state or {"visitor": visitor}, extra=extra)

    return ask


async def test_an_instance_speaks_as_its_function(ask, front):
    """What is signed with the door's credentials has the function's rights."""
    reply = await ask()
    assert reply.json["kind"] == "function"
    assert front.requests[0].principal == Principal(Kind.FUNCTION, ARN, "hello", CONFIG.permissions)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"secret": "guessed"}, "InvalidSignatureException"),
        ({"token": "guessed"}, "UnrecognizedClientException"),
        ({"token": None}, "UnrecognizedClientException"),
        ({"key_id": "ASIA2"}, "UnrecognizedClientException"),
    ],
)
async def test_what_is_not_signed_with_them_is_refused(ask, front, changes, code):
    """The channel says which function it is, and that is not enough."""
    reply = await ask(**changes)
    assert (reply.status, reply.header("x-amzn-errortype")) == (403, code)
    assert not front.requests


async def test_who_makes_a_function_fetch_an_address_gets_nothing(knock, front):
    """A request without a signature is refused."""
    reply = await knock("POST", INVOKE, body=b"{}")
    assert (reply.status, reply.header("x-amzn-errortype")) == (403, "MissingAuthenticationTokenException")
    assert not front.requests


async def test_one_function_cannot_use_the_credentials_of_another(ask, sessions, front):
    """What another function's door gave out is good there alone."""
    other = sessions.of_function(FunctionConfig(name="other", handler="a.b"), "$LATEST", 60)
    reply = await ask(key_id=other.access_key_id, secret=other.secret, token=other.token)
    assert (reply.status, reply.header("x-amzn-errortype")) == (403, "AccessDeniedException")
    assert not front.requests


async def test_credentials_expire(ask, clock, time_machine_at):
    """An hour after they were given they are refused, by a name that SDKs know."""
    clock.now += 3600
    time_machine_at(clock.now)
    reply = await ask()
    assert (reply.status, reply.header("x-amzn-errortype")) == (403, "ExpiredTokenException")


async def test_credentials_are_given_for_the_token(knock, clock):
    """The container-credentials interface: new ones with each question."""
    headers = [("authorization", "the token of this door")]
    reply = await knock("GET", CREDENTIALS, headers=headers)
    given = reply.json
    assert (given["AccessKeyId"], given["SecretAccessKey"], given["Token"]) == ("ASIA1", "s-1", "t-1")
    assert datetime.fromisoformat(given["Expiration"]).timestamp() == clock.now + 3600
    assert reply.header("cache-control") == "no-store"
    assert (await knock("GET", CREDENTIALS, headers=headers)).json["AccessKeyId"] == "ASIA2"


@pytest.mark.parametrize("headers", [[], [("authorization", "guess")]])
async def test_credentials_are_refused_without_it(knock, headers):
    """401, and no secret in the answer."""
    reply = await knock("GET", CREDENTIALS, headers=headers)
    assert reply.status == 401
    assert "SecretAccessKey" not in reply.json


async def test_any_token_will_do_where_none_is_known(doors, request_, call):
    """The channel proves who asks; a request without a token is refused even then."""
    visitor = Visitor(CONFIG, "$LATEST", Memory(0))
    for headers, status in (([("authorization", "whatever")], 200), ([], 401), ([("authorization", "")], 401)):
        reply = await call(doors, request_("GET", CREDENTIALS, headers=headers), state={"visitor": visitor})
        assert reply.status == status


@pytest.mark.parametrize("path", ["/", "/fn/other/", "/_torpor/status", "/_torpor/functions/hello", "/_torpor/health"])
async def test_nothing_but_aws_is_behind_a_door(knock, front, path):
    """Our own interface and other functions' URLs are not: 403, saying what is."""
    reply = await knock("GET", path)
    assert (reply.status, reply.header("x-amzn-errortype")) == (403, "AccessDeniedException")
    assert "AWS services" in reply.json["message"]
    assert not front.requests


async def test_an_instance_cannot_fill_the_servers_memory(ask):
    """Bodies are bounded one by one."""
    assert (await ask(b"x" * 101)).status == 413


async def test_failures_are_plain(ask, front):
    """A failure of ours is 500 without its reason."""
    front.error = RuntimeError("secret")
    with structlog.testing.capture_logs() as logs:
        reply = await ask()
    assert (reply.status, reply.json["message"]) == (500, "Internal Server Error")
    assert [entry["action"] for entry in logs] == ["door_request_failed"]


async def test_an_instance_that_ends_cancels_what_it_asked(ask, front, until):
    """A call from an instance that has gone is dropped."""

    class Connection:
        on_lost = None

    front.wait, connection = asyncio.Event(), Connection()
    task = asyncio.create_task(ask(extra={"torpor.connection": connection}))
    await until(lambda: front.requests)
    connection.on_lost()
    assert await task is None
    assert front.cancelled == 1
