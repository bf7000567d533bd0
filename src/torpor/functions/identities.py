"""Everybody that this server knows: the owner, the holders of keys, and functions, each with what they may do."""

from __future__ import annotations

import time
from collections.abc import Callable

from torpor.core.arn import Home
from torpor.core.function import FunctionConfig
from torpor.core.identity import Key, Kind, Principal
from torpor.functions.catalog import Catalog
from torpor.functions.keys import AccessKeys, Seals, Table
from torpor.functions.sessions import Sessions


class Identities:
    """Keys and sessions over one set of stores. `owner_key` is the id and the secret of the data folder's own key."""

    def __init__(
        self,
        table: Table,
        seals: Seals,
        catalog: Catalog,
        home: Home,
        *,
        owner_key: tuple[str, str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        arn = f"arn:aws:iam::{home.account}:root"
        key_id, secret = owner_key
        self.owner = Principal(Kind.OWNER, arn)
        self.keys = AccessKeys(table, seals, home, {key_id: Key(secret, Principal(Kind.OWNER, arn, key_id=key_id))})
        self._catalog = catalog
        self.sessions = Sessions(seals, self.keys.by_id, self._config_of, home, clock)

    def _config_of(self, name: str, version: str) -> FunctionConfig:
        return self._catalog.get(name, version).config
