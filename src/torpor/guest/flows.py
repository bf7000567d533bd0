"""How much of an answer in pieces may leave: one flow for each invocation, for each way in which handlers are run."""

# ruff: noqa: TID252  # relative, since inside a sandbox this package is `_torpor_guest`

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Any, Callable  # Callable not from collections.abc: that alias fails on 3.9.0 and 3.9.1

from ..wire.frames import Frame, Kind
from ..wire.streams import MAX_CHUNK, WINDOW, unpack_credit
from .channel import Channel, ChannelLost

_MAX_EARLY = 1024


class Abandoned(Exception):
    """Nobody wants the rest of this answer."""


class Flow:
    """One answer on its way out."""

    def __init__(self, channel: Channel, request: int) -> None:
        self._channel = channel
        self._request = request
        self._credit = WINDOW
        self._cancelled = False

    @property
    def cancelled(self) -> bool:
        """Whether nobody wants the rest."""
        return self._cancelled

    def begin(self, content_type: str) -> None:
        self._channel.send(Kind.BEGIN, self._request, content_type.encode("latin-1", "replace"))

    def heed(self, frame: Frame) -> None:
        """A CREDIT or CANCEL frame for this answer."""
        if frame.kind == Kind.CREDIT:
            self._credit += unpack_credit(frame.payload)
        elif frame.kind == Kind.CANCEL:
            self._cancelled = True

    def _look(self) -> None:
        """Notice a cancellation. Raises Abandoned."""
        if self._cancelled:
            raise Abandoned

    def _send_some(self, left: memoryview) -> memoryview:
        count = min(len(left), self._credit, MAX_CHUNK)
        self._credit -= count
        self._channel.send(Kind.CHUNK, self._request, bytes(left[:count]))
        return left[count:]


class WaitingFlow(Flow, ABC):
    """For plain generators: whoever sends waits until it may."""

    def send(self, data: bytes) -> None:
        """Wait until it may leave, and send it. Raises Abandoned and ChannelLost."""
        self._look()
        left = memoryview(data)
        while left:
            self._await_credit()
            left = self._send_some(left)

    @abstractmethod
    def _await_credit(self) -> None:
        """Raises Abandoned and ChannelLost."""


class SerialFlow(WaitingFlow):
    """For one invocation at a time: whoever waits reads the channel, since nobody else does."""

    def _look(self) -> None:
        self._heed_all(self._channel.receive_nowait())
        super()._look()

    def _await_credit(self) -> None:
        while not self._credit and not self._cancelled:
            frame = self._channel.receive()
            self._heed_all(None if frame is None else [frame])
        super()._look()

    def _heed_all(self, frames: list[Frame] | None) -> None:
        if frames is None:
            raise ChannelLost("the server hung up")
        for frame in frames:
            if frame.id == self._request:
                self.heed(frame)


class ThreadFlow(WaitingFlow):
    """For threads: another one reads the channel."""

    def __init__(self, channel: Channel, request: int) -> None:
        super().__init__(channel, request)
        self._changed = threading.Condition()

    def heed(self, frame: Frame) -> None:
        with self._changed:
            super().heed(frame)
            self._changed.notify_all()

    def _await_credit(self) -> None:
        with self._changed:
            while not self._credit and not self._cancelled:
                self._changed.wait()
        self._look()


class Flows:
    """The answers under way, by request. `kind` makes a flow."""

    def __init__(self, kind: Callable[[Channel, int], Any], channel: Channel) -> None:
        self._kind = kind
        self._channel = channel
        self._open: dict[int, Any] = {}
        self._early: dict[int, Frame] = {}

    def open(self, request: int) -> Any:
        flow = self._kind(self._channel, request)
        if request in self._early:
            flow.heed(self._early.pop(request))
        self._open[request] = flow
        return flow

    def heed(self, frame: Frame) -> None:
        """A CREDIT or CANCEL frame; one that comes after the end says nothing.

        A cancellation may come before the handler has given anything to cancel.
        """
        flow = self._open.get(frame.id)
        if flow is not None:
            flow.heed(frame)
        elif frame.kind == Kind.CANCEL:
            if len(self._early) >= _MAX_EARLY:
                self._early.clear()  # of answers that came whole, most likely
            self._early[frame.id] = frame

    def close(self, request: int) -> None:
        self._open.pop(request, None)
