"""HTTP APIs at the edge: stages, routes, events of both formats, answers, CORS, throttles and refusals."""

import asyncio
import base64
import json

import pytest

from torpor.core.errors import FunctionNotFound, Throttled
from torpor.core.http_api import DEFAULT, HttpApi, Integration, Route, Stage, Throttle
from torpor.functions import api_changes

ARN = "arn:aws:lambda:us-east-1:000000000000:function:hello"
CORS = {"AllowOrigins": ["https://site.example"], "AllowMethods": ["GET", "PUT"], "AllowHeaders": ["x-a"], "MaxAge": 60}


@pytest.fixture
def build():
    """An API whose routes all lead to one function, deployed to `$default` and to `prod`."""

    def build(*keys, payload="2.0", uri=ARN, cors=None, authorization="NONE", throttle=None):
        api = HttpApi(id="abcdefghij", name="shop", cors=cors)
        integration = Integration(id="i1", uri=uri, payload=payload)
        api = api_changes.with_integration(api, integration)
        for number, key in enumerate(keys):
            route = Route(id=f"r{number}", key=key, integration="i1", authorization=authorization)
            api = api_changes.with_route(api, route)
        api = api_changes.with_stage(api, Stage(name=DEFAULT, auto_deploy=True, throttle=throttle))
        return api_changes.with_stage(api, Stage(name="prod", auto_deploy=True, variables={"fn": "hello", "v": "1"}))

    return build


@pytest.fixture
def serve(make_gateway, call, request_, invoker):
    """Calls a gateway that knows one API, by its host unless a path with the prefix is given."""

    def serve(api, auth="on"):
        gateway = make_gateway(auth=auth, apis=Apis(api))

        async def ask(method, path, *, headers=(), request=None, **more):
            host = "localhost:7070" if path.startswith("/api/") else f"{api.id}.localhost:7070"
            if request is None:
                request = request_(method, path, headers=headers, host=host, **more)
            return await call(gateway, request)

        return ask

    return serve


class Apis:
    def __init__(self, api):
        self.api = api

    def find(self, api_id):
        return self.api if api_id == self.api.id else None


async def test_a_request_becomes_an_event_of_format_2(serve, build, invoker):
    """Route, stage, path parameters, cookies and account are told; the path is decoded, the query as it was sent."""
    ask = serve(build("GET /items/{id}"))
    reply = await ask(
        "GET", "/items/a%20b", query="q=1&q=2&r=%20", headers=[("cookie", "a=1; b=2"), ("x-many", "1"), ("x-many", "2")]
    )
    assert reply.status == 200
    event = invoker.event
    assert event["version"] == "2.0"
    assert event["routeKey"] == "GET /items/{id}" == event["requestContext"]["routeKey"]
    assert event["rawPath"] == "/items/a b" == event["requestContext"]["http"]["path"]
    assert event["rawQueryString"] == "q=1&q=2&r=%20"
    assert event["queryStringParameters"] == {"q": "1,2", "r": " "}
    assert event["pathParameters"] == {"id": "a b"}
    assert event["cookies"] == ["a=1", "b=2"]
    assert event["headers"]["x-many"] == "1,2"
    assert event["requestContext"]["stage"] == "$default"
    assert event["requestContext"]["accountId"] == "000000000000"
    assert event["requestContext"]["apiId"] == "abcdefghij"
    assert event["isBase64Encoded"] is False
    assert "stageVariables" not in event
    assert "authorizer" not in event["requestContext"]
    assert str(invoker.calls[-1][0].name) == "hello"


