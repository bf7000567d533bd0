"""What frames carry."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor.wire.frames import ProtocolViolation
from torpor.wire.messages import Call, Ready, pack_call, pack_ready, unpack_call, unpack_ready

texts = st.text(max_size=50)


@given(st.builds(Call, texts, texts, st.integers(0, 10**9), texts, texts), st.binary(max_size=200))
def test_a_call_and_its_event_come_back_as_they_were(call, event):
    """Metadata is read back whole, and the event's bytes are not touched."""
    assert unpack_call(pack_call(call) + event) == (call, event)


@given(st.binary(max_size=100))
def test_an_unreadable_call_is_a_violation(payload):
    """Bytes that are no call raise ProtocolViolation and nothing else."""
    try:
        call, _ = unpack_call(payload)
    except ProtocolViolation:
        return
    assert isinstance(call, Call)


def test_a_report_of_initialisation_comes_back_as_it_was():
    """READY's payload carries the time and the modules."""
    ready = Ready(12.5, ("numpy", "sklearn.linear_model"))
    assert unpack_ready(pack_ready(ready)) == ready


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"null", b"[]", b"{}", b"\xff", b'{"init_ms": 1}', b'{"init_ms": "x", "modules": []}',
        b'{"init_ms": 1, "modules": "all"}', b'{"init_ms": 1, "modules": [1]}', json.dumps({"modules": []}).encode(),
        b"[" * 100_000,
    ],
    ids=lambda payload: repr(payload[:24]),
)  # fmt: skip
def test_a_malformed_report_is_a_violation(payload):
    """What a guest reports is checked in full before it is believed."""
    with pytest.raises(ProtocolViolation):
        unpack_ready(payload)
