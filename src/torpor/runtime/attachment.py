"""Everything the server holds open for one launched sandbox: opened in order, closed in reverse, whatever happened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from torpor.core.errors import StartFailed
from torpor.core.function import Revision
from torpor.runtime.control import Control
from torpor.runtime.output import OutputReader
from torpor.runtime.ports import AsyncClosable, DoorOpener
from torpor.runtime.spec import Launched

_log = structlog.get_logger()


class Attachment:
    """Control channel, output and door of one instance."""

    def __init__(self, launched: Launched, control: Control, output: OutputReader) -> None:
        self.launched = launched
        self.control = control
        self.output = output
        self._door: AsyncClosable | None = None
        self._closed = False

    async def open(self, revision: Revision, log_stream: str, open_door: DoorOpener) -> None:
        """Serve the door first, then listen: the guest may begin to speak at once.

        Raises StartFailed when the instance ended meanwhile.
        """
        door = await open_door(revision, log_stream, self.launched.listeners)
        if self._closed:
            await _attempt(door.close)
            raise StartFailed("the instance ended before it was ready")
        self._door = door
        await self.control.attach(self.launched.control)

    async def close(self) -> None:
        """Kill what still lives and release everything; one failing to close does not keep the rest open."""
        self._closed = True
        self.output.close()
        steps = [self._door.close] if self._door is not None else []
        for step in (self.control.close, *steps, self.launched.close):
            await _attempt(step)


async def _attempt(step: Callable[[], Awaitable[None]]) -> None:
    try:
        await step()
    except Exception:
        _log.exception("instance.close_failed", action="instance.close_failed")
