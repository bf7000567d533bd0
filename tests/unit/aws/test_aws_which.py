"""Telling requests for AWS from all others, and finding their operation."""

import pytest

from torpor.aws.protocol.faults import UnknownOperation
from torpor.aws.protocol.model import Operation
from torpor.aws.protocol.routing import Router
from torpor.aws.which import service_of
from torpor.core.http import HttpRequest

SIGNED = "AWS4-HMAC-SHA256 Credential=AKIA/20260101/eu-west-1/{}/aws4_request, SignedHeaders=host, Signature=0"
FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("request_", "service"),
    [
        (HttpRequest(method="GET", path="/any", headers=(("authorization", SIGNED.format("sqs")),)), "sqs"),
        (HttpRequest(method="GET", path="/", query="X-Amz-Credential=AK%2F20260101%2Fus-east-1%2Fsts%2Faws4_request"), "sts"),
        (HttpRequest(method="GET", path="/", query="a=b&X-Amz-Credential=AK/20260101/us-east-1/s3/aws4_request&c=d"), "s3"),
        (HttpRequest(method="POST", path="/2015-03-31/functions/f/invocations"), "lambda"),
        (HttpRequest(method="GET", path="/v2/apis"), "apigateway"),
        (HttpRequest(method="GET", path="/v2/tags/arn"), "apigateway"),
        (HttpRequest(method="GET", path="/v2/models/apis"), None),
        (HttpRequest(method="POST", path="/", headers=(("x-amz-target", "AmazonSQS.SendMessage"),)), "amazonsqs"),
        (HttpRequest(method="POST", path="/", headers=(("content-type", FORM),), body=b"Action=GetRole&Version=2010-05-08"), "iam"),
        (HttpRequest(method="GET", path="/", query="Action=GetCallerIdentity&Version=2011-06-15"), "sts"),
        (HttpRequest(method="POST", path="/", body=b"Action=Any&Version=1999-01-01"), None),
        (HttpRequest(method="GET", path="/fn/hello/", headers=(("authorization", "Bearer token"),)), None),
        (HttpRequest(method="GET", path="/_torpor/status"), None),
        (HttpRequest(method="GET", path="/console/2015-03-31/x"), None),
        (HttpRequest(method="GET", path="/"), None),
    ],
)  # fmt: skip
def test_the_service_is_told_by_signature_path_target_or_form(request_, service):
    """The signature's service name first, then path, target and the form's version."""
    assert service_of(request_) == service


def operation(name, uri, method="GET"):
    return Operation(name=name, method=method, uri=uri, status=200, served=True)


ROUTER = Router(
    [
        operation("List", "/v1/things/"),
        operation("Get", "/v1/things/{Name}"),
        operation("Special", "/v1/things/special"),
        operation("Find", "/v1/things?find=One"),
        operation("GetPart", "/v1/things/{Name}/parts/{Part}"),
        operation("Put", "/v1/things/{Name}", "PUT"),
        operation("Object", "/{Bucket}/{Key+}"),
        operation("Tail", "/v2/{Path+}/end"),
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "query", "name", "labels"),
    [
        ("GET", "/v1/things", "", "List", {}),
        ("GET", "/v1/things/", "", "List", {}),
        ("GET", "/v1/things", "find=One&x=1", "Find", {}),
        ("GET", "/v1/things", "find=Two", "List", {}),
        ("GET", "/v1/things/a%2Fb%3Ac", "", "Get", {"Name": "a/b:c"}),
        ("GET", "/v1/things/special", "", "Special", {}),
        ("PUT", "/v1/things/special", "", "Put", {"Name": "special"}),
        ("GET", "/v1/things/a/parts/b", "", "GetPart", {"Name": "a", "Part": "b"}),
        ("GET", "/bucket/a/b%20c/d", "", "Object", {"Bucket": "bucket", "Key": "a/b c/d"}),
        ("GET", "/v2/a/b/c/end", "", "Tail", {"Path": "a/b/c"}),
    ],
)
def test_the_most_literal_route_wins(method, path, query, name, labels):
    """Literals before labels, labels before greedy ones, and labels are decoded once."""
    match = ROUTER.match(method, path, query)
    assert (match.operation.name, match.labels) == (name, labels)


@pytest.mark.parametrize(("method", "path"), [("DELETE", "/v1/things"), ("GET", "/"), ("GET", ""), ("GET", "/v1")])
def test_what_has_no_route_is_an_unknown_operation(method, path):
    """The refusal names method and path."""
    with pytest.raises(UnknownOperation, match=f"{method} {path}"):
        ROUTER.match(method, path, "")
