"""The guest's end of the control channel."""

import fcntl
import os
import socket

import pytest

from torpor.guest.channel import Channel, ChannelLost, open_channel
from torpor.wire.frames import FROM_GUEST, Decoder, Frame, Kind, encode


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_frames_are_received_until_the_server_hangs_up(pair):
    """Several frames in one read come one by one; the end is None."""
    server, guest = pair
    sent = [Frame(Kind.INVOKE, 1, b"a"), Frame(Kind.INVOKE, 2, b"b" * 1000)]
    server.sendall(b"".join(encode(one) for one in sent))
    server.close()
    channel = Channel(guest)
    assert [channel.receive(), channel.receive(), channel.receive()] == [*sent, None]


def test_large_and_small_payloads_arrive_whole(pair):
    """The way of writing depends on the size, what arrives does not."""
    server, guest = pair
    channel = Channel(guest)
    for size in (0, 10, 100_000):
        channel.send(Kind.RESULT, size, b"x" * size)
        decoder, frames = Decoder(200_000, FROM_GUEST), []
        while not frames:
            frames = decoder.feed(server.recv(1 << 20))
        assert frames == [Frame(Kind.RESULT, size, b"x" * size)]


def test_a_channel_whose_server_is_gone_is_lost(pair):
    """Sending to nobody raises, so that the guest leaves."""
    server, guest = pair
    server.close()
    with pytest.raises(ChannelLost):
        Channel(guest).send(Kind.RESULT, 1, b"x")


def test_the_descriptor_is_moved_up_and_closed_on_exec(pair):
    """Low numbers are left free, and programs that user code starts do not inherit the channel."""
    server, guest = pair
    low = os.dup(guest.fileno())
    channel = open_channel(low)
    hidden = channel._connection.fileno()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(low)
    assert hidden > 100
    assert fcntl.fcntl(hidden, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
    channel.send(Kind.RESULT, 1, b"")
    assert server.recv(100)
    channel._connection.close()
