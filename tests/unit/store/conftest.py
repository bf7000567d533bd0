"""A database, rows for it, and a wait that is bounded."""

import asyncio
import time

import pytest

from torpor.core.invocation import Depth, Result, Usage
from torpor.store.database import Database


@pytest.fixture
def database(tmp_path):
    opened = Database(tmp_path / "torpor.db")
    yield opened
    opened.close()


@pytest.fixture
def usage():
    def make(**changes) -> Usage:
        values = {
            "function": "f",
            "version": "$LATEST",
            "request_id": "r",
            "at": 1_700_000_000.0,
            "depth": Depth.WARM,
            "init_ms": 0.0,
            "duration_ms": 1.5,
            "billed_ms": 2,
            "memory_mb": 512,
            "max_memory_mb": 40,
            "cpu_ms": 0.25,
            "result": Result.OK,
        }
        return Usage(**values | changes)

    return make


@pytest.fixture
def eventually():
    """Wait until a condition holds, ten seconds at most."""

    def wait(condition) -> None:
        end = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < end, "the condition never held"
            time.sleep(0.002)

    return wait


@pytest.fixture
def within():
    """Await something, ten seconds at most."""

    async def wait(awaitable):
        return await asyncio.wait_for(awaitable, 10)

    return wait
