"""What the payloads of frames carry: a little metadata, and an event's bytes that nobody decodes on the way."""

from __future__ import annotations

import json
import struct
from typing import NamedTuple

from .frames import ProtocolViolation

# Lengths in characters of a call's texts but the last, its timeout, and the length of all texts in bytes.
_CALL = struct.Struct("<IIIQI")


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
    request_id, arn, timeout_ms, trace_id, context = call
    texts = f"{request_id}{arn}{trace_id}{context}".encode("utf-8", "surrogatepass")
    return _CALL.pack(len(request_id), len(arn), len(trace_id), timeout_ms, len(texts)) + texts


def unpack_call(payload: bytes) -> tuple[Call, bytes]:
    """The metadata and the event of an INVOKE frame. Raises ProtocolViolation."""
    try:
        to_arn, arn, trace, timeout_ms, size = _CALL.unpack_from(payload)
        end = _CALL.size + size
        texts = payload[_CALL.size : end].decode("utf-8", "surrogatepass")
    except (struct.error, ValueError) as error:
        raise ProtocolViolation(f"an unreadable call: {error}") from error
    to_trace = to_arn + arn
    to_context = to_trace + trace
    call = Call(texts[:to_arn], texts[to_arn:to_trace], timeout_ms, texts[to_trace:to_context], texts[to_context:])
    return call, payload[end:]


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
