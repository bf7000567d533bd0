"""The one port: routes, authentication, bounds and failures."""

# ruff: noqa: PLR0917  - fixtures are parameters

import asyncio
import json
from dataclasses import replace

import pytest
import structlog

from torpor.core.identity import Kind
from torpor.core.limits import Limits
from torpor.gateway.app import GatewayOptions

INVOKE = "/2015-03-31/functions/hello/invocations"


@pytest.fixture
def gateway(make_gateway):
    return make_gateway()


async def test_health_needs_no_authentication(gateway, request_, call):
    """Anybody may ask whether the server is there."""
    reply = await call(gateway, request_(path="/_torpor/health"))
    assert (reply.status, reply.json) == (200, {"status": "ok", "version": "9.9"})
    assert reply.header("date").endswith("GMT")
    assert reply.header("content-type") == "application/json"


async def test_a_signed_request_reaches_aws_as_its_owner(gateway, front, request_, signed, call):
    """Body and principal arrive at the front."""
    reply = await call(gateway, signed(request_("POST", INVOKE, body=b'{"a": 1}')))
    assert (reply.status, reply.json) == (200, {"path": INVOKE, "size": 8, "kind": "owner"})
    assert front.requests[0].request_id


async def test_the_token_serves_everywhere(gateway, request_, call, bearer):
    """The command line calls the Lambda interface with its token instead of a signature."""
    assert (await call(gateway, request_("POST", INVOKE, headers=[bearer], body=b"{}"))).status == 200


@pytest.mark.parametrize(
    ("path", "headers", "status", "expected"),
    [
        (INVOKE, [], 403, ("MissingAuthenticationTokenException", "Missing Authentication Token")),
        (INVOKE, [("authorization", "Bearer guess")], 403, ("UnrecognizedClientException", "torpor env")),
        (INVOKE, [("authorization", "AWS4-HMAC-SHA256 x")], 403, ("IncompleteSignatureException", "'Credential'")),
    ],
)
async def test_a_stranger_is_refused_as_aws_does(gateway, front, request_, call, path, headers, status, expected):
    """The Lambda protocol: 403, the error's name in a header, a message in JSON; the body is never read."""
    reply = await call(gateway, request_("POST", path, headers=[*headers, ("content-length", "1000")]), chunks=[])
    assert reply.status == status
    assert reply.header("x-amzn-errortype") == expected[0]
    assert expected[1] in reply.json["message"]
    assert reply.header("x-amzn-requestid")
    assert not front.requests


async def test_json_protocols_get_their_own_kind_of_error(gateway, request_, call):
    """With X-Amz-Target the error is named in the body and the status is 400."""
    target = request_("POST", "/", headers=[("x-amz-target", "AmazonSQS.SendMessage")])
    reply = await call(gateway, signed_badly(target))
    assert (reply.status, reply.json["__type"]) == (400, "UnrecognizedClientException")


async def test_query_protocols_get_their_own_kind_of_error(gateway, request_, call):
    """STS and IAM answer in XML, with their own names of the same errors."""
    form = ("content-type", "application/x-www-form-urlencoded; charset=utf-8")
    reply = await call(gateway, signed_badly(request_("POST", "/", headers=[form]), service="sts"))
    assert reply.status == 403
    assert reply.header("content-type") == "text/xml"
    assert b"<Code>InvalidClientTokenId</Code>" in reply.body
    assert b"sts.amazonaws.com" in reply.body
    reply = await call(gateway, request_("POST", "/", headers=[form], body=b"Action=GetCallerIdentity"))
    assert b"<Code>MissingAuthenticationToken</Code>" in reply.body


@pytest.mark.parametrize(("path", "more"), [("/", ("x-amz-target", "Nope.Nope")), ("/nowhere", ("accept", "*/*"))])
async def test_who_signs_for_iam_or_sts_is_answered_in_xml_whatever_else_is_odd(gateway, request_, call, path, more):
    """Their clients can read nothing else, so the signature's word counts more than headers and path."""
    reply = await call(gateway, signed_badly(request_("POST", path, headers=[more]), service="iam"))
    assert (reply.status, reply.header("content-type")) == (403, "text/xml")
    assert b"<Code>InvalidClientTokenId</Code>" in reply.body


def signed_badly(request, service="sqs"):
    scope = f"AKIANOBODY/20260101/us-east-1/{service}/aws4_request"
    headers = (
        "authorization",
        f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date;x-amz-target, Signature=0",
    )
    return replace(request, headers=(*request.headers, headers, ("x-amz-date", "20260101T000000Z")))


