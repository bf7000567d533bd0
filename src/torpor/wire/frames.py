"""The codec of the private channel between server and guest: bytes in, frames out; no sockets, no waiting.

A frame is a header of 13 bytes (kind, request id, payload length; little-endian) and the payload. What comes from a
guest is untrusted: a frame of an unknown kind, or larger than the bound, ends the conversation, and a decoder never
holds more than one bounded frame and the chunk that it was last fed.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

_HEADER = struct.Struct("<BQI")
HEADER_SIZE = _HEADER.size


class Kind:
    """What a frame means. The numbers are the protocol: never reuse one."""

    INVOKE = 1  # server → guest: metadata and event, see `messages.pack_invoke`
    SHUTDOWN = 2  # server → guest: leave in good order
    INVOKE_STREAM = 3  # server → guest: as INVOKE, and the answer may come in pieces
    CREDIT = 4  # server → guest: so many more bytes of an answer may come, see `streams`
    CANCEL = 5  # server → guest: nobody wants the rest of an answer
    READY = 16  # guest → server: the handler is loaded; JSON {"init_ms": …, "modules": […]}
    INIT_ERROR = 17  # guest → server: initialisation failed; Lambda's error object
    RESULT = 18  # guest → server: the handler's result as JSON
    ERROR = 19  # guest → server: the handler failed; Lambda's error object
    TOO_LARGE = 20  # guest → server: the result was larger than the limit; its size in decimal digits
    BEGIN = 21  # guest → server: the answer comes in pieces from here on; its content type
    CHUNK = 22  # guest → server: a piece of it; an empty RESULT, or an ERROR, is its end


INVOKES = frozenset({Kind.INVOKE, Kind.INVOKE_STREAM})
FROM_SERVER = frozenset({Kind.INVOKE, Kind.SHUTDOWN, Kind.INVOKE_STREAM, Kind.CREDIT, Kind.CANCEL})
FROM_GUEST = frozenset({Kind.READY, Kind.INIT_ERROR, Kind.RESULT, Kind.ERROR, Kind.TOO_LARGE, Kind.BEGIN, Kind.CHUNK})
ANY_KIND = FROM_SERVER | FROM_GUEST


class ProtocolViolation(Exception):
    """The other side sent what no frame begins with, or more than was agreed."""


class Frame(NamedTuple):
    """One message. `id` names the request it belongs to, 0 where there is none."""

    kind: int
    id: int
    payload: bytes


def encode(frame: Frame) -> bytes:
    """The frame as bytes, ready to be written."""
    return encode_header(frame.kind, frame.id, len(frame.payload)) + frame.payload


def encode_header(kind: int, request: int, length: int) -> bytes:
    """The 13 bytes before a payload of `length` bytes: lets a large payload be written without copying it."""
    return _HEADER.pack(kind, request, length)


class Decoder:
    """Turns chunks of any size into frames.

    `max_payload` bounds one payload in bytes; `kinds` are those this side accepts. After a violation every further
    `feed` raises again: such a stream cannot be trusted to be in step.
    """

    def __init__(self, max_payload: int, kinds: frozenset[int] = ANY_KIND) -> None:
        self._max_payload = max_payload
        self._kinds = kinds
        self._buffer = bytearray()
        self._violation = ""

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished frame are held."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """Take one chunk; return the frames it completes, in order. Raises ProtocolViolation."""
        if self._violation:
            raise ProtocolViolation(self._violation)
        if not self._buffer:  # the usual case: whole frames, taken from the chunk without another copy
            frames, used = self._parse(data)
            self._buffer += memoryview(data)[used:]
            return frames
        self._buffer += data
        frames, used = self._parse(self._buffer)
        del self._buffer[:used]
        return frames

    def _parse(self, data: bytes | bytearray) -> tuple[list[Frame], int]:
        frames: list[Frame] = []
        at = 0
        while len(data) - at >= HEADER_SIZE:
            kind, request, length = _HEADER.unpack_from(data, at)
            if kind not in self._kinds:
                self._violate(f"a frame of unknown kind {kind}")
            if length > self._max_payload:
                self._violate(f"a frame of {length} bytes where {self._max_payload} are allowed")
            start = at + HEADER_SIZE
            if len(data) - start < length:
                break
            at = start + length
            frames.append(Frame(kind, request, bytes(data[start:at])))
        return frames, at

    def _violate(self, what: str) -> None:
        self._violation = what
        self._buffer.clear()
        raise ProtocolViolation(what)
