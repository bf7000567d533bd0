"""uvicorn's HTTP protocol with bounds: connections, the size of a request's head, and the time it may take.

httptools alone accepts a head of any size, and uvicorn waits for ever for the first byte of one, for the rest of a body
that nobody wants any more, and for a client that does not read its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, cast

import structlog
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from torpor.core.http import HttpRequest, HttpResponse
from torpor.gateway.asgi import DateHeader, json_response, new_request_id
from torpor.gateway.loans import FREE_BYTES
from torpor.gateway.quick import Known, MalformedHead, Quick, framed_by, serialized

_log = structlog.get_logger()
_date = DateHeader()


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one listener puts up with. `keep_alive_s` is how long an idle connection stays.

    A client that was answered early may still send `unwanted_bytes` of its body: closing at once would reset the
    connection, and the answer might never be read.
    """

    connections: int = 10_000
    head_bytes: int = 64 * 1024
    head_s: float = 30.0
    keep_alive_s: int = 75
    unwanted_bytes: int = 128 * 1024 * 1024
    linger_s: float = 30.0


class Output:
    """A transport as a request's answer is written to it: while held, the head waits for the body, to leave with it."""

    __slots__ = ("_held", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._held: bytes | None = None

    def hold(self) -> None:
        """Keep the next piece until another one comes, or until `release`."""
        self._held = b""

    def release(self) -> None:
        """Write what is kept. Idempotent."""
        held, self._held = self._held, None
        if held:
            self._transport.write(held)

    def write(self, data: bytes) -> None:
        if self._held is None:
            self._transport.write(data)
        elif self._held:
            whole, self._held = self._held + data, None
            self._transport.write(whole)
        else:
            self._held = data

    def close(self) -> None:
        self.release()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()


class _Exchange:
    """A request on the short way, in the place of uvicorn's cycle."""

    __slots__ = ("connection", "disconnected", "head_only", "keep_alive", "request_id", "response_complete")

    def __init__(self, connection: Connection, request_id: str, *, head_only: bool, keep_alive: bool) -> None:
        self.connection = connection
        self.request_id = request_id
        self.head_only = head_only
        self.keep_alive = keep_alive
        self.response_complete = False
        self.disconnected = False

    @property
    def message_event(self) -> _Exchange:
        return self

    def set(self) -> None:
        """Nobody waits for more of the request: it is whole."""

    def answer(self, response: HttpResponse) -> None:
        if self.disconnected:
            return
        try:
            data = serialized(response, _date()[1], head_only=self.head_only, close=not self.keep_alive)
        except (MalformedHead, UnicodeEncodeError):
            _log.exception("an answer cannot be sent", action="request_failed", request_id=self.request_id)
            broken = json_response(500, {"message": "Internal Server Error", "requestId": self.request_id})
            data = serialized(broken, _date()[1], head_only=self.head_only, close=not self.keep_alive)
        self.response_complete = True
        self.connection.answered(data, close=not self.keep_alive)


class Connection(HttpToolsProtocol):
    """One client's connection. An application finds it in its scope as `torpor.connection`.

    `on_lost` is called when the client leaves while it is set. `quick` is the short way past the application, for
    targets that begin with one of `quick_paths`.
    """

    bounds = Bounds()
    quick: Quick | None = None
    quick_paths: tuple[bytes, ...] = ()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.access_log = False  # the application logs, when asked; uvicorn would whenever the root logger has handlers
        self.on_lost: Callable[[], object] | None = None
        self._head_bytes = 0
        self._unwanted_bytes = 0
        self._in_head = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._whole: list[bytes] | None = None  # the body so far of a request that may go the short way
        self._open: _Exchange | None = None  # on the short way, unanswered
        self._left: asyncio.Event | None = None
        self._chunk: bytes | None = None  # what is being parsed, where it begins with a request
        self._in_message = False
        self._known: Known | None = None  # the head of the last request that went the short way
        self._idle_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        super().connection_made(transport)
        if len(self.connections) > self.bounds.connections:
            transport.abort()
            return
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
        if self._open is not None:
            self._open.disconnected = True
        if self.on_lost is not None:
            self.on_lost()
        self._close_exchange()

    def data_received(self, data: bytes) -> None:
        if self._known is not None and self._known.matches(data) and self._begin_known(self._known, data):
            return
        self._chunk = None if self._in_message else data
        super().data_received(data)
        self._chunk = None
        if self._whole is not None and not self.transport.is_closing():
            self._begin_ordinary()  # the rest of its body is still on its way
        if self._in_head:
            self._bound_head(len(data))
        elif self._head_timer is not None:
            self._disarm()
        if self.cycle is not None and self.cycle.response_complete:
            self._stay()

    def on_message_begin(self) -> None:
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._in_head, self._in_message, self._head_bytes = True, True, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # a chunked body's trailers are not headers: they come after the checks
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self.url.startswith(self.quick_paths) and self._is_plain():
            self._whole = []
        else:
            self._begin_cycle()

    def _is_plain(self) -> bool:
        """Whether the short way can carry it: alone, of HTTP/1.1, wanting nothing special, its answers being read."""
        return (
            self.quick is not None
            and (self.cycle is None or self.cycle.response_complete)
            and not self.expect_100_continue
            and not self.flow.write_paused
            and not self.parser.should_upgrade()
            and self.parser.get_http_version() == "1.1"
        )

    def on_body(self, body: bytes) -> None:
        if self._whole is not None:
            self._whole.append(body)
            return
        super().on_body(body)
        if self.cycle.response_complete:
            self._unwanted_bytes += len(body)
            if self._unwanted_bytes > self.bounds.unwanted_bytes:
                self.transport.abort()

    def on_message_complete(self) -> None:
        self._in_message = False
        if self._whole is not None:
            if self._begin_quick(b"".join(self._whole)):
                self._whole = None
                return
            self._begin_ordinary()
        super().on_message_complete()

    def _begin_quick(self, body: bytes) -> bool:
        """Whether it goes the short way."""
        if self.quick is None or len(body) > FREE_BYTES or b"#" in self.url:
            return False
        head = self._head_of_request()
        begin = self.quick(head)
        if begin is None:
            return False
        found = framed_by(self._chunk, body) if self._chunk is not None else None
        known = Known(
            head=found or b"",
            size=len(found or b"") + len(body),
            begin=begin,
            head_only=head.method == "HEAD",
            keep_alive=bool(self.parser.should_keep_alive()),
        )
        if not self._exchange(known, body):
            return False
        self._known = known if found is not None and known.keep_alive else None
        return True

    def _head_of_request(self) -> HttpRequest:
        path, _, query = self.url.partition(b"?")
        return HttpRequest(
            method=self.parser.get_method().decode("ascii"),
            path=path.decode("latin-1"),
            query=query.decode("latin-1"),
            headers=tuple([(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.headers]),
            scheme=self.scheme or "http",
            client=self.client[0] if self.client else "127.0.0.1",
        )

    def _begin_known(self, known: Known, data: bytes) -> bool:
        """Whether a request goes the short way whose head the parser has read before: it need not read it again."""
        if self._in_message or not self.cycle.response_complete or self.flow.write_paused:
            return False
        self._idle_since = None
        return self._exchange(known, data[len(known.head) :])

    def _exchange(self, known: Known, body: bytes) -> bool:
        """Whether it is taken."""
        exchange = _Exchange(self, new_request_id(), head_only=known.head_only, keep_alive=known.keep_alive)
        before, self.cycle = self.cycle, cast("Any", exchange)
        try:
            leave = known.begin(body, exchange.request_id, exchange.answer)
        except Exception:  # the parser would take it for the client's fault
            _log.exception("a request failed", action="request_failed", request_id=exchange.request_id)
            leave = None
        if leave is None:
            self.cycle = before
            return False
        if not exchange.response_complete:
            self.on_lost, self._open = leave, exchange
        return True

    def _begin_ordinary(self) -> None:
        """Hand what has come of a request to the application."""
        pieces, self._whole = self._whole or [], None
        self._begin_cycle()
        for piece in pieces:
            super().on_body(piece)

    def _begin_cycle(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()  # makes the scope
        self.url, self.expect_100_continue = url, expects
        self.headers += headers
        cast("MutableMapping[str, Any]", self.scope)["torpor.connection"] = self
        super().on_headers_complete()
        # uvicorn writes head and body apart: two system calls, two packets, and a client that wakes up twice
        output = Output(self.transport)
        self.cycle.transport = cast("asyncio.Transport", output)
        cast("MutableMapping[str, Any]", self.scope)["torpor.output"] = output

    def answered(self, data: bytes, *, close: bool) -> None:
        """A request on the short way has its answer."""
        self.on_lost = None
        if not self.transport.is_closing():
            self.transport.write(data)
            if close:
                self.transport.close()
        self._close_exchange()
        self.on_response_complete()

    @property
    def answering(self) -> bool:
        """Whether a request on the short way waits for its answer."""
        return self._open is not None

    async def wait_answered(self) -> None:
        """Until the request on the short way has its answer, or the client has left."""
        if self.answering:
            self._left = self._left or asyncio.Event()
            await self._left.wait()

    def _close_exchange(self) -> None:
        self._open = None
        if self._left is not None:
            self._left.set()

    def on_response_complete(self) -> None:
        if self.pipeline:
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self.flow.resume_reading()
            self._stay()

    def _unset_keepalive_if_required(self) -> None:
        """Uvicorn's name for: something has come. The timer goes on, and finds out when it goes off."""
        self._idle_since = None

    def _stay(self) -> None:
        """The time that an idle connection may stay begins, or begins again: what came was not a request."""
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None and not self.transport.is_closing():
            self._look_at_idleness_in(self.timeout_keep_alive)

    def _look_at_idleness_in(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """One timer for all the times that a connection is idle: no request has to set or cancel one."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return
        left_s = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left_s > 0:
            self._look_at_idleness_in(left_s)
            return
        super().timeout_keep_alive_handler()
        self._end_for_certain()

    def _bound_head(self, received: int) -> None:
        self._head_bytes += received
        if self._head_bytes > self.bounds.head_bytes:
            self._refuse(431, b"Request Header Fields Too Large")
        elif self._head_timer is None:
            self._arm()

    def _arm(self) -> None:
        self._head_timer = self.loop.call_later(self.bounds.head_s, self._refuse, 408, b"Request Timeout")

    def _disarm(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: int, reason: bytes) -> None:
        """Answer outside of any application, unless it is answering, and hang up."""
        self._disarm()
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(b"HTTP/1.1 %d %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % (status, reason))
        self.transport.close()
        self._end_for_certain()

    def _end_for_certain(self) -> None:
        """Closing waits until the client has read what was written; a client that never does is cut off."""
        self.loop.call_later(self.bounds.linger_s, self.transport.abort)


def bounded(bounds: Bounds, quick: Quick | None = None, quick_paths: tuple[bytes, ...] = ()) -> type[Connection]:
    """A class of connections with these bounds, and with a short way for these paths."""
    offered = None if quick is None else staticmethod(quick)
    return type("BoundedConnection", (Connection,), {"bounds": bounds, "quick": offered, "quick_paths": quick_paths})
