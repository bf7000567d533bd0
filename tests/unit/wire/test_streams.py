"""Answers in pieces as their receiver sees them: the guest is untrusted, and every rule holds whatever it sends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor.wire.frames import ProtocolViolation
from torpor.wire.streams import MAX_TYPE, WINDOW, Inbound, pack_credit, unpack_credit

_events = st.one_of(
    st.tuples(st.just("begin"), st.binary(max_size=2 * MAX_TYPE)),
    st.tuples(st.just("take"), st.integers(-5, 2 * WINDOW)),
    st.tuples(st.just("grant"), st.integers(0, WINDOW)),
)


@given(st.lists(_events, max_size=30))
def test_no_more_is_ever_taken_than_was_granted(events):
    """Any sequence of frames: what breaks a rule raises, and what does not stays within the credit."""
    inbound, begun, allowed = Inbound(), False, WINDOW
    for what, value in events:
        try:
            if what == "begin":
                assert isinstance(inbound.begin(value), str)
                assert not begun
                assert len(value) <= MAX_TYPE
                begun = True
            elif what == "take":
                inbound.take(value)
                assert begun
                assert 0 < value <= allowed
                allowed -= value
            else:
                inbound.grant(value)
                allowed += value
        except ProtocolViolation:
            assert what != "grant"
            assert begun or what == "take" or len(value) > MAX_TYPE
        assert inbound.begun is begun
    assert allowed >= 0


@given(st.integers(0, 2**32 - 1))
def test_a_credit_comes_out_as_it_went_in(count):
    """Four bytes, and nothing else is read as one."""
    packed = pack_credit(count)
    assert unpack_credit(packed) == count
    for broken in (packed[:-1], packed + b"x", b""):
        with pytest.raises(ProtocolViolation):
            unpack_credit(broken)
