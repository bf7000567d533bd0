"""Layers as rows: one for each version that is there, and for each name the last number that was given out."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from torpor.core.layer import LayerVersion
from torpor.store.database import Database
from torpor.store.tables import layer_versions, layers


class LayerTable:
    """Reads all at start, writes one at a time; each call is one synced commit and blocks."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read_all(self) -> tuple[list[LayerVersion], Mapping[str, int]]:
        """Every version, and the last number of each name: numbers of deleted versions are not given out again."""
        with self._database.begin() as connection:
            documents = connection.execute(select(layer_versions.c.document))
            versions = [msgspec.json.decode(document, type=LayerVersion) for (document,) in documents]
            rows = connection.execute(select(layers.c.name, layers.c.last_version))
            return versions, {name: last for name, last in rows}  # noqa: C416 - rows are no pairs to mypy

    def put(self, version: LayerVersion) -> None:
        """Store a version, new or changed."""
        document = msgspec.json.encode(version).decode()
        row = insert(layer_versions).values(name=version.name, version=version.version, document=document)
        row = row.on_conflict_do_update(index_elements=["name", "version"], set_={"document": document})
        number = insert(layers).values(name=version.name, last_version=version.version)
        number = number.on_conflict_do_update(
            index_elements=["name"],
            set_={"last_version": version.version},
            where=layers.c.last_version < version.version,
        )
        with self._database.begin() as connection:
            connection.execute(row)
            connection.execute(number)

    def delete(self, version: LayerVersion) -> None:
        mine = (layer_versions.c.name == version.name) & (layer_versions.c.version == version.version)
        with self._database.begin() as connection:
            connection.execute(delete(layer_versions).where(mine))
