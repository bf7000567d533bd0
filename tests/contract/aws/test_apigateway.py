"""API Gateway v2 as boto3 sees it: every operation that is offered, its paginators, and its errors."""

import json
from urllib.request import Request, urlopen

import pytest
from botocore.exceptions import ClientError

from torpor.core.identity import Kind, Principal

ARN = "arn:aws:lambda:us-east-1:000000000000:function:hello"


@pytest.fixture
def client(world):
    return world.client("apigatewayv2")


@pytest.fixture
def api(client):
    return client.create_api(Name="shop", ProtocolType="HTTP")["ApiId"]


def refused(call, /, **params):
    """Status, code and message of the error that a call ends with."""
    with pytest.raises(ClientError) as caught:
        call(**params)
    response = caught.value.response
    return (
        response["ResponseMetadata"]["HTTPStatusCode"],
        response["Error"]["Code"],
        response["Error"]["Message"],
    )


def integrate(client, api, **more):
    asked = {"IntegrationType": "AWS_PROXY", "IntegrationUri": ARN, "PayloadFormatVersion": "2.0"} | more
    return client.create_integration(ApiId=api, **asked)


def test_the_life_of_an_api(client, world):
    """Created, read, listed, changed and deleted, an API is told in API Gateway's words."""
    cors = {"AllowOrigins": ["https://site.example"], "AllowMethods": ["*"], "MaxAge": 60}
    made = client.create_api(
        Name="shop", ProtocolType="HTTP", Description="d", Version="v1", CorsConfiguration=cors, Tags={"team": "a"}
    )
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert made["ApiEndpoint"] == f"{world.url}/api/{made['ApiId']}"
    assert made["CorsConfiguration"] == cors
    assert made["ApiKeySelectionExpression"] == "$request.header.x-api-key"
    assert made["RouteSelectionExpression"] == "${request.method} ${request.path}"
    assert made["ProtocolType"] == "HTTP"
    assert made["DisableExecuteApiEndpoint"] is False
    got = client.get_api(ApiId=made["ApiId"])
    assert {name: got[name] for name in got if name != "ResponseMetadata"} == {
        name: made[name] for name in made if name != "ResponseMetadata"
    }
    changed = client.update_api(ApiId=made["ApiId"], Name="store", DisableExecuteApiEndpoint=True)
    assert (changed["Name"], changed["Description"], changed["DisableExecuteApiEndpoint"]) == ("store", "d", True)
    client.delete_cors_configuration(ApiId=made["ApiId"])
    assert "CorsConfiguration" not in client.get_api(ApiId=made["ApiId"])
    assert [item["Name"] for item in client.get_apis()["Items"]] == ["store"]
    assert client.delete_api(ApiId=made["ApiId"])["ResponseMetadata"]["HTTPStatusCode"] == 204
    status, code, message = refused(client.get_api, ApiId=made["ApiId"])
    assert (status, code) == (404, "NotFoundException")
    assert message == f"Invalid API identifier specified 000000000000:{made['ApiId']}"


def test_quick_create(client):
    """With a target, an API comes with an integration, a route and a stage, which its own operations change."""
    api = client.create_api(Name="quick", ProtocolType="HTTP", Target=ARN)["ApiId"]
    (route,) = client.get_routes(ApiId=api)["Items"]
    (integration,) = client.get_integrations(ApiId=api)["Items"]
    (stage,) = client.get_stages(ApiId=api)["Items"]
    assert (route["RouteKey"], route["ApiGatewayManaged"]) == ("$default", True)
    assert route["Target"] == f"integrations/{integration['IntegrationId']}"
    assert (integration["IntegrationUri"], integration["PayloadFormatVersion"]) == (ARN, "2.0")
    assert (stage["StageName"], stage["AutoDeploy"], stage["ApiGatewayManaged"]) == ("$default", True, True)
    client.update_api(ApiId=api, Target=f"{ARN}:live", RouteKey="GET /x")
    assert client.get_integrations(ApiId=api)["Items"][0]["IntegrationUri"] == f"{ARN}:live"
    assert client.get_routes(ApiId=api)["Items"][0]["RouteKey"] == "GET /x"
    for call, more in [
        (client.delete_route, {"RouteId": route["RouteId"]}),
        (client.update_route, {"RouteId": route["RouteId"], "RouteKey": "GET /y"}),
        (client.delete_integration, {"IntegrationId": integration["IntegrationId"]}),
        (client.delete_stage, {"StageName": "$default"}),
        (client.update_api, {"Target": "hello"}),
    ]:
        assert refused(call, ApiId=api, **more)[:2] == (400, "BadRequestException")
    plain = client.create_api(Name="plain", ProtocolType="HTTP")["ApiId"]
    assert refused(client.update_api, ApiId=plain, Target=ARN)[1] == "BadRequestException"


