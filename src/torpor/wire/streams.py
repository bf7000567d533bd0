"""Answers in pieces: how much may be under way at a time, and the rules that the receiver of the pieces holds.

Flow control is by credit. A guest may send `WINDOW` bytes of an answer, and as many more as CREDIT frames grant once
somebody has taken what came. So neither side ever holds more than a window of an answer, whatever its length.
"""

from __future__ import annotations

import struct

from .frames import ProtocolViolation

WINDOW = 256 * 1024
MAX_CHUNK = 64 * 1024
MAX_TYPE = 1024  # of the content type
# The head of an HTTP response stands before the body, as JSON, and eight zero bytes end it: Lambda's own form.
INTEGRATION_TYPE = "application/vnd.awslambda.http-integration-response"
HEAD_END = bytes(8)
_COUNT = struct.Struct("<I")


def pack_credit(count: int) -> bytes:
    return _COUNT.pack(count)


def unpack_credit(payload: bytes) -> int:
    """How many bytes a CREDIT frame grants. Raises ProtocolViolation."""
    try:
        (count,) = _COUNT.unpack(payload)
    except struct.error as error:
        raise ProtocolViolation(f"an unreadable credit: {error}") from error
    return int(count)


class Inbound:
    """What the receiver knows of one answer: whether it has begun, and how many more bytes may come.

    What is received is untrusted: each method raises ProtocolViolation for what the sender may not do.
    """

    __slots__ = ("_allowed", "begun")

    def __init__(self) -> None:
        self.begun = False
        self._allowed = WINDOW

    def begin(self, payload: bytes) -> str:
        """The content type of a BEGIN frame."""
        if self.begun:
            raise ProtocolViolation("an answer that begins twice")
        if len(payload) > MAX_TYPE:
            raise ProtocolViolation(f"a content type of {len(payload)} bytes")
        self.begun = True
        return payload.decode("latin-1")

    def take(self, size: int) -> None:
        """A CHUNK frame of `size` bytes has come."""
        if not self.begun:
            raise ProtocolViolation("a piece of an answer that has not begun")
        if not 0 < size <= self._allowed:
            raise ProtocolViolation(f"a piece of {size} bytes where {self._allowed} may come")
        self._allowed -= size

    def grant(self, count: int) -> None:
        """So many bytes were taken: the sender is told, and may send them again."""
        self._allowed += count
