"""Which revisions are not to be forked, and why: kept for a restarted server."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path

import structlog

_log = structlog.get_logger()
_MOST_REASONS = 10_000


class FileOfReasons:
    """Implements starts.Unfit: one small file, written off the loop, the latest state last."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._wanted: dict[str, str] | None = None
        self._writing: asyncio.Task[None] | None = None

    def load(self) -> Mapping[str, str]:
        try:
            plain = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        told = plain.items() if isinstance(plain, dict) else ()
        return {key: reason for key, reason in told if isinstance(reason, str)}

    def save(self, reasons: Mapping[str, str]) -> None:
        self._wanted = dict(list(reasons.items())[-_MOST_REASONS:])
        if self._writing is None:
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def close(self) -> None:
        """Wait for what is being written."""
        if self._writing is not None:
            await asyncio.wait({self._writing})

    async def _write(self) -> None:
        try:
            while (reasons := self._wanted) is not None:
                self._wanted = None
                await asyncio.to_thread(self._put, reasons)
        except OSError as error:
            _log.warning("reasons not to fork are not stored", action="unfit.unstored", reason=str(error))
        finally:
            self._writing = None

    def _put(self, reasons: Mapping[str, str]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self._file.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(reasons), encoding="utf-8")
        fresh.replace(self._file)