def test_routes_and_integrations(client, api):
    """Both are made, read, listed, changed and deleted; what is referred to stays."""
    integration = integrate(client, api, Description="d", TimeoutInMillis=5000)
    assert (integration["IntegrationMethod"], integration["ConnectionType"]) == ("POST", "INTERNET")
    integration_id = integration["IntegrationId"]
    target = f"integrations/{integration_id}"
    route = client.create_route(ApiId=api, RouteKey="GET /items/{id}", Target=target)
    assert route["AuthorizationType"] == "NONE"
    assert client.get_route(ApiId=api, RouteId=route["RouteId"])["Target"] == target
    changed = client.update_route(ApiId=api, RouteId=route["RouteId"], AuthorizationType="AWS_IAM", OperationName="get")
    assert (changed["RouteKey"], changed["AuthorizationType"]) == ("GET /items/{id}", "AWS_IAM")
    longer = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{ARN}/invocations"
    updated = client.update_integration(
        ApiId=api, IntegrationId=integration_id, IntegrationUri=longer, PayloadFormatVersion="1.0"
    )
    assert (updated["IntegrationUri"], updated["PayloadFormatVersion"], updated["TimeoutInMillis"]) == (
        longer,
        "1.0",
        5000,
    )
    assert client.get_integration(ApiId=api, IntegrationId=integration_id)["Description"] == "d"
    status, code, message = refused(client.delete_integration, ApiId=api, IntegrationId=integration_id)
    assert (status, code) == (409, "ConflictException")
    assert route["RouteId"] in message
    client.delete_route(ApiId=api, RouteId=route["RouteId"])
    client.delete_integration(ApiId=api, IntegrationId=integration_id)
    assert client.get_routes(ApiId=api)["Items"] == []
    assert client.get_integrations(ApiId=api)["Items"] == []


def test_stages_and_deployments(client, api):
    """A stage serves a deployment: one that is made by hand, or with AutoDeploy the newest."""
    assert refused(client.create_deployment, ApiId=api)[2].startswith("At least one route is required")
    client.create_route(ApiId=api, RouteKey="GET /a")
    first = client.create_deployment(ApiId=api, Description="first")
    assert (first["DeploymentStatus"], first["AutoDeployed"]) == ("DEPLOYED", False)
    variables = {"fn": "hello"}
    stage = client.create_stage(
        ApiId=api,
        StageName="prod",
        DeploymentId=first["DeploymentId"],
        StageVariables=variables,
        Tags={"a": "1"},
        DefaultRouteSettings={"ThrottlingRateLimit": 10.5, "ThrottlingBurstLimit": 5},
        RouteSettings={"GET /a": {"ThrottlingRateLimit": 1.0}},
    )
    assert stage["StageVariables"] == variables
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] == 10.5
    assert stage["RouteSettings"]["GET /a"]["ThrottlingRateLimit"] == 1.0
    assert refused(client.create_stage, ApiId=api, StageName="prod")[1] == "ConflictException"
    client.delete_route_settings(ApiId=api, StageName="prod", RouteKey="GET /a")
    assert client.get_stage(ApiId=api, StageName="prod")["RouteSettings"] == {}
    second = client.create_deployment(ApiId=api, StageName="prod")["DeploymentId"]
    assert client.get_stage(ApiId=api, StageName="prod")["DeploymentId"] == second
    assert refused(client.delete_deployment, ApiId=api, DeploymentId=second)[1] == "BadRequestException"
    client.update_deployment(ApiId=api, DeploymentId=first["DeploymentId"], Description="older")
    assert client.get_deployment(ApiId=api, DeploymentId=first["DeploymentId"])["Description"] == "older"
    client.delete_deployment(ApiId=api, DeploymentId=first["DeploymentId"])
    auto = client.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    client.create_route(ApiId=api, RouteKey="GET /b")
    later = client.get_stage(ApiId=api, StageName="$default")
    assert later["DeploymentId"] != auto["DeploymentId"]
    assert later["DeploymentId"] in later["LastDeploymentStatusMessage"]
    deployments = {item["DeploymentId"]: item["AutoDeployed"] for item in client.get_deployments(ApiId=api)["Items"]}
    assert deployments == {second: False, later["DeploymentId"]: True}
    moved = client.update_stage(ApiId=api, StageName="prod", AutoDeploy=True, Description="auto")
    assert (moved["AutoDeploy"], moved["DeploymentId"] != second) == (True, True)
    assert refused(client.update_stage, ApiId=api, StageName="prod", DeploymentId=second)[1] == "BadRequestException"
    client.delete_stage(ApiId=api, StageName="prod")
    assert [item["StageName"] for item in client.get_stages(ApiId=api)["Items"]] == ["$default"]


