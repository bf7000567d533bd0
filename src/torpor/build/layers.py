"""The folders that functions see at /opt: one layer's own, or several merged once, by hard links, in their order.

A merged folder is named by the digests of what is in it and exists when it is whole, as bundles do; its files take no
room of their own.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import stat
import uuid
from collections.abc import Sequence
from pathlib import Path

from torpor.build.bundles import Bundles
from torpor.build.environments import Environments
from torpor.build.files import Freed, locked, locked_nowait, make_folder, remove_tree, size_of, sync_tree
from torpor.build.single import SingleFlight
from torpor.core.errors import PlatformFault
from torpor.core.function import Bundle, FunctionLayer

_STRAY = ".new-"
_FORMAT = 1


class LayerFolders:
    """Merged folders below `root`/layers."""

    def __init__(self, root: Path, bundles: Bundles, environments: Environments) -> None:
        self._root = root.absolute() / "layers"
        self._bundles = bundles
        self._environments = environments
        self._making: SingleFlight[Path] = SingleFlight()
        make_folder(self._root)
        self._lock = self._root / ".lock"

    async def prepare(self, layers: Sequence[FunctionLayer], runtime: str) -> Path | None:
        """The folder for these layers, byte-compiled for `runtime` and made if it is not there; None without layers.

        Raises ResourceNotFound when a layer's code is gone, PlatformFault when the folder cannot be stored.
        """
        if not layers:
            return None
        place = self._place(layers, runtime)
        if len(layers) > 1 and place.is_dir():
            return place
        return await self._making.run(f"{place.name}-{runtime}", lambda: self._make(layers, runtime, place))

    async def folder(self, layers: Sequence[FunctionLayer], runtime: str) -> Path | None:
        """As `prepare`, and at once where the folder is there."""
        if not layers:
            return None
        place = self._place(layers, runtime)
        return place if place.is_dir() else await self.prepare(layers, runtime)

    def sweep(self, keep: Sequence[tuple[Sequence[FunctionLayer], str]]) -> Freed:
        """Remove merged folders other than those for `keep`, and what killed processes left behind. Blocks."""
        kept = {self._place(layers, runtime).name for layers, runtime in keep if layers}
        freed = Freed()
        with locked_nowait(self._lock) as alone:
            if alone:
                for path in [one for one in self._root.iterdir() if one.name not in kept and one != self._lock]:
                    freed += Freed(int(not path.name.startswith(".")), size_of(path))
                    doomed = path.rename(self._stray())  # a folder under its own name is always whole
                    remove_tree(doomed)
        return freed

    def _place(self, layers: Sequence[FunctionLayer], runtime: str) -> Path:
        if len(layers) == 1:
            return self._bundles.code_dir(Bundle(layers[0].digest, layers[0].size))
        text = json.dumps([_FORMAT, runtime, [layer.digest for layer in layers]])
        return self._root / hashlib.sha256(text.encode()).hexdigest()

    async def _make(self, layers: Sequence[FunctionLayer], runtime: str, place: Path) -> Path:
        async with locked(self._lock, shared=True):
            folders = []
            for layer in layers:
                folder = await self._bundles.extract(Bundle(layer.digest, layer.size))
                await self._environments.compile_code(folder, runtime)
                folders.append(folder)
            if len(layers) > 1:
                await asyncio.to_thread(self._merge, folders, place)
        return place

    def _merge(self, folders: Sequence[Path], place: Path) -> None:
        stray = self._stray()
        try:
            stray.mkdir(mode=0o700)
            for folder in folders:
                _overlay(folder, stray)
            _seal(stray)
            sync_tree(stray)
            if not place.is_dir():
                stray.rename(place)
        except OSError as problem:
            raise PlatformFault(f"The layers could not be stored: {problem.strerror or problem}.") from problem
        finally:
            remove_tree(stray)

    def _stray(self) -> Path:
        return self._root / f"{_STRAY}{uuid.uuid4().hex}"


def _overlay(source: Path, target: Path) -> None:
    """Put what is in `source` over what is in `target`: files by hard links, and never through a link."""
    with os.scandir(source) as entries:
        for entry in entries:
            place = target / entry.name
            if entry.is_dir(follow_symlinks=False):
                if place.is_symlink() or not place.is_dir():
                    place.unlink(missing_ok=True)
                    place.mkdir(mode=0o700)
                _overlay(Path(entry.path), place)
                continue
            remove_tree(place)
            os.link(entry.path, place, follow_symlinks=False)


def _seal(root: Path) -> None:
    for folder, _, names in os.walk(root, topdown=False):
        for path in (Path(folder, name) for name in names):
            if not path.is_symlink() and not stat.S_ISREG(path.lstat().st_mode):
                raise PlatformFault(f"A layer holds {path.name!r}, which is neither a file nor a folder.")
        Path(folder).chmod(0o555)