async def test_nothing_else_is_there(gateway, request_, call, bearer):
    """Any other path is 404 in JSON, authenticated or not."""
    for headers in ([], [bearer]):
        reply = await call(gateway, request_(path="/favicon.ico", headers=headers))
        assert reply.status == 404
        assert "/favicon.ico" in reply.json["message"]


@pytest.mark.parametrize("path", ["/_torpor/functions/hello%2Furl", "/_torpor/functions%2fhello"])
async def test_an_encoded_slash_names_nothing(make_gateway, request_, call, bearer, path):
    """What decodes to another path is not taken for it: removing `hello/url` must not close the URL of `hello`."""

    async def own(_scope, _receive, _send):
        raise AssertionError("the request went on")

    reply = await call(make_gateway(own=own), request_("DELETE", path, headers=[bearer]))
    assert (reply.status, reply.json["error"]["code"]) == (404, "NotFound")
    assert path in reply.json["error"]["message"]


@pytest.mark.parametrize("host", [None, "evil.example", "evil.example:7070"])
@pytest.mark.parametrize("path", ["/_torpor/health", "/fn/hello/", INVOKE])
async def test_a_rebound_name_reaches_nothing(make_gateway, directory, request_, call, host, path):
    """A page that points its own name here is refused everywhere, authentication or not."""
    directory.open("hello", auth="NONE")
    for auth in ("on", "off"):
        reply = await call(make_gateway(auth=auth), request_(path=path, host=host))
        assert reply.status == (403 if host else 400)
        assert "Host" in reply.json["message"] or "--public-url" in reply.json["message"]


async def test_two_hosts_are_one_too_many(gateway, request_, call):
    """Which of them was checked and which was signed must not be a question."""
    assert (await call(gateway, request_(headers=[("host", "localhost")]))).status == 400


@pytest.mark.parametrize("headers", [[("origin", "https://evil.example")], [("sec-fetch-site", "cross-site")]])
@pytest.mark.parametrize("path", ["/_torpor/functions", INVOKE])
async def test_pages_of_other_origins_cannot_manage_or_invoke(
    make_gateway, front, request_, call, bearer, headers, path
):
    """Refused with authentication on and off: the page's user did not mean to ask."""
    for auth in ("on", "off"):
        reply = await call(make_gateway(auth=auth), request_("POST", path, headers=[*headers, bearer]))
        assert reply.status == 403
        assert b"origin" in reply.body
    assert not front.requests


async def test_without_authentication_programs_are_the_owner(make_gateway, front, request_, call):
    """`--auth off` lets unsigned and wrongly signed requests in."""
    gateway = make_gateway(auth="off")
    assert (await call(gateway, request_("POST", INVOKE))).status == 200
    assert (await call(gateway, request_(path="/_torpor/status"))).status == 200
    assert front.requests[0].principal.kind is Kind.OWNER


async def test_our_own_interface_needs_its_owner(gateway, request_, signed, call, bearer):
    """Token or signature, and errors in our own words."""
    reply = await call(gateway, request_(path="/_torpor/status"))
    assert (reply.status, reply.json["error"]["code"]) == (403, "MissingAuthenticationTokenException")
    assert (await call(gateway, request_(path="/_torpor/status", headers=[bearer]))).json["own"] == "/_torpor/status"
    reply = await call(gateway, signed(request_("PUT", "/_torpor/functions/a", body=b"12345")))
    assert reply.json == {"own": "/_torpor/functions/a", "size": 5}
    reply = await call(gateway, signed(request_("PUT", "/_torpor/functions/a", body=b"1"), secret="wrong"))
    assert reply.json["error"]["code"] == "InvalidSignatureException"


async def test_a_token_lets_a_body_stream_through(gateway, request_, call, bearer):
    """With the token nothing is read before our interface reads it, however long it is."""
    request = request_("PUT", "/_torpor/functions/a", headers=[bearer])
    assert (await call(gateway, request, chunks=[b"a" * 1000] * 50)).json["size"] == 50_000


async def test_invocations_and_uploads_have_their_own_limits(make_gateway, front, request_, call, bearer):
    """Six megabytes for an event, seventy for a directly uploaded archive; one more byte is 413."""
    limits = Limits(sync_payload=10, zip_direct=30)
    gateway = make_gateway(options=GatewayOptions(limits=limits))
    reply = await call(gateway, request_("POST", INVOKE, headers=[bearer], body=b"x" * 11))
    assert (reply.status, reply.header("x-amzn-errortype")) == (413, "RequestTooLargeException")
    assert reply.json["message"] == "Request must be smaller than 10 bytes for the InvokeFunction operation"
    create = "/2015-03-31/functions"
    assert (await call(gateway, request_("POST", create, headers=[bearer], body=b"x" * 11))).status == 200
    declared = [bearer, ("content-length", "400000")]
    assert (await call(gateway, request_("POST", create, headers=declared), chunks=[])).status == 413
    assert GatewayOptions().upload == 70_167_211


