"""Functions over HTTP: who is let in, and what comes back."""

# ruff: noqa: PLR0917  - fixtures are parameters

import pytest

from torpor.core.errors import NotInvocable, RequestTooLarge, StartFailed, Throttled
from torpor.core.identity import Kind
from torpor.core.invocation import Result
from torpor.core.limits import Limits
from torpor.gateway.app import GatewayOptions


@pytest.fixture
def gateway(make_gateway):
    return make_gateway()


async def test_a_public_function_answers_everyone(gateway, directory, invoker, request_, call):
    """With auth NONE a stranger's request becomes an event, and the result an answer with what it cost."""
    directory.open("hello", auth="NONE")
    invoker.payload = b'{"statusCode": 201, "headers": {"X-A": "b"}, "body": "made"}'
    reply = await call(gateway, request_("POST", "/fn/hello/items/1", query="a=1", body=b"text"))
    assert (reply.status, reply.body) == (201, b"made")
    assert reply.header("x-a") == "b"
    assert invoker.event["rawPath"] == "/items/1"
    assert invoker.event["body"] == "text"
    assert invoker.calls[0][2].kind is Kind.ANONYMOUS
    assert {name: value for name, value in reply.headers if name.startswith("x-torpor-")} == {
        "x-torpor-start": "spawn",
        "x-torpor-init-ms": "81.23",
        "x-torpor-duration-ms": "1.50",
        "x-torpor-billed-ms": "83",
        "x-torpor-max-memory-mb": "40",
        "x-torpor-cpu-ms": "2.25",
    }
    assert reply.header("x-amzn-requestid") == invoker.event["requestContext"]["requestId"]


async def test_a_function_answers_under_its_own_host(gateway, directory, invoker, request_, call):
    """NAME.localhost gets the whole path, even one that is ours elsewhere, and needs no sandboxed pages."""
    directory.open("hello", auth="NONE")
    reply = await call(gateway, request_(path="/_torpor/status", host="hello.localhost:7070"))
    assert reply.status == 200
    assert invoker.event["rawPath"] == "/_torpor/status"
    assert reply.header("content-security-policy") is None


async def test_pages_beside_the_management_interface_are_sandboxed(gateway, directory, request_, call):
    """Under /fn/ a function shares our origin, so its pages get one of their own."""
    directory.open("hello", auth="NONE")
    policy = (await call(gateway, request_(path="/fn/hello/"))).header("content-security-policy")
    assert policy.startswith("sandbox ")
    assert "allow-same-origin" not in policy


@pytest.mark.parametrize("auth", [None, "AWS_IAM"])
async def test_a_closed_function_answers_its_owner_alone(
    gateway, directory, invoker, request_, signed, call, bearer, auth
):
    """Without a public URL a stranger is refused, and a signature or the token lets in, unseen by the function."""
    if auth:
        directory.open("hello", auth=auth)
    reply = await call(gateway, request_(path="/fn/hello/"))
    assert (reply.status, reply.json) == (403, {"Message": "Forbidden"})
    assert not invoker.calls
    for request in (
        signed(request_("POST", "/fn/hello/x", body=b"{}")),
        request_(path="/fn/hello/x", headers=[bearer]),
    ):
        assert (await call(gateway, request)).status == 200
        assert invoker.calls[-1][2].kind is Kind.OWNER
        assert "authorization" not in invoker.event["headers"]
        assert invoker.event["requestContext"]["authorizer"]["iam"]["userArn"].startswith("arn:")


async def test_a_presigned_link_opens_a_closed_function(gateway, request_, signed, call):
    """A query-signed address can be handed to somebody else."""
    assert (await call(gateway, signed(request_(path="/fn/hello/x", query="a=1"), by="query"))).status == 200


async def test_wrong_credentials_are_told(gateway, invoker, request_, signed, call):
    """A wrong signature or token is 403 with the reason, and nothing runs."""
    wrong = signed(request_("POST", "/fn/hello/"), secret="wrong")
    reply = await call(gateway, wrong)
    assert (reply.status, reply.header("x-amzn-errortype")) == (403, "InvalidSignatureException")
    reply = await call(gateway, request_(path="/fn/hello/", headers=[("authorization", "Bearer guess")]))
    assert reply.status == 403
    assert not invoker.calls


async def test_a_visitors_own_credentials_reach_a_public_function(
    gateway, directory, invoker, request_, call, bearer, key_token
):
    """Its visitors' Authorization is the function's business; our token and a key's are not."""
    directory.open("hello", auth="NONE")
    await call(gateway, request_(path="/fn/hello/", headers=[("authorization", "Bearer theirs")]))
    assert invoker.event["headers"]["authorization"] == "Bearer theirs"
    for ours in (bearer[1], key_token, key_token.replace("Bearer", "bearer")):
        await call(gateway, request_(path="/fn/hello/", headers=[("authorization", ours)]))
        assert "authorization" not in invoker.event["headers"]


async def test_a_public_url_opens_the_latest_version_alone(gateway, directory, request_, call):
    """A qualifier names something else than what was opened."""
    directory.open("hello", auth="NONE")
    assert (await call(gateway, request_(path="/fn/hello:3/"))).status == 403
    assert (await call(gateway, request_(path="/fn/hello:%24LATEST/"))).status == 200


