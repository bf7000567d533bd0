"""Handlers that yield: what they yield as bytes, sent as it comes, or joined for who wants one answer.

The first thing yielded may be the head of an HTTP response, a dictionary with `statusCode`, `headers` and `cookies`.
"""

# ruff: noqa: TID252  # relative, since inside a sandbox this package is `_torpor_guest`

from __future__ import annotations

import base64
import contextlib
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Callable  # Callable not from collections.abc: that alias fails on 3.9.0 and 3.9.1

from ..wire.frames import Kind
from ..wire.streams import HEAD_END, INTEGRATION_TYPE
from . import marshal
from .faults import Fault
from .flows import Abandoned

GENERATORS = frozenset({GeneratorType, AsyncGeneratorType})
UNFINISHED = GENERATORS | {CoroutineType}  # what a handler may return to be driven
_BYTES, _TEXT = "application/octet-stream", "text/plain; charset=utf-8"
_HEAD = frozenset({"statusCode", "headers", "multiValueHeaders", "cookies"})


class Joining:
    """Keeps everything, for an answer of at most `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._head: dict[str, Any] | None = None
        self._pieces: list[bytes] | None = None
        self._size = 0

    def take(self, item: Any) -> None:
        """Raises Abandoned once there is too much, and Fault."""
        if self._pieces is None:
            self._pieces = []
            if isinstance(item, dict):
                _check_head(item)
                self._head = item
                return
        data = _write(item)
        self._size += len(data)
        if self._size > self._limit:
            raise Abandoned
        self._pieces.append(data)

    async def take_async(self, item: Any) -> None:
        self.take(item)

    def driving(self) -> Any:
        return contextlib.nullcontext()

    def result(self) -> tuple[int, bytes]:
        """The kind and payload of the last frame; with a head, a response of payload format 2.0."""
        if self._size > self._limit:
            return Kind.TOO_LARGE, b"%d" % self._size
        body = b"".join(self._pieces or ())
        if self._head is not None:
            body = marshal.write_result({**self._head, **_body(body)})
        return (Kind.RESULT, body) if len(body) <= self._limit else (Kind.TOO_LARGE, b"%d" % len(body))


class Streaming:
    """Sends everything at once, as fast as it is taken."""

    def __init__(self, flow: Any) -> None:
        self._flow = flow
        self._begun = False

    def take(self, item: Any) -> None:
        """Raises Abandoned when nobody wants the rest, Fault and ChannelLost."""
        self._flow.send(self._next(item))

    def driving(self) -> Any:
        """While an asynchronous generator is driven: it is cancelled by a cancellation of what it waits for."""
        return self._flow.driving()

    async def take_async(self, item: Any) -> None:
        await self._flow.send_async(self._next(item))

    def _next(self, item: Any) -> bytes:
        if self._begun:
            return _write(item)
        kind, data = _first(item)
        self._begin(kind)
        return data

    def _begin(self, kind: str) -> None:
        self._begun = True
        self._flow.begin(kind)

    def result(self) -> tuple[int, bytes]:
        if not self._begun:
            self._begin(_BYTES)
        return Kind.RESULT, b""


def drive(generator: Any, sink: Any) -> tuple[int, bytes]:
    """Hand over what a generator yields until its end, or until nobody wants more: then it is closed.

    Returns the kind and payload of the last frame. What the generator raises passes.
    """
    try:
        for item in generator:
            sink.take(item)
    except Abandoned:
        pass
    finally:
        generator.close()
    result: tuple[int, bytes] = sink.result()
    return result


async def drive_async(generator: Any, sink: Any) -> tuple[int, bytes]:
    """The same for an asynchronous generator, or for a plain one in a loop."""
    try:
        with sink.driving():
            if type(generator) is GeneratorType:
                for item in generator:
                    await sink.take_async(item)
            else:
                async for item in generator:
                    await sink.take_async(item)
    except Abandoned:
        pass
    finally:
        if type(generator) is GeneratorType:
            generator.close()
        else:
            await generator.aclose()
    result: tuple[int, bytes] = sink.result()
    return result


def in_steps(generator: Any, settle: Callable[[Any], Any]) -> Any:
    """An asynchronous generator as a plain one, each step of it run by `settle`."""
    try:
        while True:
            try:
                item = settle(generator.__anext__())
            except StopAsyncIteration:
                return
            yield item
    finally:
        settle(generator.aclose())


def _first(item: Any) -> tuple[str, bytes]:
    if isinstance(item, dict):
        _check_head(item)
        return INTEGRATION_TYPE, marshal.write_result(item) + HEAD_END
    return _TEXT if isinstance(item, str) else _BYTES, _write(item)


def _check_head(item: dict[str, Any]) -> None:
    unknown = [str(name) for name in item if name not in _HEAD]
    if unknown or not item:
        raise Fault(
            "Runtime.MarshalError",
            "Unable to marshal response: a dictionary that is yielded first is the head of an HTTP response, with "
            f"statusCode, headers and cookies, not {', '.join(unknown)[:100] or 'empty'}. Yield json.dumps(…) for data",
        )


def _write(item: Any) -> bytes:
    if isinstance(item, str):
        return item.encode("utf-8", "replace")
    if isinstance(item, (bytes, bytearray, memoryview)):
        return bytes(item)
    raise Fault(
        "Runtime.MarshalError",
        f"Unable to marshal response: a handler that yields gives str or bytes, not {type(item).__name__}. "
        "Yield json.dumps(…) for data",
    )


def _body(body: bytes) -> dict[str, Any]:
    try:
        return {"body": body.decode(), "isBase64Encoded": False}
    except UnicodeDecodeError:
        return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
