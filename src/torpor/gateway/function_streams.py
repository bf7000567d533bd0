"""Function URLs that stream: the head of an answer, in Lambda's own form or none, and its body as it comes.

Source: AWS, "Response streaming for Lambda functions". A body of the type `application/vnd.awslambda.http-integration-
response` begins with the head of the HTTP response as JSON, which eight zero bytes end.
"""

from __future__ import annotations

import msgspec

from torpor.core.http import BrokenBody, HttpResponse
from torpor.core.invocation import Streamed
from torpor.gateway.payload_v2 import MalformedResponse, head_of
from torpor.wire.streams import HEAD_END, INTEGRATION_TYPE

MAX_HEAD = 64 * 1024
_BYTES = ("content-type", "application/octet-stream")


class StreamedBody:
    """What is left of an answer behind its head; implements core.http.Body."""

    def __init__(self, streamed: Streamed, first: bytes) -> None:
        self._streamed = streamed
        self._first = first

    async def read(self) -> bytes | None:
        first, self._first = self._first, b""
        if first:
            return first
        piece = await self._streamed.read()
        if piece is None and self._streamed.outcome.function_error is not None:
            raise BrokenBody
        return piece

    def close(self) -> None:
        self._streamed.close()


async def respond(streamed: Streamed) -> HttpResponse:
    """The response to an answer that comes in pieces. Raises MalformedResponse, and BrokenBody before there is a head.

    The answer is closed by whoever has the response's body, or here when there is none.
    """
    try:
        if streamed.content_type != INTEGRATION_TYPE:
            kind = _printable(streamed.content_type or "")
            headers = (("content-type", kind),) if kind else (_BYTES,)
            return HttpResponse(headers=headers, stream=StreamedBody(streamed, b""))
        head, rest = await _head(streamed)
        return _with_stream(head_of(_parsed(head), _BYTES), StreamedBody(streamed, rest))
    except BaseException:
        streamed.close()
        raise


def _with_stream(head: HttpResponse, body: StreamedBody) -> HttpResponse:
    return HttpResponse(status=head.status, headers=head.headers, stream=body)


async def _head(streamed: Streamed) -> tuple[bytes, bytes]:
    """The head's JSON, and what came with it of the body."""
    data = bytearray()
    while (at := data.find(HEAD_END)) < 0:
        if len(data) > MAX_HEAD:
            raise MalformedResponse(f"The head of the response is longer than {MAX_HEAD} bytes.")
        piece = await streamed.read()
        if piece is None:
            if streamed.outcome.function_error is not None:
                raise BrokenBody
            raise MalformedResponse("The head of the response does not end: eight zero bytes follow it.")
        data += piece
    return bytes(data[:at]), bytes(data[at + len(HEAD_END) :])


def _parsed(head: bytes) -> dict[str, object]:
    try:
        plain = msgspec.json.decode(head)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedResponse("The head of the response is not JSON.") from error
    if not isinstance(plain, dict):
        raise MalformedResponse("The head of the response is not an object.")
    return plain


def _printable(kind: str) -> str:
    return kind.strip() if kind.isascii() and kind.isprintable() else ""
