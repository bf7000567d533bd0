"""What this server has room for, and what of it is used."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path

from torpor.core.limits import Limits
from torpor.functions.catalog import Catalog
from torpor.functions.provisioning import claims


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSettings:
    """Sizes in bytes. `code_room` is what is used and what the disk has left."""

    code_used: int
    code_room: int
    code_unpacked: int
    code_zipped: int
    concurrency: int
    unreserved: int
    functions: int


class Account:
    """Tells the truth: `folder` lies on the disk that code is kept on."""

    def __init__(self, catalog: Catalog, limits: Limits, folder: Path) -> None:
        self._catalog = catalog
        self._limits = limits
        self._folder = folder

    async def settings(self) -> AccountSettings:
        free = await asyncio.to_thread(lambda: shutil.disk_usage(self._folder).free)
        sizes = {record.function.bundle.digest: record.function.bundle.size for record in self._catalog.records()}
        used, limits = sum(sizes.values()), self._limits
        return AccountSettings(
            code_used=used,
            code_room=used + free,
            code_unpacked=limits.bundle_unpacked,
            code_zipped=limits.zip_direct,
            concurrency=limits.concurrency,
            unreserved=limits.concurrency - sum(claims(self._catalog).values()),
            functions=len(self._catalog),
        )
