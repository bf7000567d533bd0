"""One call of a function: what goes in, what comes out, and what it cost."""

from __future__ import annotations

import random
import time
import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class Depth(StrEnum):
    """How deep an invocation had to start: warm, or from a snapshot, a zygote, or a fresh interpreter."""

    WARM = "warm"
    SNAPSHOT = "snapshot"
    ZYGOTE = "zygote"
    SPAWN = "spawn"


class Result(StrEnum):
    """How an invocation ended."""

    OK = "ok"
    ERROR = "error"  # the handler raised, or its initialisation failed
    TIMEOUT = "timeout"
    EXIT = "exit"  # the process left or was killed
    OUT_OF_MEMORY = "out-of-memory"
    TOO_LARGE = "too-large"


def new_trace_id() -> str:
    """An X-Ray trace header for a request that brought none: nothing samples it, and handlers may read it."""
    return f"Root=1-{int(time.time()):08x}-{random.getrandbits(96):024x};Parent={random.getrandbits(64):016x};Sampled=0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """`payload` is the event as JSON bytes, passed through untouched."""

    payload: bytes
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    client_context: str | None = None  # JSON text
    trace_id: str = field(default_factory=new_trace_id)
    want_log: bool = False  # Lambda's LogType Tail
    qualifier: str | None = None  # as the caller wrote it, for invoked_function_arn


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """One row of the ledger. Times in ms; `at` is Unix time in seconds when the invocation was admitted."""

    function: str
    version: str
    request_id: str
    at: float
    depth: Depth
    init_ms: float
    duration_ms: float
    billed_ms: int
    memory_mb: int
    max_memory_mb: int
    cpu_ms: float
    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`payload` is the handler's JSON result, or the error object when `function_error` is set (`Unhandled`)."""

    payload: bytes
    usage: Usage
    executed_version: str
    function_error: str | None = None
    log_tail: bytes = b""  # at most the last 4 KiB, only when asked for

    @property
    def result(self) -> Result:
        return self.usage.result


class Streamed(Protocol):
    """An invocation whose answer may come in pieces: then there is a content type, and `read` gives them."""

    content_type: str | None
    executed_version: str

    async def read(self) -> bytes | None:
        """The next piece; None at the end, when there is an outcome. Whoever does not read stops the function."""
        ...

    @property
    def outcome(self) -> Outcome:
        """How it ended. Without a content type it is there at once, and has the whole answer."""
        ...

    def close(self) -> None:
        """Nobody wants the rest. Idempotent."""
        ...
