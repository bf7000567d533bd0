"""The guest's main program: initialise, then answer invocations until the server hangs up.

Results, errors and descriptors are the user's to break: nothing here tries to survive a handler that closes the
channel or ends the process. The server sees that, fails the invocation, and starts another instance.
"""

# ruff: noqa: TID252  # relative, since inside a sandbox this package is `_torpor_guest`

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Callable  # not from collections.abc: that alias fails on 3.9.0 and 3.9.1

from ..wire.frames import INVOKES, Frame, Kind
from ..wire.messages import Call, pack_ready, unpack_call
from . import closed, faults, marshal, output, streams
from .channel import Channel, ChannelLost, open_channel
from .context import LambdaContext
from .event import wrap
from .flows import Flows, SerialFlow, ThreadFlow
from .handler import Handler, is_async
from .initialise import initialise
from .settings import GuestSettings, take_settings

_SNAPSHOT = f"{__package__}.snapshot"
_TRACE = "_X_AMZN_TRACE_ID"
_LOST = 70  # exit status: the channel is gone (EX_SOFTWARE)


def main() -> None:
    """Entry of the program that the sandbox starts; does not return before the server is done with it."""
    channel = open_channel()
    settings = take_settings()
    try:
        if settings.custom:
            from .custom import serve_custom  # only these pay for the import of an HTTP server

            serve_custom(channel, settings)
        handler = _load(channel, settings)
        if handler is not None:
            serve(channel, handler, settings)
    except ChannelLost:
        output.flush()
        os._exit(_LOST)


def _load(channel: Channel, settings: GuestSettings) -> Handler | None:
    try:
        snapshot: Any = sys.modules.get(_SNAPSHOT)  # there where this process was forked from one
        restores = snapshot is not None and snapshot.is_taken()
        handler, report = snapshot.restore() if restores else initialise(settings)
    except Exception as error:
        described = faults.describe(error, "")
        faults.log(described, closed.hint(error))
        output.flush()
        channel.send(Kind.INIT_ERROR, 0, faults.encode(described))
        return None
    output.flush()
    channel.send(Kind.READY, 0, pack_ready(report))
    return handler


def serve(channel: Channel, handler: Handler, settings: GuestSettings) -> None:
    """Answer until the server closes its end or says so."""
    if is_async(handler):
        from .tasks import TaskFlow, serve_in_loop  # only these pay for the import of asyncio

        worker = Worker(channel, handler, settings.max_response, TaskFlow)
        serve_in_loop(channel, worker)
        return
    worker = Worker(channel, handler, settings.max_response, SerialFlow if settings.concurrency == 1 else ThreadFlow)
    answer = worker.answer if settings.concurrency == 1 else _in_threads(worker, settings.concurrency)
    while True:
        frame = channel.receive()
        if frame is None or frame.kind == Kind.SHUTDOWN:
            return
        if frame.kind in INVOKES:
            answer(frame)
        else:
            worker.flows.heed(frame)


def _in_threads(worker: Worker, count: int) -> Any:
    from concurrent.futures import ThreadPoolExecutor  # only revisions that ask for concurrency pay for this import

    pool = ThreadPoolExecutor(count, thread_name_prefix="invocation")

    def answer(frame: Frame) -> None:
        pool.submit(worker.answer_or_leave, frame)

    return answer