async def test_a_request_becomes_an_event_of_format_1(serve, build, invoker):
    """Format 1.0 has every value of repeated headers and parameters, and null where there is none."""
    ask = serve(build("ANY /items/{id+}", payload="1.0"))
    await ask("POST", "/prod/items/a/b", query="q=1&q=2", headers=[("x-many", "1"), ("x-many", "2")], body=b"\xff\x00")
    event = invoker.event
    assert event["version"] == "1.0"
    assert event["resource"] == "/items/{id+}" == event["requestContext"]["resourcePath"]
    assert event["path"] == "/prod/items/a/b" == event["requestContext"]["path"]
    assert event["httpMethod"] == "POST"
    assert event["headers"]["x-many"] == "2"
    assert event["multiValueHeaders"]["x-many"] == ["1", "2"]
    assert event["queryStringParameters"] == {"q": "2"}
    assert event["multiValueQueryStringParameters"] == {"q": ["1", "2"]}
    assert event["pathParameters"] == {"id": "a/b"}
    assert event["stageVariables"] == {"fn": "hello", "v": "1"}
    assert base64.b64decode(event["body"]) == b"\xff\x00"
    assert event["isBase64Encoded"] is True
    assert event["requestContext"]["stage"] == "prod"
    assert event["requestContext"]["identity"]["sourceIp"] == "127.0.0.1"
    await ask("GET", "/items/x")
    empty = ("queryStringParameters", "multiValueQueryStringParameters", "stageVariables", "body")
    assert [invoker.event[name] for name in empty] == [None] * 4


async def test_a_stage_is_the_first_segment_of_the_path(serve, build, invoker):
    """A stage's name is part of the path that the function sees, as on AWS, and not of what routes are compared with."""
    ask = serve(build("GET /items"))
    assert (await ask("GET", "/prod/items")).status == 200
    assert invoker.event["rawPath"] == "/prod/items"
    assert invoker.event["requestContext"]["stage"] == "prod"
    assert invoker.event["stageVariables"] == {"fn": "hello", "v": "1"}
    assert (await ask("GET", "/items")).status == 200
    assert invoker.event["requestContext"]["stage"] == "$default"
    assert (await ask("GET", "/prod/other")).json == {"message": "Not Found"}


async def test_an_api_answers_below_its_path_too(serve, build, invoker):
    """Where names below localhost do not resolve, /api/ID leads to the same; redirects stay below it."""
    ask = serve(build("$default"))
    invoker.payload = json.dumps({"statusCode": 307, "headers": {"Location": "/next?a=1"}}).encode()
    reply = await ask("GET", "/api/abcdefghij/here")
    assert reply.header("location") == "/api/abcdefghij/next?a=1"
    assert reply.header("content-security-policy").startswith("sandbox")
    assert invoker.event["rawPath"] == "/here"
    assert invoker.event["headers"]["x-forwarded-prefix"] == "/api/abcdefghij"
    for place, told in [
        ("http://localhost:7070/next", "http://localhost:7070/api/abcdefghij/next"),
        ("https://other.example/next", "https://other.example/next"),
        ("//other.example/next", "//other.example/next"),
        ("/api/abcdefghij/next", "/api/abcdefghij/next"),
        ("next", "next"),
    ]:
        invoker.payload = json.dumps({"statusCode": 302, "headers": {"location": place}}).encode()
        assert (await ask("GET", "/api/abcdefghij/here")).header("location") == told
    invoker.payload = json.dumps({"statusCode": 302, "headers": {"location": "/next"}}).encode()
    assert (await ask("GET", "/here")).header("location") == "/next"


async def test_responses_of_format_2_may_be_inferred(serve, build, invoker):
    """A result without statusCode is a JSON body; one with it is a response, text unless it says otherwise."""
    ask = serve(build("$default"))
    invoker.payload = b'{"a": 1}'
    reply = await ask("GET", "/")
    assert (reply.status, reply.json, reply.header("content-type")) == (200, {"a": 1}, "application/json")
    cookies = {"statusCode": "201", "body": "hi", "cookies": ["a=1; Path=/", "b=2"]}
    invoker.payload = json.dumps(cookies).encode()
    reply = await ask("GET", "/")
    assert (reply.status, reply.body) == (201, b"hi")
    assert reply.header("content-type") == "text/plain; charset=utf-8"
    assert [value for name, value in reply.headers if name == "set-cookie"] == ["a=1; Path=/", "b=2"]
    assert reply.header("apigw-requestid")


