"""HTTP APIs made with boto3 and called by plain clients: web applications and handlers of others run as they are."""

import json
import struct
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
CORS = {"AllowOrigins": ["https://site.example"], "AllowMethods": ["GET", "POST"], "AllowHeaders": ["*"], "MaxAge": 60}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def arn(name):
    return f"arn:aws:lambda:us-east-1:000000000000:function:{name}"


class Visitor:
    """A client of one API, by its path or by its host; follows no redirect, and sees every header."""

    def __init__(self, server, api, by="path"):
        self.netloc = urlsplit(server.url).netloc
        endpoint = api["ApiEndpoint"]
        assert endpoint.startswith(server.url)
        self.base = endpoint.removeprefix(server.url) if by == "path" else ""
        port = self.netloc.rpartition(":")[2]
        self.host = self.netloc if by == "path" else f"{api['ApiId']}.localhost:{port}"

    def __call__(self, method, path, body=None, **headers):
        connection = HTTPConnection(self.netloc, timeout=60)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, self.base + path, body=body, headers={"host": self.host, **named})
            answer = connection.getresponse()
            return answer.status, [(name.lower(), value) for name, value in answer.getheaders()], answer.read()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def webapp(server):
    server.cli("deploy", str(EXAMPLES / "webapp"))
    client = server.client("apigatewayv2")
    return client.create_api(Name="notes", ProtocolType="HTTP", Target=arn("webapp"), CorsConfiguration=CORS)


@pytest.fixture(params=["path", "host"])
def visit(server, webapp, request):
    return Visitor(server, webapp, request.param)


def test_a_page_with_parameters_and_cookies(visit):
    """Query parameters and cookies reach FastAPI, and every cookie it sets reaches the client."""
    status, headers, body = visit("GET", "/?name=Ada%20L", cookie="visits=3; other=x")
    assert (status, body) == (200, b"Hello, Ada L! You were here 3 times.\n")
    cookies = [value.partition(";")[0] for name, value in headers if name == "set-cookie"]
    assert cookies == ["visits=4", 'last="Ada L"']
    assert dict(headers)["content-type"] == "text/plain; charset=utf-8"


def test_json_in_and_out_with_a_redirect_between(visit):
    """A note is posted as JSON, found by a redirect, and read by its number."""
    status, _, body = visit(
        "POST", "/notes", json.dumps({"text": "grüße", "stars": 5}), content_type="application/json"
    )
    note = json.loads(body)
    assert status == 201
    assert (note["text"], note["stars"]) == ("grüße", 5)
    status, headers, _ = visit("GET", "/latest")
    assert status == 307
    place = dict(headers)["location"]
    assert place == f"{visit.base}/notes/{note['id']}"
    status, _, body = visit("GET", place.removeprefix(visit.base))
    assert (status, json.loads(body)) == (200, note)


def test_validation_and_missing_things_are_told_by_the_application(visit):
    """FastAPI's own 422, 404 and 405 arrive as it wrote them."""
    status, _, body = visit("POST", "/notes", json.dumps({"text": "", "stars": 9}), content_type="application/json")
    assert status == 422
    assert {problem["loc"][-1] for problem in json.loads(body)["detail"]} == {"text", "stars"}
    assert visit("GET", "/notes/x")[0] == 422
    assert visit("GET", "/notes/999")[::2] == (404, b'{"detail":"no such note"}')
    assert visit("DELETE", "/notes/1")[0] == 405


def test_a_binary_download(visit):
    """Bytes arrive as they were made, with their type and name."""
    status, headers, body = visit("GET", "/files/a/b%20c.png?size=64")
    assert status == 200
    assert body.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", body[16:24]) == (64, 64)
    assert dict(headers)["content-type"] == "image/png"
    assert dict(headers)["content-disposition"] == 'attachment; filename="b c.png"'


def test_the_applications_own_documentation(visit):
    """FastAPI's description of itself is served like any other path."""
    status, _, body = visit("GET", "/openapi.json")
    assert status == 200
    assert "/notes/{number}" in json.loads(body)["paths"]


def test_cors_without_waking_the_function(visit, server):
    """A preflight costs no invocation; an answer carries the API's headers."""
    origin = "https://site.example"
    before = _invocations(server)
    status, headers, _ = visit("OPTIONS", "/notes", origin=origin, access_control_request_method="POST")
    assert status == 204
    assert dict(headers)["access-control-allow-origin"] == origin
    assert _invocations(server) == before
    status, headers, _ = visit("GET", "/", origin=origin)
    assert (status, dict(headers)["access-control-allow-origin"]) == (200, origin)
    assert "access-control-allow-origin" not in dict(visit("GET", "/", origin="https://evil.example")[1])


def _invocations(server):
    return server.owner("GET", "/_torpor/usage?function=webapp")[2]


