"""A function's tags: its versions and aliases have none of their own."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torpor.functions.catalog import Catalog
from torpor.functions.config_rules import check_tags
from torpor.functions.lifecycle import retagged
from torpor.store.function_table import FunctionRecord


class Tags:
    """Reads and changes tags. What runs, or is being built, is not touched."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def get(self, name: str) -> Mapping[str, str]:
        """Raises FunctionNotFound."""
        return self._catalog.get(name).config.tags

    async def change(self, name: str, add: Mapping[str, str], remove: Collection[str] = ()) -> None:
        """Take tags away, and add others or replace them. Raises FunctionNotFound and InvalidValue."""

        def change(now: FunctionRecord) -> FunctionRecord:
            kept = {key: value for key, value in now.function.config.tags.items() if key not in remove}
            tags = kept | dict(add)
            check_tags(tags)
            return retagged(now, tags)

        await self._catalog.amend(self._catalog.record(name), change)
