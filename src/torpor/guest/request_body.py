"""The body of a request, by its length or in chunks, read in bounded pieces; trailers after the chunks.

Source: RFC 9112, sections 6 and 7.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from http.client import parse_headers
from typing import Any

_PIECE = 64 * 1024
_HEX = b"0123456789abcdefABCDEF"
_MAX_DRAINED = 64 * 1024 * 1024
_MAX_LINE = 4096  # of a chunk's size and extensions
_KIND, _BODY = "Lambda-Runtime-Function-Error-Type", "Lambda-Runtime-Function-Error-Body"


class BadBody(Exception):
    """The body is not what its headers say."""


class TooLarge(Exception):
    """The body is larger than allowed; `size` is what is known of it, in bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


def of(headers: Any, stream: Any) -> Body:
    """The body that follows `headers` in `stream`. Raises BadBody."""
    if "chunked" in headers.get("Transfer-Encoding", "").lower():
        return Body(stream, None)
    text = headers.get("Content-Length", "0")
    if not (text.isascii() and text.isdigit()):
        raise BadBody(f"Content-Length is no number: {text[:50]}")
    return Body(stream, int(text))


class Body:
    """`length` in bytes, None for chunks."""

    def __init__(self, stream: Any, length: int | None) -> None:
        self._stream = stream
        self._length = length
        self._trailers: Any = {}

    def read(self, limit: int) -> bytes:
        """All of it. Raises TooLarge beyond `limit` bytes, once it has come to its end, and BadBody."""
        pieces, size = [], 0
        for piece in self.pieces():
            size += len(piece)
            if size <= limit:
                pieces.append(piece)
            elif size > limit + _MAX_DRAINED:
                raise BadBody("the body is far larger than allowed")
            else:
                pieces.clear()  # the rest is read all the same: a client that writes would not read our answer
        if size > limit:
            raise TooLarge(size)
        return b"".join(pieces)

    def pieces(self) -> Iterator[bytes]:
        """As it comes, at most 64 KiB at a time. Raises BadBody when it ends too soon."""
        if self._length is not None:
            yield from self._counted(self._length)
            return
        while True:
            size = self._chunk_size()
            if not size:
                break
            yield from self._counted(size)
            if self._stream.readline(3) not in (b"\r\n", b"\n"):
                raise BadBody("a chunk is longer than its size")
        self._trailers = parse_headers(self._stream)

    def failure(self) -> bytes | None:
        """Lambda's error object where trailers tell that the response failed midway; None where they do not."""
        kind, encoded = self._trailers.get(_KIND), self._trailers.get(_BODY)
        if kind is None and encoded is None:
            return None
        try:
            told = base64.b64decode(encoded or "", validate=True)
            if isinstance(json.loads(told), dict):
                return told
        except (binascii.Error, ValueError, RecursionError):
            pass
        message = "The runtime ended its response with an error"
        return json.dumps({"errorType": kind or "Runtime.Unknown", "errorMessage": message}).encode()

    def _counted(self, left: int) -> Iterator[bytes]:
        while left:
            piece = self._stream.read1(min(left, _PIECE))
            if not piece:
                raise BadBody("the body ended before its time")
            left -= len(piece)
            yield piece

    def _chunk_size(self) -> int:
        line = self._stream.readline(_MAX_LINE)
        text = line.partition(b";")[0].strip()
        if not line.endswith(b"\n") or not text or text.strip(_HEX):
            raise BadBody("a chunk's size is no number")
        return int(text, 16)
