"""OpenAPI documents as routes: no route is left more open than it was meant to be."""

import pytest

from torpor.cli.sam.api_bodies import BodyNotSupported, WantedRoute, read_body

FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:f"
URI = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{FUNCTION}/invocations"


def operation(**more):
    return {"x-amazon-apigateway-integration": {"type": "aws_proxy", "uri": URI, "payloadFormatVersion": "2.0"}, **more}


def test_paths_and_methods_are_routes():
    """`$default`, any method, and parameters, as HTTP APIs write them."""
    paths = {
        "/items/{id}": {"get": operation(), "parameters": []},
        "/all/{path+}": {"x-amazon-apigateway-any-method": operation()},
        "/$default": {"x-amazon-apigateway-any-method": operation(isDefaultRoute=True)},
    }
    api = read_body({"info": {"title": "shop"}, "paths": paths}, rest=False)
    assert api.title == "shop"
    assert [route.key for route in api.routes] == ["GET /items/{id}", "ANY /all/{path+}", "$default"]
    assert api.routes[0] == WantedRoute("GET /items/{id}", FUNCTION, "2.0")
    assert read_body({"paths": paths}, rest=True).routes[0].payload == "1.0"


def test_signatures_are_asked_for_and_other_authorizers_are_refused():
    """AWS_IAM is carried out; a JWT authorizer, or an API key, that would not be checked is no open route."""
    schemes = {"securitySchemes": {"AWS_IAM": {"x-amazon-apigateway-authtype": "awsSigv4"}, "Jwt": {"type": "oauth2"}}}
    signed = {"components": schemes, "paths": {"/a": {"get": operation(security=[{"AWS_IAM": []}])}}}
    assert read_body(signed, rest=False).routes[0].authorization == "AWS_IAM"
    for security in ([{"Jwt": []}], [{"api_key": []}]):
        with pytest.raises(BodyNotSupported, match="GET /a"):
            read_body({"components": schemes, "paths": {"/a": {"get": operation(security=security)}}}, rest=False)
        with pytest.raises(BodyNotSupported):  # of the whole document
            read_body({"security": security, "paths": {"/a": {"get": operation()}}}, rest=False)


def test_what_is_no_function_is_refused():
    """A route to an address, or to a mock, is not built."""
    for integration in ({"type": "http_proxy", "uri": "https://example.com"}, {"type": "mock"}, {}):
        with pytest.raises(BodyNotSupported):
            read_body({"paths": {"/a": {"get": {"x-amazon-apigateway-integration": integration}}}}, rest=False)


def test_cors_is_told_by_a_header_or_by_a_mock():
    """HTTP APIs have their own word for it, REST APIs a preflight that is mocked."""
    body = {"x-amazon-apigateway-cors": {"allowOrigins": ["https://a"], "maxAge": "60"}, "paths": {}}
    assert read_body(body, rest=False).cors == {"AllowOrigins": ["https://a"], "MaxAge": 60}
    headers = {
        "method.response.header.Access-Control-Allow-Origin": "'*'",
        "method.response.header.Access-Control-Allow-Methods": "'GET,PUT'",
    }
    mock = {"type": "mock", "responses": {"default": {"responseParameters": headers}}}
    rest = read_body(
        {"paths": {"/a": {"options": {"x-amazon-apigateway-integration": mock}, "get": operation()}}}, rest=True
    )
    assert rest.cors == {"AllowOrigins": ["*"], "AllowMethods": ["GET", "PUT"]}
    assert [route.key for route in rest.routes] == ["GET /a"]
