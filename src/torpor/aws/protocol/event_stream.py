"""AWS's event streams: messages of headers and a payload, each with its length and two checksums, one after the other.

Source: Smithy, "Amazon event stream specification". Only what a server sends is here, and headers of text alone.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import Any, Protocol

from torpor.aws.protocol import json_body
from torpor.aws.protocol.model import Member, Shape
from torpor.core.http import Body

TYPE = "application/vnd.amazon.eventstream"
_U32, _PRELUDE = struct.Struct(">I"), struct.Struct(">II")
_TEXT = 7  # the header type of a UTF-8 string
_BESIDES = 16  # bytes of a message besides headers and payload: two lengths, two checksums


class Events(Protocol):
    """What an operation answers with: events, each a member of the stream's shape and its parameters."""

    async def read(self) -> tuple[str, Mapping[str, Any]] | None:
        """The next event; None at the end."""
        ...

    def close(self) -> None: ...


class EventBody:
    """Events as the pieces of a body; implements core.http.Body."""

    def __init__(self, shape: Shape, events: Events) -> None:
        self._members = shape.members
        self._events = events

    async def read(self) -> bytes | None:
        event = await self._events.read()
        return None if event is None else encode_event(self._members[event[0]], event[1])

    def close(self) -> None:
        self._events.close()


class _AfterInitialResponse(EventBody):
    """JSON-RPC's streams begin with an event that stands for the answer's other members."""

    _begun = False

    async def read(self) -> bytes | None:
        if not self._begun:
            self._begun = True
            return encode(
                {":event-type": "initial-response", ":content-type": "application/json", ":message-type": "event"},
                b"{}",
            )
        return await super().read()


def after_initial_response(shape: Shape, events: Events) -> Body:
    """The body of a stream in the JSON-RPC protocols."""
    return _AfterInitialResponse(shape, events)


def body_of(shape: Shape, events: Events) -> Body:
    return EventBody(shape, events)


def encode_event(member: Member, params: Mapping[str, Any]) -> bytes:
    """One event: its payload is the member that is marked so, or JSON of all members."""
    whole = next((inner for inner in member.shape.members.values() if inner.event_payload), None)
    if whole is not None and whole.shape.kind == "blob":
        kind, payload = "application/octet-stream", params.get(whole.name, b"")
    else:
        kind, payload = "application/json", json_body.encode(json_body.write_members(member.shape, params))
    return encode({":event-type": member.name, ":content-type": kind, ":message-type": "event"}, payload)


def encode(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message."""
    block = b"".join(_header(name, value) for name, value in headers.items())
    prelude = _PRELUDE.pack(_BESIDES + len(block) + len(payload), len(block))
    checked = prelude + _U32.pack(zlib.crc32(prelude)) + block + payload
    return checked + _U32.pack(zlib.crc32(checked))


def _header(name: str, value: str) -> bytes:
    text = value.encode()
    return struct.pack(f">B{len(name)}sBH", len(name), name.encode("ascii"), _TEXT, len(text)) + text
