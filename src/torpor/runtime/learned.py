"""Which modules instances have imported, and which revisions are not to be forked: kept for a restarted server."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import structlog

from torpor.policy.preload import importable

_log = structlog.get_logger()

_MOST_REASONS = 10_000


class ModuleStore(Protocol):
    """What was learned about an environment, by its key."""

    def load(self, key: str) -> tuple[str, ...]: ...

    def save(self, key: str, modules: Sequence[str]) -> None: ...


class FolderModules:
    """Implements ModuleStore: a small file for each environment. Losing one costs a slower start, so none is synced."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, key: str) -> tuple[str, ...]:
        """Empty when nothing is known, or nothing readable."""
        try:
            plain = json.loads(self._file(key).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return ()
        return tuple(importable(plain)) if isinstance(plain, list) else ()

    def save(self, key: str, modules: Sequence[str]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self._file(key).with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(list(modules)), encoding="utf-8")
        fresh.replace(self._file(key))

    def _file(self, key: str) -> Path:
        return self._folder / f"{key}.json"


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