class Worker:
    """Runs the handler for one frame at a time per thread or task. `max_response` in bytes."""

    def __init__(self, channel: Channel, handler: Handler, max_response: int, flow: Callable[..., Any]) -> None:
        self.flows = Flows(flow, channel)
        self._channel = channel
        self._handler = handler
        self._max_response = max_response
        self._pid = os.getpid()
        self._settle: Callable[[Any], Any] | None = None
        self._settling = threading.Lock()

    def answer(self, frame: Frame) -> None:
        """Run the handler and send what came of it. SystemExit and its like pass: they end the process."""
        call, payload = _begin(frame)
        self._send(frame.id, *self._run(frame, call, payload))

    async def answer_async(self, frame: Frame) -> None:
        """`answer` for a handler written with `async def`, in a task of its own."""
        call, payload = _begin(frame)
        self._send(frame.id, *await self._run_async(frame, call, payload))

    def answer_or_leave(self, frame: Frame) -> None:
        """`answer` for a pool's thread, where an exit would otherwise be kept in a future that nobody reads."""
        try:
            self.answer(frame)
        except SystemExit as leaving:
            output.flush()
            os._exit(leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None))
        except BaseException:
            output.flush()
            os._exit(_LOST)

    def _send(self, request: int, kind: int, answer: bytes) -> None:
        output.flush()
        if os.getpid() != self._pid:
            os._exit(0)  # a child that the handler forked and let return: the answer is its parent's to give
        self._channel.send(kind, request, answer)

    def _run(self, frame: Frame, call: Call, payload: bytes) -> tuple[int, bytes]:
        try:
            result = self._handler(wrap(marshal.read_event(payload)), LambdaContext(call))
            if type(result) in streams.UNFINISHED:
                return self._drive(result, frame)
            return self._result(result)
        except Exception as error:
            return _error(error, call)

    def _drive(self, result: Any, frame: Frame) -> tuple[int, bytes]:
        """What comes of a generator, or of a coroutine that a plain function returned, as a decorator does."""
        if type(result) is CoroutineType:
            result = self._wait_for(result)
        if type(result) is AsyncGeneratorType:
            result = streams.in_steps(result, self._wait_for)
        if type(result) is not GeneratorType:
            return self._result(result)
        with self._sink(frame) as sink:
            return streams.drive(result, sink)

    async def _run_async(self, frame: Frame, call: Call, payload: bytes) -> tuple[int, bytes]:
        try:
            with self._sink(frame) as sink:
                result = self._handler(wrap(marshal.read_event(payload)), LambdaContext(call))
                if type(result) is not AsyncGeneratorType:
                    result = await result
                if type(result) in streams.GENERATORS:
                    return await streams.drive_async(result, sink)
            return self._result(result)
        except (Exception, _cancelled()) as error:  # what it awaited was cancelled, or it cancelled itself
            return _error(error, call)

    @contextlib.contextmanager
    def _sink(self, frame: Frame) -> Iterator[Any]:
        """Where what a handler yields is to go: out at once, where the caller takes pieces."""
        if frame.kind != Kind.INVOKE_STREAM:
            yield streams.Joining(self._max_response)
            return
        try:
            yield streams.Streaming(self.flows.open(frame.id))
        finally:
            self.flows.close(frame.id)

    def _wait_for(self, coroutine: Any) -> Any:
        """What comes of a coroutine that a plain function returned: a decorator around an `async def` does that."""
        with self._settling:
            if self._settle is None:
                from .tasks import loop_in_thread

                self._settle = loop_in_thread()
        return self._settle(coroutine)

    def _result(self, result: Any) -> tuple[int, bytes]:
        answer = marshal.write_result(result)
        if len(answer) > self._max_response:
            return Kind.TOO_LARGE, b"%d" % len(answer)
        return Kind.RESULT, answer


def _begin(frame: Frame) -> tuple[Call, bytes]:
    call, payload = unpack_call(frame.payload)
    output.request_id.set(call.request_id)
    _set_trace(call.trace_id)
    return call, payload


def _error(error: BaseException, call: Call) -> tuple[int, bytes]:
    described = faults.describe(error, call.request_id)
    _try_log(described, closed.hint(error))
    return Kind.ERROR, faults.encode(described)


def _cancelled() -> type[BaseException]:
    from asyncio import CancelledError

    return CancelledError


def _try_log(described: dict[str, Any], hint: str) -> None:
    try:
        faults.log(described, hint)
    except (OSError, ValueError):  # the handler closed its own output; the error is still answered
        sys.stdout = sys.__stdout__


def _set_trace(trace_id: str) -> None:
    """Let `os.environ` tell this invocation's trace.

    Not by putenv: the C library keeps every value that it ever replaced, and there is a new one for each invocation.
    So a child sees it only where it is handed `os.environ`.
    """
    variables: Any = os.environ
    variables._data[variables.encodekey(_TRACE)] = variables.encodevalue(trace_id)  # noqa: SLF001 -- no other way
