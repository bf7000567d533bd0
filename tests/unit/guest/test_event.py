"""`event.get_data()`: what an event is about, decoded; and that an event stays an ordinary dictionary."""

import base64
import json

import pytest

from torpor.guest.event import Event, wrap


def http(body, content_type=None, **more):
    headers = {} if content_type is None else {"Content-Type": content_type}
    return wrap({"version": "2.0", "headers": headers, "requestContext": {}, "body": body, **more})


def test_an_event_is_a_dictionary():
    """Everything that works with a dictionary works with an event."""
    event = wrap({"a": 1})
    assert event == {"a": 1}
    assert isinstance(event, dict)
    assert json.dumps(event) == '{"a": 1}'


@pytest.mark.parametrize("payload", [[1, 2], "text", 3, None, True])
def test_what_is_no_object_passes_as_it_is(payload):
    """Only JSON objects become events."""
    assert wrap(payload) is payload


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (http('{"x": [1]}', "application/json"), {"x": [1]}),
        (http('{"x": 1}', "application/vnd.api+json; charset=utf-8"), {"x": 1}),
        (http("[[1, 2], [3, 4]]"), [[1, 2], [3, 4]]),
        (http("[1]", "application/x-www-form-urlencoded"), [1]),
        (http("a=1&b=2", "application/x-www-form-urlencoded"), "a=1&b=2"),
        (http("[1]", "text/csv"), "[1]"),
        (http(base64.b64encode(b"[1]").decode(), "application/json", isBase64Encoded=True), [1]),
        (http(base64.b64encode(b"\xff\x00").decode(), "image/png", isBase64Encoded=True), b"\xff\x00"),
        (http(None, "application/json"), None),
        (http({"already": "decoded"}), {"already": "decoded"}),
    ],
)
def test_an_http_request_gives_its_decoded_body(event, data):
    """Base64 is undone, JSON is parsed when declared or when nothing better is said, and the rest is text or bytes."""
    assert event.get_data() == data


def test_a_body_that_is_declared_as_json_and_is_not_is_an_error_that_says_so():
    """The handler learns what was declared and what was wrong."""
    with pytest.raises(ValueError, match="content type is application/json, but its body is not JSON"):
        http("{nope", "application/json").get_data()


@pytest.mark.parametrize(
    ("record", "data"),
    [
        ({"messageId": "1", "body": '{"n": 1}'}, {"n": 1}),
        ({"messageId": "1", "body": "plain"}, "plain"),
        ({"Sns": {"Message": "[1]"}}, [1]),
        ({"kinesis": {"data": base64.b64encode(b'{"k": 2}').decode()}}, {"k": 2}),
        ({"kinesis": {"data": base64.b64encode(b"\xfe").decode()}}, b"\xfe"),
        ({"s3": {"object": {"key": "k"}}}, {"s3": {"object": {"key": "k"}}}),
    ],
)
def test_a_record_gives_its_data(record, data):
    """One record gives its own data, several give a list."""
    assert wrap({"Records": [record]}).get_data() == data
    assert wrap({"Records": [record, record]}).get_data() == [data, data]


def test_an_eventbridge_event_gives_its_detail():
    """The detail is what such an event is about."""
    assert wrap({"detail-type": "t", "detail": {"d": 1}}).get_data() == {"d": 1}


@pytest.mark.parametrize("payload", [{"a": 1}, {}, {"body": "x"}, {"Records": []}, {"Records": "none"}])
def test_any_other_payload_is_its_own_data(payload):
    """A plain payload is returned as it is, even when it happens to have a body."""
    event = Event(payload)
    assert event.get_data() is event
