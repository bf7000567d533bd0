"""The immutable revision that a function's invocations run at this moment."""

from __future__ import annotations

from torpor.core.arn import LATEST, Home
from torpor.core.function import Revision, revision_key
from torpor.functions.ports import CodeStore, LayerStore
from torpor.store.function_table import FunctionRecord, Serving


class Revisions:
    """Makes a function's or version's revision once, at its first use: ten thousand idle functions have none."""

    def __init__(self, bundles: CodeStore, layers: LayerStore, home: Home) -> None:
        self._bundles = bundles
        self._layers = layers
        self._home = home
        self._made: dict[tuple[str, str], tuple[Serving, Revision]] = {}

    def made(self, record: FunctionRecord) -> Revision | None:
        """The revision, if it was made before and still is the one that serves."""
        made = self._made.get((record.name, record.version))
        return made[1] if made is not None and made[0] is record.serving else None

    async def make(self, record: FunctionRecord, serving: Serving) -> Revision:
        """The revision, kept from now on; its code is unpacked again where that got lost."""
        revision = await self.build(record, serving)
        self._made[record.name, record.version] = (serving, revision)
        return revision

    async def build(self, record: FunctionRecord, serving: Serving) -> Revision:
        """The revision, for who needs it once."""
        code_dir = await self._bundles.extract(serving.bundle)
        layers_dir = await self._layers.folder(serving.config.layers, serving.config.runtime)
        return Revision(
            arn=self._home.function_arn(record.name),
            version=record.version,
            config=serving.config,
            bundle=serving.bundle,
            code_dir=str(code_dir),
            environment=serving.environment,
            key=key_of(serving, record.version),
            layers_dir=None if layers_dir is None else str(layers_dir),
        )

    def forget(self, name: str, version: str) -> None:
        self._made.pop((name, version), None)


def key_of(serving: Serving, version: str = LATEST) -> str:
    """The key of the revision that `serving` stands for."""
    return revision_key(serving.config, serving.bundle, serving.environment, version)
