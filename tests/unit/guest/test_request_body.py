"""The body of a request to the Runtime API: by length, in chunks, with trailers, and all that can be wrong with it."""

import base64
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor.guest import request_body
from torpor.guest.request_body import BadBody, TooLarge

CHUNKED = {"Transfer-Encoding": "chunked"}


def body(headers, data):
    return request_body.of(headers, io.BufferedReader(io.BytesIO(data)))


def chunks(*pieces, trailers=b""):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n" + trailers + b"\r\n"


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=8))
def test_a_body_comes_out_as_it_went_in(pieces):
    """By its length or in chunks; nothing after it is read."""
    whole = b"".join(pieces)
    assert body({"Content-Length": str(len(whole))}, whole + b"more").read(len(whole)) == whole
    assert body(CHUNKED, chunks(*pieces) + b"more").read(len(whole)) == whole


def test_pieces_are_small():
    """A large body is never held whole."""
    assert max(map(len, body({"Content-Length": "200000"}, b"x" * 200_000).pieces())) <= 64 * 1024


def test_what_is_too_large_is_read_to_its_end_and_refused_with_its_size():
    """The client is still writing: only then does it read an answer."""
    for headers, data in ((CHUNKED, chunks(b"x" * 60, b"y" * 60)), ({"Content-Length": "120"}, b"x" * 120)):
        stream = io.BufferedReader(io.BytesIO(data + b"next"))
        with pytest.raises(TooLarge) as refused:
            request_body.of(headers, stream).read(100)
        assert refused.value.size == 120
        assert stream.read() == b"next"


@pytest.mark.parametrize(
    ("headers", "data"),
    [
        ({"Content-Length": "ten"}, b""),
        ({"Content-Length": "-1"}, b""),
        ({"Content-Length": "10"}, b"short"),
        (CHUNKED, b""),
        (CHUNKED, b"xyz\r\n"),
        (CHUNKED, b"-5\r\nhello\r\n0\r\n\r\n"),
        (CHUNKED, b"5\r\nhello"),
        (CHUNKED, b"5\r\nhelloworld\r\n"),
        (CHUNKED, b"5" * 5000),
    ],
)
def test_a_broken_body_is_refused(headers, data):
    """A length that is none, an end that comes too soon, chunks that are no chunks."""
    with pytest.raises(BadBody):
        body(headers, data).read(1000)


@pytest.mark.parametrize(
    ("trailers", "failure"),
    [
        ({}, None),
        ({"Other": "x"}, None),
        (
            {"Lambda-Runtime-Function-Error-Type": "A", "Lambda-Runtime-Function-Error-Body": base64.b64encode(b'{"errorType": "B"}').decode()},
            {"errorType": "B"},
        ),
        (
            {"Lambda-Runtime-Function-Error-Type": "A", "Lambda-Runtime-Function-Error-Body": "%%"},
            {"errorType": "A", "errorMessage": "The runtime ended its response with an error"},
        ),
    ],
)  # fmt: skip
def test_trailers_tell_of_a_failure_midway(trailers, failure):
    """The error is the trailer's object, or one of its type."""
    text = b"".join(f"{name}: {value}\r\n".encode() for name, value in trailers.items())
    made = body(CHUNKED, chunks(b"some", trailers=text))
    assert made.read(100) == b"some"
    told = made.failure()
    assert (json.loads(told) if told else told) == failure
