"""The codec of the control channel, fed whatever anyone may send."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor.wire.frames import (
    ANY_KIND,
    FROM_GUEST,
    HEADER_SIZE,
    Decoder,
    Frame,
    Kind,
    ProtocolViolation,
    encode,
    encode_header,
)

frames = st.builds(
    Frame, kind=st.sampled_from(sorted(ANY_KIND)), id=st.integers(0, 2**64 - 1), payload=st.binary(max_size=200)
)


def chunked(data, cuts):
    edges = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@given(st.lists(frames, max_size=8), st.lists(st.integers(0, 2000), max_size=20))
def test_frames_survive_any_chunking(sent, cuts):
    """However the bytes are cut, the same frames come out, in order, and nothing is left over."""
    decoder = Decoder(1000)
    received = [
        frame for chunk in chunked(b"".join(encode(one) for one in sent), cuts) for frame in decoder.feed(chunk)
    ]
    assert received == sent
    assert decoder.pending == 0


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_garbage_ends_in_a_violation_and_never_grows(chunks):
    """Arbitrary bytes give frames or a violation; what is held never exceeds one bounded frame."""
    decoder = Decoder(100, FROM_GUEST)
    for chunk in chunks:
        try:
            frames = decoder.feed(chunk)
        except ProtocolViolation:
            assert decoder.pending == 0
            with pytest.raises(ProtocolViolation):
                decoder.feed(b"")
            return
        assert all(frame.kind in FROM_GUEST and len(frame.payload) <= 100 for frame in frames)
        assert decoder.pending < HEADER_SIZE + 100


def test_an_oversized_frame_is_refused_by_its_header_alone():
    """A frame larger than the bound is a violation before any of its payload arrives."""
    with pytest.raises(ProtocolViolation, match="101 bytes where 100 are allowed"):
        Decoder(100).feed(encode_header(Kind.RESULT, 1, 101))


def test_a_frame_of_exactly_the_bound_is_accepted():
    """The bound itself is allowed."""
    frame = Frame(Kind.RESULT, 7, b"x" * 100)
    assert Decoder(100).feed(encode(frame)) == [frame]


def test_a_kind_of_the_other_direction_is_a_violation():
    """A guest cannot send what only the server may."""
    with pytest.raises(ProtocolViolation, match="unknown kind 1"):
        Decoder(100, FROM_GUEST).feed(encode(Frame(Kind.INVOKE, 1, b"")))


def test_header_and_payload_may_be_written_apart():
    """`encode` is the header followed by the payload, so that a large payload need not be copied."""
    frame = Frame(Kind.RESULT, 3, b"payload")
    assert encode(frame) == encode_header(frame.kind, frame.id, len(frame.payload)) + frame.payload