def test_tags(client, api):
    """APIs and stages are tagged by their ARNs."""
    client.create_stage(ApiId=api, StageName="prod")
    for arn in (f"arn:aws:apigateway:us-east-1::/apis/{api}", f"arn:aws:apigateway:us-east-1::/apis/{api}/stages/prod"):
        assert (
            client.tag_resource(ResourceArn=arn, Tags={"a": "1", "b": "2"})["ResponseMetadata"]["HTTPStatusCode"] == 201
        )
        client.untag_resource(ResourceArn=arn, TagKeys=["a"])
        assert client.get_tags(ResourceArn=arn)["Tags"] == {"b": "2"}
    assert client.get_api(ApiId=api)["Tags"] == {"b": "2"}
    assert refused(client.get_tags, ResourceArn="arn:aws:apigateway:us-east-1::/restapis/x")[0] == 404


def test_every_paginator_ends(client, api):
    """Pages follow each other until all were told, once each."""
    for number in range(5):
        client.create_api(Name=f"more-{number}", ProtocolType="HTTP")
        client.create_route(ApiId=api, RouteKey=f"GET /{number}")
        integrate(client, api)
        client.create_stage(ApiId=api, StageName=f"s{number}")
        client.create_deployment(ApiId=api)
    for operation, key, count, more in [
        ("get_apis", "ApiId", 6, {}),
        ("get_routes", "RouteId", 5, {"ApiId": api}),
        ("get_integrations", "IntegrationId", 5, {"ApiId": api}),
        ("get_stages", "StageName", 5, {"ApiId": api}),
        ("get_deployments", "DeploymentId", 5, {"ApiId": api}),
    ]:
        pages = list(client.get_paginator(operation).paginate(PaginationConfig={"PageSize": 2}, **more))
        names = [item[key] for page in pages for item in page["Items"]]
        assert len(pages) == 3
        assert len(set(names)) == len(names) == count


def test_wrong_values_are_refused_by_name(client, api):
    """What API Gateway would refuse, and what torpor does not do, is told with what to do."""
    bad = "BadRequestException"
    integration = {"IntegrationType": "AWS_PROXY", "IntegrationUri": ARN, "PayloadFormatVersion": "2.0"}
    for call, params, word in [
        (client.create_api, {"Name": "x", "ProtocolType": "WEBSOCKET"}, "WEBSOCKET"),
        (client.create_api, {"Name": "", "ProtocolType": "HTTP"}, "Name"),
        (client.create_api, {"Name": "x" * 129, "ProtocolType": "HTTP"}, "Name"),
        (client.create_api, {"Name": "x", "ProtocolType": "HTTP", "RouteKey": "GET /"}, "Target"),
        (
            client.create_api,
            {"Name": "x", "ProtocolType": "HTTP", "CorsConfiguration": {"AllowOrigins": ["x"]}},
            "origin",
        ),
        (client.create_route, {"ApiId": api, "RouteKey": "FETCH /"}, "route key"),
        (client.create_route, {"ApiId": api, "RouteKey": "GET /", "Target": "x"}, "integrations/"),
        (client.create_route, {"ApiId": api, "RouteKey": "GET /", "AuthorizationType": "JWT"}, "JWT"),
        (client.create_route, {"ApiId": api, "RouteKey": "GET /", "RequestParameters": {"a": {}}}, "RequestParameters"),
        (client.create_integration, {"ApiId": api, **integration, "IntegrationType": "HTTP_PROXY"}, "HTTP_PROXY"),
        (client.create_integration, {"ApiId": api, **integration, "PayloadFormatVersion": "3.0"}, "3.0"),
        (client.create_integration, {"ApiId": api, **integration, "IntegrationUri": "hello"}, "ARN"),
        (client.create_integration, {"ApiId": api, **integration, "ResponseParameters": {"200": {"a": "b"}}}, "mapped"),
        (client.create_integration, {"ApiId": api, "IntegrationType": "AWS_PROXY"}, "IntegrationUri"),
        (client.create_stage, {"ApiId": api, "StageName": "a b"}, "Stage name"),
        (client.create_stage, {"ApiId": api, "StageName": "s", "StageVariables": {"a b": "c"}}, "variable"),
        (
            client.create_stage,
            {"ApiId": api, "StageName": "s", "AccessLogSettings": {"Format": "x"}},
            "AccessLogSettings",
        ),
        (client.get_apis, {"NextToken": "!"}, "NextToken"),
        (client.get_apis, {"MaxResults": "many"}, "maxResults"),
    ]:
        status, code, message = refused(call, **params)
        assert (status, code) == (400, bad)
        assert word in message
    assert refused(client.create_route, ApiId=api, RouteKey="GET /", Target="integrations/none")[0] == 404
    assert refused(client.create_stage, ApiId=api, StageName="s", DeploymentId="none")[0] == 404
    assert refused(client.create_route, ApiId="none", RouteKey="GET /")[0] == 404
    client.create_route(ApiId=api, RouteKey="GET /{a}")
    assert refused(client.create_route, ApiId=api, RouteKey="GET /{b}")[1] == "ConflictException"
    assert refused(client.create_authorizer, ApiId=api, AuthorizerType="JWT", IdentitySource=["x"], Name="x")[0] == 501


