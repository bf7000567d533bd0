"""The front of all services: answers everything, whatever it is sent, in the protocol's own form."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torpor.aws.front import AwsFront
from torpor.aws.service import Service
from torpor.core.errors import Throttled
from torpor.core.http import HttpRequest
from torpor.core.identity import Kind, Principal

OWNER = Principal(Kind.OWNER, arn="arn:aws:iam::000000000000:root")
CREATE = "/2015-03-31/functions"


async def echo(call, params):
    """A handler that keeps what it got where the test sees it."""
    call.headers.append(("x-params", ",".join(sorted(params))))
    return {}


async def fail(call, params):
    raise Throttled(reason="CallerRateLimitExceeded")


FRONT = AwsFront(
    [
        Service(name="lambda", handlers={"CreateFunction": echo, "Invoke": fail, "TagResource": echo}),
        Service(name="logs", handlers={"PutLogEvents": echo, "CreateLogGroup": fail}),
        Service(name="iam", handlers={"CreateRole": echo, "GetRole": fail}),
    ]
)


def asked(method, path, body=b"", **headers):
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return HttpRequest(method=method, path=path, headers=named, body=body, principal=OWNER, request_id="r-1")


def signed(service):
    return f"AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/{service}/aws4_request, Signature=0"


async def test_rest_json_errors_have_header_body_and_id():
    """Type, message and further members in the body; the code in x-amzn-errortype."""
    response = await FRONT(asked("POST", f"{CREATE}/f/invocations"))
    headers = dict(response.headers)
    assert (response.status, headers["x-amzn-errortype"]) == (429, "TooManyRequestsException")
    assert headers["x-amzn-requestid"] == "r-1"
    assert json.loads(response.body) == {
        "Type": "User",
        "message": "Rate Exceeded.",
        "Reason": "CallerRateLimitExceeded",
    }


async def test_json_errors_name_their_type_in_the_body():
    """JSON 1.1: __type and message."""
    request = asked("POST", "/", b"{}", x_amz_target="Logs_20140328.CreateLogGroup", authorization=signed("logs"))
    response = await FRONT(request)
    assert response.status == 400
    assert json.loads(response.body)["__type"] == "ValidationException"
    request = asked(
        "POST", "/", b'{"logGroupName": "g"}', x_amz_target="Logs_20140328.CreateLogGroup", authorization=signed("logs")
    )
    response = await FRONT(request)
    assert json.loads(response.body) == {"__type": "TooManyRequestsException", "message": "Rate Exceeded."}
    assert dict(response.headers)["content-type"] == "application/x-amz-json-1.1"


async def test_query_errors_are_xml():
    """Type, code and message in XML, with the service's namespace."""
    response = await FRONT(asked("POST", "/", b"Action=GetRole&Version=2010-05-08&RoleName=r"))
    assert response.body.decode() == (
        '<ErrorResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><Error><Type>Sender</Type>'
        "<Code>Throttling</Code><Message>Rate Exceeded.</Message></Error><RequestId>r-1</RequestId></ErrorResponse>"
    )


@pytest.mark.parametrize(
    ("request_", "status", "word"),
    [
        (asked("PATCH", f"{CREATE}/f"), 404, "PATCH /2015-03-31/functions/f"),
        (asked("GET", "/2018-10-31/layers"), 501, "lambda:ListLayers"),
        (asked("POST", "/", x_amz_target="Logs_20140328.Nope", authorization=signed("logs")), 400, "Nope"),
        (
            asked("POST", "/", x_amz_target="Logs_20140328.ListTagsForResource", authorization=signed("logs")),
            501,
            "logs:",
        ),
        (asked("POST", "/", b"Action=Nope&Version=2010-05-08"), 400, "Nope"),
        (asked("POST", "/", b"Action=ListUsers&Version=2010-05-08"), 501, "iam:ListUsers"),
        (asked("GET", "/", authorization=signed("s3")), 501, "'s3'"),
        (asked("GET", "/nowhere"), 501, "not a request for an AWS service"),
    ],
)
async def test_what_is_unknown_or_missing_is_named(request_, status, word):
    """404 or 400 for what AWS does not have either, 501 for what torpor does not have yet."""
    response = await FRONT(request_)
    assert response.status == status
    assert word in response.body.decode()


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000, b'{"FunctionName": "\\ud800"}', b"nul"])
async def test_a_body_that_is_no_json_is_refused_in_lambdas_words(body):
    """400 InvalidRequestContentException for Lambda, whose model has it."""
    response = await FRONT(asked("POST", CREATE, body))
    assert (response.status, dict(response.headers)["x-amzn-errortype"]) == (400, "InvalidRequestContentException")
    assert json.loads(response.body)["message"].startswith("Could not parse request body into json: ")