async def test_responses_of_format_1_must_have_a_status(serve, build, invoker):
    """Nothing is inferred in format 1.0, and multi-value headers stand beside the plain ones."""
    ask = serve(build("$default", payload="1.0"))
    for wrong in (b'{"a": 1}', b'"text"', b"[]", b"null"):
        invoker.payload = wrong
        assert (await ask("GET", "/")).status == 500
    many = {"X-A": ["1", "2"], "Set-Cookie": ["a=1", "b=2"]}
    response = {
        "statusCode": 200,
        "headers": {"x-a": "1", "x-b": "3"},
        "multiValueHeaders": many,
        "body": "aGk=",
        "isBase64Encoded": True,
    }
    invoker.payload = json.dumps(response).encode()
    reply = await ask("GET", "/")
    assert reply.body == b"hi"
    assert [value for name, value in reply.headers if name == "x-a"] == ["1", "2"]
    assert [value for name, value in reply.headers if name == "set-cookie"] == ["a=1", "b=2"]
    assert reply.header("x-b") == "3"


@pytest.mark.parametrize(
    "payload", [b'{"statusCode": "soon"}', b'{"statusCode": 200, "body": {}}', b'{"statusCode": 99}']
)
async def test_a_malformed_response_is_an_internal_error(serve, build, invoker, payload):
    """What is no response is told by status 500, and why in a header."""
    invoker.payload = payload
    reply = await serve(build("$default"))("GET", "/")
    assert (reply.status, reply.json) == (500, {"message": "Internal Server Error"})
    assert reply.header("x-torpor-malformed")


async def test_errors_are_told_in_api_gateways_words(serve, build, invoker):
    """Of a function's failure no visitor hears more than that there was one; a throttle is unavailability."""
    ask = serve(build("$default"))
    invoker.function_error = "Unhandled"
    assert ((await ask("GET", "/")).status, (await ask("GET", "/")).json) == (500, {"message": "Internal Server Error"})
    invoker.function_error = None
    invoker.error = Throttled()
    reply = await ask("GET", "/")
    assert (reply.status, reply.json) == (503, {"message": "Service Unavailable"})
    invoker.error = FunctionNotFound("secret name")
    reply = await ask("GET", "/")
    assert reply.status == 500
    assert b"secret" not in reply.body
    reply = await ask("POST", "/", headers=[("content-length", str(11 * 1024 * 1024))], body=b"x")
    assert (reply.status, reply.json) == (413, {"message": "Request Entity Too Large"})


async def test_what_is_not_there_is_not_found(serve, build, request_, call):
    """An unknown API, a disabled one, one without a deployment, and a path without a route answer alike."""
    ask = serve(build("GET /here"))
    for path in ("/", "/there", "/api/abcdefghij/there", "/api/other/", "/api/", "/api"):
        reply = await ask("GET", path)
        assert reply.status == 404, path
    assert (await serve(build("$default").evolve(disabled=True))("GET", "/")).status == 404
    assert (await serve(HttpApi(id="abcdefghij", name="bare"))("GET", "/")).status == 404


async def test_a_route_that_leads_nowhere_is_an_internal_error(serve, build, invoker):
    """Without an integration, and where a stage's variables make no function's name, nothing is invoked."""
    api = build("GET /a", uri=ARN.replace("hello", "${stageVariables.fn}"))
    api = api_changes.settled(api, api_changes.with_route(api, Route(id="r9", key="GET /b")))
    ask = serve(api)
    assert (await ask("GET", "/b")).status == 500
    assert (await ask("GET", "/a")).status == 500
    assert not invoker.calls
    assert (await ask("GET", "/prod/a")).status == 200
    assert invoker.calls[-1][0].name == "hello"


async def test_a_preflight_does_not_wake_the_function(serve, build, invoker):
    """An API with CORS answers preflights by itself, on any path, and leaves others to the routes."""
    ask = serve(build("ANY /x", cors=CORS))
    asked = [("origin", "https://site.example"), ("access-control-request-method", "PUT")]
    reply = await ask("OPTIONS", "/anything", headers=[*asked, ("access-control-request-headers", "X-A")])
    assert reply.status == 204
    assert reply.header("access-control-allow-origin") == "https://site.example"
    assert reply.header("access-control-allow-methods") == "PUT"
    assert reply.header("access-control-allow-headers") == "x-a"
    assert reply.header("access-control-max-age") == "60"
    refused = await ask("OPTIONS", "/x", headers=[("origin", "https://evil.example"), asked[1]])
    assert refused.header("access-control-allow-origin") is None
    assert not invoker.calls
    assert (await ask("OPTIONS", "/x")).status == 200
    assert len(invoker.calls) == 1


