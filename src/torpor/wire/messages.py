"""What the payloads of frames carry: small JSON metadata, and an event's bytes that nobody decodes on the way."""

from __future__ import annotations

import json
import struct
from typing import NamedTuple

from .frames import ProtocolViolation

_LENGTH = struct.Struct("<I")


class Call(NamedTuple):
    """One invocation as the guest needs it. `timeout_ms` is what is left of it when the frame is written."""

    request_id: str
    function_arn: str
    timeout_ms: int
    trace_id: str = ""
    client_context: str = ""  # JSON text, or nothing


class Ready(NamedTuple):
    """The guest's report of its own initialisation: informative only, nothing is billed by it."""

    init_ms: float
    modules: tuple[str, ...]


def pack_call(call: Call) -> bytes:
    """The metadata of an INVOKE frame, to be followed by the event's bytes."""
    text = json.dumps(call).encode()
    return _LENGTH.pack(len(text)) + text


def unpack_call(payload: bytes) -> tuple[Call, bytes]:
    """The metadata and the event of an INVOKE frame. Raises ProtocolViolation."""
    try:
        (length,) = _LENGTH.unpack_from(payload)
        end = _LENGTH.size + length
        return Call(*json.loads(payload[_LENGTH.size : end])), payload[end:]
    except (struct.error, ValueError, TypeError) as error:
        raise ProtocolViolation(f"an unreadable call: {error}") from error


def pack_ready(ready: Ready) -> bytes:
    return json.dumps({"init_ms": ready.init_ms, "modules": ready.modules}).encode()


def unpack_ready(payload: bytes) -> Ready:
    """The report of a READY frame. It comes from a guest: everything in it is checked. Raises ProtocolViolation."""
    try:
        plain = json.loads(payload)
        modules = plain["modules"]
        if not isinstance(modules, list) or not all(isinstance(name, str) for name in modules):
            raise ProtocolViolation("modules that are no list of names")
        return Ready(float(plain["init_ms"]), tuple(modules))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ProtocolViolation(f"an unreadable report of initialisation: {error!r}") from error