async def test_a_body_that_is_no_json_is_a_serialization_error_elsewhere():
    """400 SerializationException for services on JSON 1.x."""
    request = asked("POST", "/", b"{", x_amz_target="Logs_20140328.PutLogEvents", authorization=signed("logs"))
    assert json.loads((await FRONT(request)).body)["__type"] == "SerializationException"


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"7"])
async def test_json_that_is_no_object_is_a_serialization_error(body):
    """The input of an operation is a structure."""
    response = await FRONT(asked("POST", CREATE, body))
    assert dict(response.headers)["x-amzn-errortype"] == "SerializationException"


async def test_nulls_are_absent_and_unknown_members_ignored():
    """As every AWS service reads JSON."""
    body = {"Tags": {"a": "b"}, "Unknown": 1}
    response = await FRONT(
        asked(
            "POST",
            "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af",
            json.dumps(body).encode(),
        )
    )
    assert response.status == 204
    assert dict(response.headers)["x-params"] == "Resource,Tags"
    missing = await FRONT(
        asked(
            "POST", "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af", b'{"Tags": null}'
        )
    )
    assert b"Value null at 'tags'" in missing.body


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = st.sampled_from(
    ["FunctionName", "Role", "Code", "Timeout", "Environment", "Tags", "Layers", "Architectures", "EphemeralStorage"]
)


@pytest.mark.slow
@settings(deadline=None, max_examples=150, derandomize=True)
@given(
    body=st.dictionaries(MEMBERS, JSON, max_size=9).map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=50)
)
async def test_no_json_body_makes_it_fail(body):
    """Whatever is sent as JSON is the sender's fault."""
    assert 400 <= (await FRONT(asked("POST", CREATE, body))).status < 500


KEYS = st.sampled_from(
    ["RoleName", "Tags.member.1.Key", "Tags.member.x", "Tags", "Tags.member.1", "Path", "Tags.member."]
)


@pytest.mark.slow
@settings(deadline=None, max_examples=150, derandomize=True)
@given(fields=st.lists(st.tuples(KEYS | st.text(max_size=10), st.text(max_size=10)), max_size=8))
async def test_no_form_makes_it_fail(fields):
    """Whatever is sent as a form is the sender's fault."""
    from urllib.parse import urlencode

    body = urlencode([("Action", "CreateRole"), ("Version", "2010-05-08"), *fields]).encode()
    assert 400 <= (await FRONT(asked("POST", "/", body))).status < 500


async def test_a_deeply_nested_form_is_bounded():
    """A key of a hundred thousand steps costs nothing."""
    body = b"Action=CreateRole&Version=2010-05-08&RoleName=r&AssumeRolePolicyDocument=x&" + b"a." * 100_000 + b"=1"
    assert (await FRONT(asked("POST", "/", body))).status == 200


def test_models_can_be_read_before_the_first_request():
    """`prepare` reads them all, and finds handlers for operations that do not exist."""
    FRONT.prepare()
    with pytest.raises(ValueError, match="CreateFunctoin"):
        AwsFront([Service(name="lambda", handlers={"CreateFunctoin": echo})]).prepare()