async def test_cors_headers_are_the_apis_own(serve, build, invoker):
    """The function's own CORS headers give way, errors carry the API's too, and without CORS a preflight is a request."""
    ask = serve(build("GET /x", cors=CORS))
    invoker.payload = json.dumps({"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "*"}}).encode()
    origin = [("origin", "https://site.example")]
    reply = await ask("GET", "/x", headers=origin)
    assert [value for name, value in reply.headers if name == "access-control-allow-origin"] == ["https://site.example"]
    assert (await ask("GET", "/y", headers=origin)).header("access-control-allow-origin") == "https://site.example"
    plain = serve(build("ANY /x"))
    await plain("OPTIONS", "/x", headers=[*origin, ("access-control-request-method", "PUT")])
    assert invoker.event["requestContext"]["http"]["method"] == "OPTIONS"


async def test_a_stage_throttles(serve, build, invoker):
    """Beyond the burst requests are refused without waking the function; another stage is not concerned."""
    ask = serve(build("GET /x", throttle=Throttle(rate=1.0, burst=2)))
    statuses = [(await ask("GET", "/x")).status for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert (await ask("GET", "/prod/x")).status == 200
    assert len(invoker.calls) == 3
    closed = serve(build("GET /x", throttle=Throttle(rate=0.0, burst=0)))
    assert (await closed("GET", "/x")).json == {"message": "Too Many Requests"}


async def test_a_route_with_iam_wants_a_signature(serve, build, invoker, signed, request_):
    """Strangers are refused before their body is read; who signs is named in the event, without its credentials."""
    ask = serve(build("POST /x", authorization="AWS_IAM"))
    reply = await ask("POST", "/x", body=b"{}")
    assert (reply.status, reply.json) == (403, {"message": "Forbidden"})
    assert not invoker.calls
    request = request_("POST", "/x", host="abcdefghij.localhost:7070", body=b"{}")
    assert (await ask("POST", "/x", request=signed(request, service="execute-api"))).status == 200
    assert invoker.event["requestContext"]["authorizer"]["iam"]["userArn"] == "arn:aws:iam::000000000000:root"
    assert "authorization" not in invoker.event["headers"]
    assert (await ask("POST", "/x", request=signed(request, secret="wrong"))).status == 403
    unprotected = serve(build("POST /x", authorization="AWS_IAM"), auth="off")
    assert (await unprotected("POST", "/x")).status == 200
    assert (await unprotected("POST", "/x", headers=[("origin", "https://evil.example")])).status == 403


async def test_a_visitors_own_authorization_reaches_the_function(serve, build, invoker, bearer):
    """Without AWS_IAM the header is the application's, but the server's own token is never handed on."""
    ask = serve(build("$default"))
    await ask("GET", "/", headers=[("authorization", "Bearer of-the-application")])
    assert invoker.event["headers"]["authorization"] == "Bearer of-the-application"
    await ask("GET", "/", headers=[bearer])
    assert "authorization" not in invoker.event["headers"]


async def test_a_function_that_takes_too_long_is_not_waited_for(serve, build, make_gateway, call, request_):
    """After the integration's time the client hears that the service is unavailable."""

    class Slow:
        async def invoke(self, *_, **__):
            await asyncio.Event().wait()

    api = build("$default")
    integration = api.integrations["i1"].evolve(timeout_ms=1)
    api = api_changes.settled(api, api_changes.with_integration(api, integration))
    gateway = make_gateway(apis=Apis(api), api_invoker=Slow())
    reply = await call(gateway, request_("GET", "/api/abcdefghij/"))
    assert (reply.status, reply.json) == (503, {"message": "Service Unavailable"})


async def test_a_change_is_served_at_once(make_gateway, call, request_, build, invoker):
    """The table of routes is made anew when the API was changed, and not before."""
    apis = Apis(build("GET /a"))
    gateway = make_gateway(apis=apis)
    assert (await call(gateway, request_("GET", "/api/abcdefghij/b"))).status == 404
    changed = api_changes.with_route(apis.api, Route(id="r9", key="GET /b", integration="i1"))
    apis.api = api_changes.settled(apis.api, changed)
    assert (await call(gateway, request_("GET", "/api/abcdefghij/b"))).status == 200
