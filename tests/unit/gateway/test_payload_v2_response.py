"""A handler's result as an HTTP response."""

import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torpor.gateway.payload_v2 import MalformedResponse, response_of

JSON = ("content-type", "application/json")


def response(value):
    return response_of(json.dumps(value).encode())


def test_a_full_response_is_understood():
    """Status, headers of every kind, cookies and a body."""
    made = response(
        {
            "statusCode": 201,
            "headers": {"Content-Type": "text/plain", "X-Number": 3, "X-Flag": True, "X-None": None},
            "multiValueHeaders": {"X-Many": ["a", "b"]},
            "cookies": ["a=1; Secure", "b=2"],
            "body": "é",
        }
    )
    assert made.status == 201
    assert made.body == "é".encode()
    assert made.headers == (
        ("content-type", "text/plain"),
        ("x-number", "3"),
        ("x-flag", "true"),
        ("x-many", "a"),
        ("x-many", "b"),
        ("set-cookie", "a=1; Secure"),
        ("set-cookie", "b=2"),
    )


def test_a_binary_body_is_decoded():
    """isBase64Encoded makes bytes of the body."""
    made = response({"statusCode": 200, "body": base64.b64encode(b"\x00\xff").decode(), "isBase64Encoded": True})
    assert (made.body, made.headers) == (b"\x00\xff", (JSON,))


@pytest.mark.parametrize("value", [None, "text", 1, 1.5, True, [1, 2], {}, {"body": "x"}, {"status": 200}])
def test_any_other_value_is_its_own_body(value):
    """Without a statusCode the result itself is a 200 of type application/json, byte for byte."""
    payload = json.dumps(value, indent=1).encode()
    made = response_of(payload)
    assert (made.status, made.headers, made.body) == (200, (JSON,), payload)


@pytest.mark.parametrize(
    "value",
    [
        {"statusCode": None},
        {"statusCode": "two"},
        {"statusCode": True},
        {"statusCode": 200.5},
        {"statusCode": 101},
        {"statusCode": 600},
        {"statusCode": 10**30},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "body": 5},
        {"statusCode": 200, "body": "!", "isBase64Encoded": True},
        {"statusCode": 200, "headers": []},
        {"statusCode": 200, "headers": {"a b": "c"}},
        {"statusCode": 200, "headers": {"": "c"}},
        {"statusCode": 200, "headers": {"a": "b\r\nset-cookie: stolen=1"}},
        {"statusCode": 200, "headers": {"a": {}}},
        {"statusCode": 200, "multiValueHeaders": {"a": "b"}},
        {"statusCode": 200, "cookies": "a=1"},
        {"statusCode": 200, "cookies": [None]},
    ],
)
def test_a_malformed_response_is_refused(value):
    """What has a statusCode and is no response says so, instead of reaching the client half understood."""
    with pytest.raises(MalformedResponse):
        response(value)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"statusCode": 200',
        b'{"statusCode": 200, "body": "\xff"}',
        b'{"statusCode": ' + b"[" * 100_000,
        b'{"statusCode": "' + b"9" * 5000 + b'"}',
    ],
    ids=["cut", "not text", "deep", "digits"],
)
def test_what_is_no_json_is_refused(payload):
    """An instance may write anything to its socket."""
    with pytest.raises(MalformedResponse):
        response_of(payload)


def test_headers_of_the_connection_are_not_the_functions_to_set():
    """Framing and accounting headers are dropped: a function cannot smuggle a response or forge its bill."""
    kept = {"x-mine": "1", "Content-Length": "9", "Transfer-Encoding": "chunked", "Connection": "close", "Date": "x",
            "X-Torpor-Billed-Ms": "0", "X-Amzn-RequestId": "forged"}  # fmt: skip
    made = response({"statusCode": "204", "headers": kept})
    assert (made.status, made.headers) == (204, (JSON, ("x-mine", "1")))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["headers", "multiValueHeaders", "cookies", "body", "isBase64Encoded"])


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(status=VALUES, fields=st.dictionaries(FIELDS, VALUES, max_size=4))
def test_no_result_gets_past_the_checks(status, fields):
    """Whatever a handler returns is a response that HTTP can carry, or refused."""
    try:
        made = response({"statusCode": status, **fields})
    except MalformedResponse:
        return
    assert 200 <= made.status <= 599
    for name, value in made.headers:
        assert name.isascii()
        assert name == name.lower()
        assert not any(ord(character) < 32 and character != "\t" for character in name + value)