def test_a_stage_s_variables_lead_nowhere_that_is_closed(world, client, api):
    """Whoever sets them chooses the function, where an integration names it by one; other changes stay theirs."""
    integrate(client, api, IntegrationUri=ARN.replace("hello", "${stageVariables.fn}"))
    client.create_stage(ApiId=api, StageName="s", StageVariables={"fn": "hello"})
    world.principal = Principal(Kind.KEY, "arn:aws:iam::000000000000:user/x", permissions=("apigateway:*",))
    stage = {"ApiId": api, "StageName": "s", "StageVariables": {"fn": "other"}}
    assert refused(client.update_stage, **stage)[:2] == (403, "AccessDeniedException")
    assert refused(client.create_stage, **stage | {"StageName": "t"})[0] == 403
    client.update_stage(ApiId=api, StageName="s", Description="mine", StageVariables={"fn": "hello"})
    allowed = ("apigateway:*", "lambda:InvokeFunction")
    world.principal = Principal(Kind.KEY, "arn:aws:iam::000000000000:user/x", permissions=allowed)
    client.update_stage(**stage)


def test_nobody_opens_what_is_closed_to_them(world, client, api):
    """A key that may change APIs makes integrations only of functions that it may invoke."""
    world.principal = Principal(Kind.KEY, "arn:aws:iam::000000000000:user/x", permissions=("apigateway:*",))
    assert refused(integrate, client=client, api=api)[:2] == (403, "AccessDeniedException")
    assert refused(client.create_api, Name="x", ProtocolType="HTTP", Target=ARN)[0] == 403
    allowed = ("apigateway:*", "lambda:InvokeFunction/hello")
    world.principal = Principal(Kind.KEY, "arn:aws:iam::000000000000:user/x", permissions=allowed)
    integration = integrate(client, api)["IntegrationId"]
    assert refused(client.update_integration, ApiId=api, IntegrationId=integration, IntegrationUri=f"{ARN}2")[0] == 403
    assert (
        refused(integrate, client=client, api=api, IntegrationUri=ARN.replace("hello", "${stageVariables.a}"))[0] == 403
    )
    world.principal = Principal(Kind.KEY, "arn:aws:iam::000000000000:user/x", permissions=("apigateway:GetApi/other",))
    assert refused(client.get_api, ApiId=api)[0] == 403


def test_odd_json_is_no_failure_of_ours(world, api):
    """Nulls in lists, half a surrogate pair and numbers beyond reason are refused, and not stored."""
    signature = "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/apigateway/aws4_request, Signature=x"
    for path, body in [
        ("/v2/apis", b'{"name":"x","protocolType":"HTTP","corsConfiguration":{"allowOrigins":[null]}}'),
        ("/v2/apis", b'{"name":"\\ud800","protocolType":"HTTP"}'),
        ("/v2/apis", b'{"name":"x","protocolType":"HTTP","tags":{"a":null}}'),
        (f"/v2/apis/{api}/stages", b'{"stageName":"s","routeSettings":{"GET /":null}}'),
        (f"/v2/apis/{api}/stages", b'{"stageName":"s","defaultRouteSettings":{"throttlingRateLimit":1e999}}'),
        (f"/v2/apis/{api}/stages", b'{"stageName":"s","stageVariables":{"a":null}}'),
        (f"/v2/apis/{api}/routes", b'{"routeKey":null}'),
        (f"/v2/apis/{api}/routes", b'{"routeKey":"GET /\\ud800"}'),
        (f"/v2/apis/{api}/deployments", b"[]"),
    ]:
        sent = Request(f"{world.url}{path}", body, {"authorization": signature}, method="POST")
        try:
            with urlopen(sent) as answer:
                status, told = answer.status, json.load(answer)
        except OSError as error:
            with error:
                status, told = error.code, json.load(error)
        assert 400 <= status < 500, (path, body, told)
        assert told["message"]
