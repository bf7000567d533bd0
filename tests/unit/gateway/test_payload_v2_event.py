"""An HTTP request as a payload-format-2.0 event."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torpor.core.arn import Home
from torpor.core.http import HttpRequest
from torpor.core.identity import Kind, Principal
from torpor.gateway.payload_v2 import Addressed, event_of

NOW = 1_767_225_600.5


def event(request, *, path="/items", prefix="/fn/hello"):
    return json.loads(event_of(request, Addressed("hello", path, prefix, Home()), now=NOW))


def test_an_event_is_as_the_reference_says(request_):
    """Every field of the format, for a public request with query, cookies and a JSON body."""
    headers = [
        ("user-agent", "tester"),
        ("accept", "text/html"),
        ("accept", "text/plain"),
        ("cookie", "a=1; b=2"),
        ("content-type", "application/json"),
    ]
    request = request_("POST", "/fn/hello/items", query="x=1&x=2&y=%20z&w=", headers=headers, body=b'{"n": 1}')
    assert event(request) == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/items",
        "rawQueryString": "x=1&x=2&y=%20z&w=",
        "cookies": ["a=1", "b=2"],
        "headers": {
            "host": "localhost:7070",
            "user-agent": "tester",
            "accept": "text/html,text/plain",
            "cookie": "a=1; b=2",
            "content-type": "application/json",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-proto": "http",
            "x-forwarded-port": "7070",
            "x-forwarded-prefix": "/fn/hello",
        },
        "queryStringParameters": {"x": "1,2", "y": " z", "w": ""},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "hello",
            "domainName": "localhost",
            "domainPrefix": "hello",
            "http": {
                "method": "POST",
                "path": "/items",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "tester",
            },
            "requestId": "r-1",
            "routeKey": "$default",
            "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": 1767225600500,
        },
        "body": '{"n": 1}',
        "isBase64Encoded": False,
    }


def test_what_is_not_there_is_absent(request_):
    """As in the live service, a bare GET has no cookies, parameters or body."""
    bare = event(request_(), path="/", prefix="")
    assert not {"cookies", "queryStringParameters", "body"} & set(bare)
    assert bare["isBase64Encoded"] is False
    assert "x-forwarded-prefix" not in bare["headers"]


def test_a_signed_request_tells_who_signed_it(request_):
    """With AWS_IAM the authorizer names the caller."""
    owner = Principal(Kind.OWNER, "arn:aws:iam::000000000000:root")
    context = event(request_(principal=owner))["requestContext"]
    assert context["accountId"] == "000000000000"
    assert context["authorizer"]["iam"]["userArn"] == "arn:aws:iam::000000000000:root"
    assert context["authorizer"]["iam"]["accountId"] == "000000000000"


def test_the_client_is_added_behind_earlier_hops(request_):
    """X-Forwarded-For is continued, and what a client claims of our own port and scheme is not believed."""
    headers = [("x-forwarded-for", "10.0.0.1"), ("x-forwarded-proto", "gopher"), ("x-forwarded-port", "1")]
    seen = event(request_(headers=headers))["headers"]
    assert seen["x-forwarded-for"] == "10.0.0.1, 127.0.0.1"
    assert (seen["x-forwarded-proto"], seen["x-forwarded-port"]) == ("http", "7070")


@pytest.mark.parametrize(
    ("content_type", "body", "encoded"),
    [
        ("application/json", b"{}", False),
        ("application/json; charset=utf-8", "é".encode(), False),
        ("application/vnd.api+json", b"{}", False),
        ("image/svg+xml", b"<svg/>", False),
        ("text/csv", b"1,2", False),
        ("", b"plain", False),
        ("", b"\xff\x00", True),
        ("text/plain", b"\xff", True),
        ("application/x-www-form-urlencoded", b"a=1", True),
        ("application/octet-stream", b"text", True),
        ("image/png", b"\x89PNG", True),
    ],
)
def test_a_body_is_text_only_where_it_says_so(request_, content_type, body, encoded):
    """Text types and JSON are handed over as text, anything else in base64."""
    headers = [("content-type", content_type)] if content_type else []
    made = event(request_("POST", headers=headers, body=body))
    assert made["isBase64Encoded"] is encoded
    assert (base64.b64decode(made["body"]) if encoded else made["body"].encode()) == body


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True)
LATIN = st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=20)


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(
    headers=st.lists(st.tuples(NAMES, LATIN), max_size=6),
    query=st.text(st.sampled_from("abc&=%+2F."), max_size=20),
    body=st.binary(max_size=60),
)
def test_any_request_makes_an_event(headers, query, body):
    """Whatever the wire lets through becomes valid JSON from which the body can be read back."""
    request = HttpRequest(method="POST", path="/", query=query, headers=tuple(headers), body=body)
    made = event(request)
    assert made["rawQueryString"] == query
    read = base64.b64decode(made["body"]) if made["isBase64Encoded"] else made.get("body", "").encode()
    assert read == body
    assert all(name in made["headers"] for name, _ in headers)