POWERTOOLS = """
from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.utilities.parser import BaseModel, parse
from aws_lambda_powertools.utilities.parser.models import APIGatewayProxyEventV2Model

logger = Logger(service="orders")
app = APIGatewayHttpResolver(enable_validation=True)


class Order(BaseModel):
    item: str
    count: int


@app.get("/orders/<order>")
def read(order: str):
    if order == "none":
        raise NotFoundError("no such order")
    return {"order": order, "color": app.current_event.query_string_parameters.get("color")}


@app.post("/orders")
def add(order: Order) -> Order:
    logger.info("ordered", item=order.item)
    return order


@app.get("/raw")
def raw():
    return Response(status_code=200, content_type="application/octet-stream", body=b"\\x00\\xff", cookies=[])


@logger.inject_lambda_context(correlation_id_path="requestContext.requestId")
def handler(event, context):
    parse(event=event, model=APIGatewayProxyEventV2Model)
    return app.resolve(event, context)
"""


def test_powertools_event_handler_logger_and_parser(server, create, eventually):
    """A handler with AWS Lambda Powertools routes, validates and logs as on AWS, on a named stage too."""
    files = {"app.py": POWERTOOLS, "requirements.txt": "aws-lambda-powertools[parser]>=3\n"}
    create(server, "orders", files, Environment={"Variables": {"POWERTOOLS_LOG_LEVEL": "INFO"}})
    client = server.client("apigatewayv2")
    api = client.create_api(Name="orders", ProtocolType="HTTP")
    asked = {"IntegrationType": "AWS_PROXY", "IntegrationUri": arn("orders"), "PayloadFormatVersion": "2.0"}
    target = f"integrations/{client.create_integration(ApiId=api['ApiId'], **asked)['IntegrationId']}"
    for key in ("GET /orders/{order}", "POST /orders", "GET /raw"):
        client.create_route(ApiId=api["ApiId"], RouteKey=key, Target=target)
    client.create_stage(ApiId=api["ApiId"], StageName="$default", AutoDeploy=True)
    client.create_stage(ApiId=api["ApiId"], StageName="dev", AutoDeploy=True)
    visit = Visitor(server, api)
    status, _, body = visit("GET", "/orders/a%20b?color=green")
    assert (status, json.loads(body)) == (200, {"order": "a b", "color": "green"})
    assert visit("GET", "/dev/orders/7")[0] == 200
    assert visit("GET", "/orders/none")[0] == 404
    assert visit("GET", "/elsewhere")[::2] == (404, b'{"message":"Not Found"}')
    order = {"item": "tea", "count": 2}
    status, headers, body = visit("POST", "/orders", json.dumps(order), content_type="application/json")
    assert (status, json.loads(body)) == (200, order)
    assert visit("POST", "/orders", json.dumps({"item": "tea"}), content_type="application/json")[0] == 422
    assert visit("GET", "/raw")[2] == b"\x00\xff"
    request_id = dict(headers)["apigw-requestid"]
    line = eventually(lambda: next((one for one in _log(server, "orders") if '"ordered"' in one), None))
    told = json.loads(line)
    assert (told["service"], told["item"], told["correlation_id"]) == ("orders", "tea", request_id)


def _log(server, function):
    text = server.owner("GET", f"/_torpor/logs/{function}")[2].decode()
    return [json.loads(line)["line"] for line in text.splitlines()]


FORMAT_1 = """
import json

def handler(event, context):
    headers = {"x-resource": event["resource"]}
    many = {"set-cookie": ["a=1", "b=2"]}
    return {"statusCode": 201, "headers": headers, "multiValueHeaders": many, "body": json.dumps(event["pathParameters"])}
"""


def test_an_api_outlives_the_server(start_server, create, tmp_path):
    """Routes, stages and deployments are there again after a restart, and so is what format 1.0 answers."""
    server = start_server(data=tmp_path / "data")
    create(server, "old", FORMAT_1)
    client = server.client("apigatewayv2")
    api = client.create_api(Name="old", ProtocolType="HTTP")
    asked = {"IntegrationType": "AWS_PROXY", "IntegrationUri": arn("old"), "PayloadFormatVersion": "1.0"}
    target = f"integrations/{client.create_integration(ApiId=api['ApiId'], **asked)['IntegrationId']}"
    client.create_route(ApiId=api["ApiId"], RouteKey="ANY /x/{rest+}", Target=target)
    deployment = client.create_deployment(ApiId=api["ApiId"])["DeploymentId"]
    client.create_stage(ApiId=api["ApiId"], StageName="prod", DeploymentId=deployment)
    client.create_route(ApiId=api["ApiId"], RouteKey="GET /later", Target=target)
    server.stop()
    again = start_server(data=tmp_path / "data")
    api = again.client("apigatewayv2").get_api(ApiId=api["ApiId"])
    visit = Visitor(again, api)
    status, headers, body = visit("PUT", "/prod/x/a/b", b"1")
    assert (status, json.loads(body)) == (201, {"rest": "a/b"})
    assert [value for name, value in headers if name == "set-cookie"] == ["a=1", "b=2"]
    assert visit("GET", "/prod/later")[0] == 404
    assert visit("GET", "/x/a")[0] == 404
    again.client("lambda").delete_function(FunctionName="old")
    assert visit("GET", "/prod/x/a")[::2] == (500, b'{"message":"Internal Server Error"}')
    again.client("apigatewayv2").delete_api(ApiId=api["ApiId"])
    assert visit("GET", "/prod/x/a")[0] == 404
