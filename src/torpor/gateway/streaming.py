"""Sending a body that comes in pieces: as fast as the client takes it, and visibly cut where it breaks off."""

from __future__ import annotations

import asyncio

from torpor.core.http import Body, BrokenBody, HttpResponse
from torpor.gateway.abandon import abandonable
from torpor.gateway.asgi import Message, Scope, Send

_CLOSING_S = 30.0  # for a client that was sent half an answer to read it
_BODILESS = (204, 304)

Header = tuple[bytes, bytes]


async def send_stream(
    send: Send, scope: Scope, response: HttpResponse, stream: Body, *extra: Header, patience_s: float
) -> None:
    """Answer with `response` and its `stream`, which is closed. Needs a `protocol.Connection` underneath.

    A client that takes longer than `patience_s` seconds for a piece is cut off. Cancelled when the client leaves.
    """

    async def out(message: Message) -> None:
        async with asyncio.timeout(patience_s):
            await send(message)

    try:
        with abandonable(scope):
            headers = [(name.encode("latin-1"), value.encode()) for name, value in response.headers]
            await out({"type": "http.response.start", "status": response.status, "headers": [*headers, *extra]})
            while (piece := await stream.read()) is not None:
                if response.status not in _BODILESS:
                    await out({"type": "http.response.body", "body": piece, "more_body": True})
            await out({"type": "http.response.body", "body": b""})
    except (BrokenBody, TimeoutError) as error:
        await _cut(scope, at_once=isinstance(error, TimeoutError))
    finally:
        stream.close()


async def _cut(scope: Scope, *, at_once: bool) -> None:
    """End the connection without the end of the body, so that the client sees that it is incomplete."""
    connection = scope["torpor.connection"]
    with abandonable(scope):
        if not at_once:
            connection.transport.close()  # what was sent is read first
            await asyncio.sleep(_CLOSING_S)  # cancelled once the connection is gone
        connection.transport.abort()
        await asyncio.sleep(_CLOSING_S)
