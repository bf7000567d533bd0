"""The application behind every door."""

# ruff: noqa: PLR0917  - fixtures are parameters

import asyncio
import json
from datetime import datetime

import pytest
import structlog

from torpor.core.identity import Kind, Principal
from torpor.core.limits import Limits
from torpor.gateway.door import CREDENTIALS, Doors, Pass, _Visitor
from torpor.gateway.loans import Memory

FUNCTION = Principal(
    Kind.FUNCTION, "arn:aws:sts::000000000000:assumed-role/hello/hello", "hello", ("lambda:InvokeFunction",)
)
INVOKE = "/2015-03-31/functions/other/invocations"


@pytest.fixture
def issued():
    return Pass(authorization="the token of this door")


@pytest.fixture
def doors(front, clock):
    return Doors(front, front.service_of, limits=Limits(sync_payload=100), clock=clock)


@pytest.fixture
def knock(doors, issued, request_, call):
    visitor = _Visitor(FUNCTION, issued, Memory(150_000))

    def knock(method, path, **more):
        return call(doors, request_(method, path, host="127.0.0.1:9001", **more), state={"visitor": visitor})

    return knock


async def test_an_instance_speaks_as_its_function(knock, front):
    """Whatever signature a request has, it is the function's own; the channel says so."""
    reply = await knock("POST", INVOKE, headers=[("authorization", "AWS4-HMAC-SHA256 nonsense")], body=b"{}")
    assert reply.json["kind"] == "function"
    assert front.requests[0].principal == FUNCTION


async def test_credentials_are_given_for_the_token(knock, clock, issued):
    """The container-credentials interface, renewed with each question."""
    reply = await knock("GET", CREDENTIALS, headers=[("authorization", "the token of this door")])
    given = reply.json
    assert given["AccessKeyId"] == issued.access_key_id
    assert given["SecretAccessKey"] == issued.secret_access_key
    assert given["Token"] == issued.token
    assert datetime.fromisoformat(given["Expiration"]).timestamp() == clock.now + 3600
    assert reply.header("cache-control") == "no-store"


@pytest.mark.parametrize("headers", [[], [("authorization", "guess")]])
async def test_credentials_are_refused_without_it(knock, headers):
    """401, and no secret in the answer."""
    reply = await knock("GET", CREDENTIALS, headers=headers)
    assert reply.status == 401
    assert "SecretAccessKey" not in reply.json


async def test_any_token_will_do_where_none_is_known(doors, request_, call):
    """The channel proves who asks; a request without a token is refused even then."""
    visitor = _Visitor(FUNCTION, Pass(), Memory(0))
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


async def test_an_instance_cannot_fill_the_servers_memory(knock):
    """Bodies are bounded one by one."""
    assert (await knock("POST", INVOKE, body=b"x" * 101)).status == 413


async def test_failures_are_plain(knock, front):
    """A failure of ours is 500 without its reason."""
    front.error = RuntimeError("secret")
    with structlog.testing.capture_logs() as logs:
        reply = await knock("POST", INVOKE)
    assert (reply.status, reply.json["message"]) == (500, "Internal Server Error")
    assert [entry["action"] for entry in logs] == ["door_request_failed"]


async def test_every_pass_is_its_own():
    """No two instances share credentials, and a pass does not print its secrets."""
    one, other = Pass(), Pass()
    assert not {one.access_key_id, one.secret_access_key, one.token} & {
        other.access_key_id, other.secret_access_key, other.token,
    }  # fmt: skip
    assert one.secret_access_key not in repr(one)
    assert one.token not in repr(one)


async def test_an_instance_that_ends_cancels_what_it_asked(doors, front, issued, request_, call, until):
    """A call from an instance that has gone is dropped."""

    class Connection:
        on_lost = None

    front.wait, connection = asyncio.Event(), Connection()
    state = {"visitor": _Visitor(FUNCTION, issued, Memory(0))}
    task = asyncio.create_task(
        call(doors, request_("POST", INVOKE), state=state, extra={"torpor.connection": connection})
    )
    await until(lambda: front.requests)
    connection.on_lost()
    assert await task is None
    assert front.cancelled == 1


def test_the_pass_reads_as_json_of_the_interface(issued):
    """Its parts are plain text, fit for a header and for JSON."""
    assert json.loads(json.dumps(issued.token)) == issued.token
    assert issued.access_key_id.isalnum()