async def test_a_length_that_is_no_number_is_refused(gateway, request_, call, bearer):
    """400, and nothing is read."""
    reply = await call(gateway, request_("POST", INVOKE, headers=[bearer, ("content-length", "+5")]), chunks=[])
    assert reply.status == 400


async def test_large_bodies_share_bounded_memory(make_gateway, front, request_, call, bearer, until):
    """While others hold it all, a large request is told to come again; afterwards there is room."""
    front.wait = asyncio.Event()
    gateway = make_gateway(options=GatewayOptions(body_memory=200_000))
    request = request_("POST", INVOKE, headers=[bearer], body=b"x" * 150_000)
    first = asyncio.create_task(call(gateway, request))
    await until(lambda: front.requests)
    reply = await call(gateway, request)
    assert (reply.status, reply.header("x-amzn-errortype")) == (503, "ServiceUnavailableException")
    front.wait.set()
    assert (await first).status == 200
    assert (await call(gateway, request)).status == 200


async def test_a_body_that_stalls_is_given_up(make_gateway, request_, call, bearer):
    """408 when the next piece does not come in time."""
    gateway = make_gateway(options=GatewayOptions(patience_s=0.01))
    request = request_("POST", INVOKE, headers=[bearer, ("content-length", "10")])
    reply = await call(gateway, request, chunks=[])
    assert reply.status == 408


async def test_a_client_that_leaves_in_its_body_gets_nothing(gateway, front, request_, call, bearer):
    """No answer is sent to nobody, and nothing runs."""
    request = request_("POST", INVOKE, headers=[bearer])
    assert await call(gateway, request, chunks=[b"half"], disconnect=True) is None
    assert not front.requests


async def test_a_client_that_leaves_cancels_its_invocation(gateway, front, request_, call, bearer, until):
    """What has not begun when the client goes is dropped: the invocation is cancelled, and nothing is answered."""

    class Connection:
        on_lost = None

    front.wait, connection = asyncio.Event(), Connection()
    request = request_("POST", INVOKE, headers=[bearer], body=b"{}")
    task = asyncio.create_task(call(gateway, request, extra={"torpor.connection": connection}))
    await until(lambda: front.requests)
    connection.on_lost()
    assert await task is None
    assert front.cancelled == 1
    assert connection.on_lost is None


async def test_a_cancellation_from_elsewhere_is_passed_on(gateway, front, request_, call, bearer, until):
    """A stopping server's cancellation is not mistaken for a client that left."""
    front.wait = asyncio.Event()
    task = asyncio.create_task(call(gateway, request_("POST", INVOKE, headers=[bearer])))
    await until(lambda: front.requests)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_our_own_failures_are_plain(gateway, front, request_, call, bearer):
    """500 in JSON with the request's id, and the traceback in the log alone."""
    front.error = RuntimeError("secret detail")
    with structlog.testing.capture_logs() as logs:
        reply = await call(gateway, request_("POST", INVOKE, headers=[bearer]))
    assert (reply.status, reply.json["message"]) == (500, "Internal Server Error")
    assert b"secret" not in reply.body
    assert [entry["action"] for entry in logs] == ["request_failed"]
    assert logs[0]["request_id"] == reply.json["requestId"]


async def test_requests_are_logged_when_asked(make_gateway, request_, call):
    """One line with a stable action; without the option, none."""
    with structlog.testing.capture_logs() as logs:
        await call(make_gateway(), request_(path="/_torpor/health"))
        await call(make_gateway(options=GatewayOptions(log_requests=True)), request_(path="/_torpor/health"))
    assert [(line["action"], line["path"], line["status"]) for line in logs] == [
        ("http_request", "/_torpor/health", 200)
    ]


async def test_no_answer_for_what_is_not_http(gateway):
    """Lifespan and web socket events are left alone."""
    await gateway({"type": "lifespan"}, None, None)


async def test_head_answers_without_a_body(gateway, request_, call):
    """HEAD has the headers of GET; the server drops the body."""
    assert json.loads((await call(gateway, request_("HEAD", "/_torpor/health"))).body)["status"] == "ok"
