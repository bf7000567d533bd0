"""InvokeWithResponseStream's answer: the pieces as they come, and at the end how it ended."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Mapping
from typing import Any

import msgspec

from torpor.core.invocation import Outcome, Streamed

_CHUNK = 64 * 1024  # an answer that came whole is cut into such pieces, so that no event is large

Event = tuple[str, Mapping[str, Any]]


class ResponseEvents:
    """Implements aws.protocol.event_stream.Events."""

    def __init__(self, streamed: Streamed, *, want_log: bool) -> None:
        self._streamed = streamed
        self._want_log = want_log
        self._left: deque[Event] | None = None  # once the outcome is known
        if streamed.content_type is None:
            self._left = self._whole(streamed.outcome)

    async def read(self) -> Event | None:
        if self._left is None:
            piece = await self._streamed.read()
            if piece is not None:
                return _chunk(piece)
            self._left = deque([self._complete(self._streamed.outcome)])
        return self._left.popleft() if self._left else None

    def close(self) -> None:
        self._streamed.close()

    def _whole(self, outcome: Outcome) -> deque[Event]:
        data = b"" if outcome.function_error else outcome.payload
        pieces = [_chunk(data[at : at + _CHUNK]) for at in range(0, len(data), _CHUNK)]
        return deque([*pieces, self._complete(outcome)])

    def _complete(self, outcome: Outcome) -> Event:
        told: dict[str, Any] = {}
        if outcome.function_error is not None:
            told["ErrorCode"] = _kind(outcome.payload) or outcome.function_error
            told["ErrorDetails"] = outcome.payload.decode(errors="replace")
        if self._want_log:
            told["LogResult"] = base64.b64encode(outcome.log_tail).decode()
        return "InvokeComplete", told


def _chunk(data: bytes) -> Event:
    return "PayloadChunk", {"Payload": data}


def _kind(payload: bytes) -> str:
    """The errorType of Lambda's error object."""
    try:
        kind = msgspec.json.decode(payload).get("errorType")
    except (msgspec.MsgspecError, UnicodeDecodeError, AttributeError, RecursionError):
        return ""
    return kind if isinstance(kind, str) else ""
