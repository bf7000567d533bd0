"""Events from JSON and results to JSON."""

import decimal
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor.guest.faults import Fault
from torpor.guest.marshal import read_event, write_result

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(plain)
def test_plain_values_come_back_as_they_were(value):
    """A result is ordinary JSON."""
    assert json.loads(write_result(value)) == value


@given(st.decimals(allow_nan=False, allow_infinity=False), st.text())
def test_a_decimal_is_written_as_a_bare_number(number, text):
    """Decimals keep their digits, and text beside them is not touched."""
    back = json.loads(write_result({"n": [number], "t": text}), parse_float=decimal.Decimal, parse_int=decimal.Decimal)
    assert back == {"n": [number], "t": text}


class Hostile:
    def __str__(self):
        raise SystemError("no text")

    __repr__ = __str__


def circular():
    loop = []
    loop.append(loop)
    return loop


def deep():
    value = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (b"bytes", "Object of type bytes is not JSON serializable"),
        ({1, 2}, "Object of type set is not JSON serializable"),
        (float("nan"), "NaN and Infinity have no JSON form"),
        ({"x": [float("inf")]}, "NaN and Infinity have no JSON form"),
        (decimal.Decimal("NaN"), "not JSON compliant: NaN"),
        (circular(), "Circular reference detected"),
        (deep(), "recursion"),
        (Hostile(), "Object of type Hostile is not JSON serializable"),
        ({(1, 2): 3}, "keys must be str"),
    ],
    ids=["bytes", "set", "nan", "infinity", "decimal-nan", "circular", "deep", "hostile", "tuple-key"],
)
def test_what_has_no_json_form_is_a_marshal_error(result, message):
    """The error is Lambda's, and says what it is about."""
    with pytest.raises(Fault, match=message) as caught:
        write_result(result)
    assert caught.value.kind == "Runtime.MarshalError"
    assert str(caught.value).startswith("Unable to marshal response: ")


def test_no_payload_is_an_empty_event():
    """boto3's invoke without a payload reaches the handler as an empty object."""
    assert read_event(b"") == {}


@pytest.mark.parametrize("payload", [b"{", b"\xff\xfe", b"[" * 200_000], ids=["cut", "binary", "deep"])
def test_an_event_that_is_not_json_is_an_unmarshal_error(payload):
    """The handler is not called with what is no JSON."""
    with pytest.raises(Fault, match="Unable to unmarshal input: ") as caught:
        read_event(payload)
    assert caught.value.kind == "Runtime.UnmarshalError"