async def test_a_qualifier_reaches_the_invocation(gateway, invoker, request_, call, bearer):
    """/fn/NAME:QUALIFIER/ invokes that version or alias."""
    await call(gateway, request_(path="/fn/hello:live/a", headers=[bearer]))
    assert invoker.calls[0][0].text == "hello:live"
    assert invoker.event["headers"]["x-forwarded-prefix"] == "/fn/hello:live"


@pytest.mark.parametrize("path", ["/fn/missing/", "/fn/", "/fn/a%2Fb/", "/fn/hello:/", "/fn/hel lo/"])
async def test_what_names_no_function_is_not_found(gateway, request_, call, path):
    """404, in Lambda's words."""
    reply = await call(gateway, request_(path=path))
    assert reply.status == 404
    assert "Message" in reply.json


@pytest.mark.parametrize(
    ("change", "status", "body"),
    [
        ({"function_error": "Unhandled", "result": Result.ERROR}, 502, {"message": "Internal Server Error"}),
        ({"function_error": "Unhandled", "result": Result.EXIT}, 502, {"message": "Internal Server Error"}),
        ({"function_error": "Unhandled", "result": Result.TIMEOUT}, 504, {"message": "Endpoint request timed out"}),
        ({"payload": b'{"statusCode": "x"}'}, 502, {"message": "Internal Server Error"}),
        ({"payload": b"[1]"}, 200, [1]),
        ({"error": StartFailed("no memory")}, 500, {"Message": "no memory"}),
        ({"error": RequestTooLarge("too large")}, 413, {"Message": "too large"}),
        ({"error": NotInvocable("Pending")}, 409, {"Message": "The function is not ready to answer."}),
        (
            {"error": Throttled()},
            429,
            {"Reason": "ConcurrentInvocationLimitExceeded", "Type": "User", "message": "Rate Exceeded."},
        ),
    ],
)
async def test_each_way_to_fail_has_its_status(gateway, directory, invoker, request_, call, change, status, body):
    """As the reference says: 502 for the function, 429 for a throttle, 504 for a time-out."""
    directory.open("hello", auth="NONE")
    for name, value in change.items():
        setattr(invoker, name, value)
    reply = await call(gateway, request_(path="/fn/hello/"))
    assert (reply.status, reply.json) == (status, body)


async def test_a_malformed_response_says_what_is_wrong(gateway, directory, invoker, request_, call):
    """The developer reads in a header why their response is a 502."""
    directory.open("hello", auth="NONE")
    invoker.payload = b'{"statusCode": 200, "body": {"a": 1}}'
    assert "json.dumps" in (await call(gateway, request_(path="/fn/hello/"))).header("x-torpor-malformed")


async def test_the_owner_reads_why_a_function_is_not_ready(gateway, invoker, request_, call, bearer):
    """A failed build's reason is for its owner."""
    invoker.error = NotInvocable("State: Failed. No such package")
    reply = await call(gateway, request_(path="/fn/hello/", headers=[bearer]))
    assert (reply.status, reply.json) == (409, {"Message": "State: Failed. No such package"})


async def test_a_preflight_does_not_wake_the_function(gateway, directory, invoker, request_, call):
    """CORS is answered from the URL's configuration, without credentials; the answer itself carries its headers."""
    cors = {"AllowOrigins": ["https://app.example"], "AllowMethods": ["PUT"], "AllowHeaders": ["*"]}
    directory.open("hello", auth="AWS_IAM", cors=cors)
    origin = ("origin", "https://app.example")
    reply = await call(
        gateway, request_("OPTIONS", "/fn/hello/", headers=[origin, ("access-control-request-method", "PUT")])
    )
    assert reply.status == 200
    assert reply.header("access-control-allow-methods") == "PUT"
    assert not invoker.calls
    directory.open("hello", auth="NONE", cors=cors)
    reply = await call(gateway, request_("PUT", "/fn/hello/", headers=[origin]))
    assert reply.header("access-control-allow-origin") == "https://app.example"
    assert len(invoker.calls) == 1


async def test_a_body_beyond_the_limit_is_refused_before_it_is_read(make_gateway, directory, invoker, request_, call):
    """413 by the declared length or by what arrives, and nothing runs."""
    gateway = make_gateway(options=GatewayOptions(limits=Limits(sync_payload=100)))
    directory.open("hello", auth="NONE")
    declared = request_("POST", "/fn/hello/", headers=[("content-length", "101")])
    assert (await call(gateway, declared, chunks=[])).status == 413
    assert (await call(gateway, request_("POST", "/fn/hello/"), chunks=[b"x" * 60, b"x" * 60])).status == 413
    assert not invoker.calls
    assert (await call(gateway, request_("POST", "/fn/hello/"), chunks=[b"x" * 50, b"x" * 50])).status == 200


async def test_without_authentication_pages_are_still_strangers(make_gateway, directory, invoker, request_, call):
    """With `--auth off` programs may call closed functions; a page of another origin may call public ones alone."""
    gateway = make_gateway(auth="off")
    assert (await call(gateway, request_(path="/fn/hello/"))).status == 200
    assert invoker.calls[0][2].kind is Kind.OWNER
    page = request_("POST", "/fn/hello/", headers=[("origin", "https://evil.example")])
    assert (await call(gateway, page)).status == 403
    directory.open("hello", auth="NONE")
    assert (await call(gateway, page)).status == 200
    assert len(invoker.calls) == 2
