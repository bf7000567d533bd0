"""When the server comes up: have zygotes for what was called lately, before anybody calls again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

import structlog

from torpor.core.errors import TorporError
from torpor.core.function import Environment
from torpor.functions.catalog import Catalog
from torpor.functions.ports import Preparer
from torpor.policy import preload

_log = structlog.get_logger(__name__)
_BOUND_S = 150.0  # of one zygote


class WarmUp:
    """One zygote after the other, the hottest environments first, while the server already serves."""

    def __init__(self, catalog: Catalog, called: Callable[[], Iterable[str]], node: Preparer) -> None:
        """`called` names the functions of the latest invocations, one by one; it blocks."""
        self._catalog = catalog
        self._called = called
        self._node = node
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._task = asyncio.create_task(self._run(), name="warm-up")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def wait(self) -> None:
        """Until all is prepared that is going to be."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        try:
            called = await asyncio.to_thread(self._called)
            calls, environments = self._calls(Counter(called))
            for digest in preload.hottest(calls):
                await self._prepare(environments[digest])
        except TorporError as error:
            _log.warning("nothing is prepared", action="warm_up.undone", reason=error.message)

    def _calls(self, by_function: Mapping[str, int]) -> tuple[dict[str, int], dict[str, Environment]]:
        """Calls by environment, and the environments."""
        calls: dict[str, int] = {}
        environments: dict[str, Environment] = {}
        for name, count in by_function.items():
            record = self._catalog.find(name)
            if record is not None and record.serving is not None:
                environment = record.serving.environment
                environments[environment.digest] = environment
                calls[environment.digest] = calls.get(environment.digest, 0) + count
        return calls, environments

    async def _prepare(self, environment: Environment) -> None:
        try:
            async with asyncio.timeout(_BOUND_S):
                reason = await self._node.prepare(environment)
        except TimeoutError:
            reason = f"it took longer than {_BOUND_S:g} s"
        if reason:
            _log.info("not prepared", action="warm_up.refused", environment=environment.digest, reason=reason)
