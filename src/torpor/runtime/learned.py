"""Which modules instances have imported: kept for a restarted server. Standard library only, as all that launches."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from torpor.policy.preload import importable


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
