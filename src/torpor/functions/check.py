"""The deployment check: what was built is initialised once in the background, and so found out how to start.

A function is Active before, and is called while it goes on, as ever. What was not checked, because too many wait or
the server stopped, is learned from its first call.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import structlog

from torpor.core.arn import LATEST
from torpor.core.errors import TorporError
from torpor.functions.catalog import Catalog
from torpor.functions.ports import CheckRunner
from torpor.functions.revisions import Revisions
from torpor.policy.check import Ending, Verdict
from torpor.store.function_table import FunctionRecord

Key = tuple[str, str]  # a function's name, and the version
_log = structlog.get_logger(__name__)
_BOUND_S = 300.0  # of one check, a zygote's build included
_MOST_WAITING = 1000
_STATES = {Ending.READY: "passed", Ending.FAILED: "failed", Ending.HUNG: "failed", Ending.UNKNOWN: "unknown"}


class NoChecks:
    """Implements ports.Checks where they are not wanted."""

    def begin(self, record: FunctionRecord) -> None:
        """Nothing is checked."""

    def cancel(self, key: Key) -> None:
        """As above."""

    async def wait(self, key: Key, timeout_s: float | None) -> None:
        """As above."""

    async def close(self) -> None:
        """As above."""

    def state(self, name: str) -> dict[str, Any]:  # noqa: ARG002 -- of all functions
        return {"state": "off", "error": ""}


class DeploymentChecks:
    """Implements ports.Checks: `at_once` at a time, one for each function or version, its latest revision alone."""

    def __init__(self, catalog: Catalog, revisions: Revisions, node: CheckRunner, *, at_once: int = 2) -> None:
        self._catalog = catalog
        self._revisions = revisions
        self._node = node
        self._at_once = at_once
        self._waiting: dict[Key, FunctionRecord] = {}  # in the order in which they were built
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()  # these, and those that were cancelled and are not over yet
        self._changed = asyncio.Event()
        self._closed = False

    def begin(self, record: FunctionRecord) -> None:
        """Check this function's serving revision soon; what was being checked of it is superseded."""
        key = record.name, record.version
        self.cancel(key)
        if self._closed or record.serving is None or record.serving.config.debug_port:  # a debugger waits for a call
            return
        self._waiting[key] = record
        if len(self._waiting) > _MOST_WAITING:
            self._waiting.pop(next(iter(self._waiting)))
        self._go_on()

    def cancel(self, key: Key) -> None:
        """It was deleted, or changed."""
        self._waiting.pop(key, None)
        task = self._running.pop(key, None)
        if task is not None:
            task.cancel()
        self._tell()

    async def wait(self, key: Key, timeout_s: float | None) -> None:
        """Until nothing of this function is being checked, or the time is up."""
        try:
            async with asyncio.timeout(timeout_s):
                while key in self._waiting or key in self._running:
                    await self._changed.wait()
        except TimeoutError:
            return

    async def close(self) -> None:
        """Stop; what was not checked is learned when it is called."""
        self._closed = True
        self._waiting.clear()
        for task in self._running.values():
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def state(self, name: str) -> dict[str, Any]:
        """For who asks about a function: `state` is pending, passed, failed or unknown; `error` what went wrong."""
        if (name, LATEST) in self._waiting or (name, LATEST) in self._running:
            return {"state": "pending", "error": ""}
        found = self._node.check_of(name)
        return {"state": _STATES[found.ending], "error": found.error} if found else {"state": "unknown", "error": ""}

    def _go_on(self) -> None:
        while self._waiting and len(self._tasks) < self._at_once and not self._closed:
            key, record = next(iter(self._waiting.items()))
            del self._waiting[key]
            task = asyncio.create_task(self._check(record), name=f"check-{':'.join(key)}")
            self._running[key] = task
            self._tasks.add(task)
            task.add_done_callback(partial(self._done, key))

    def _done(self, key: Key, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._running.get(key) is task:
            del self._running[key]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a check failed", action="check.crashed", function=key[0], exc_info=error)
        self._tell()
        self._go_on()

    async def _check(self, record: FunctionRecord) -> None:
        assert record.serving is not None
        try:
            async with asyncio.timeout(_BOUND_S):
                revision = await self._revisions.build(record, record.serving)
                if self._is_served(record):
                    _report(record.name, await self._node.check(revision))
        except (TimeoutError, TorporError) as error:
            _log.warning("not checked", action="check.undone", function=record.name, reason=str(error))

    def _is_served(self, record: FunctionRecord) -> bool:
        """Whether it is still what a call would find: it may have been deleted while its code was unpacked."""
        now = self._catalog.resolve(record.name, record.version)
        return now is not None and now.serving is not None and now.serving is record.serving

    def _tell(self) -> None:
        self._changed.set()  # wakes who waits now; who comes later waits for the next
        self._changed = asyncio.Event()


def _report(name: str, found: Verdict) -> None:
    if found.unfit:
        _log.warning("started afresh from now on", action="check.unfit", function=name, reason=found.unfit)
    elif found.ending is not Ending.READY:
        kind = found.error.partition(":")[0]  # what it says is the function's own, and stands in its log
        _log.warning("does not initialise", action=f"check.{found.ending.value}", function=name, error=kind)
