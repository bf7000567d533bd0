"""What a launcher without zygotes holds ready: nothing."""

from __future__ import annotations

from collections.abc import Callable

from torpor.runtime.spec import ZygoteSpec


class NothingPrepared:
    """Implements spec.Prepared."""

    memory_mb = 0

    def own_mb(self, key: str) -> int:  # noqa: ARG002 -- as promised
        return 0

    def spare_mb(self, key: str) -> int:  # noqa: ARG002 -- as promised
        return 0

    def give_up(self, need_mb: int, key: str) -> int:  # noqa: ARG002 -- as promised
        return 0

    def keep_within(self, budget_mb: int, left_mb: Callable[[], int]) -> None:
        """Nothing is prepared."""

    async def prepare(self, spec: ZygoteSpec) -> str:  # noqa: ARG002 -- as promised
        return "instances are not forked here"

    def words(self, key: str) -> bytes:  # noqa: ARG002 -- as promised
        return b""

    def forget(self, key: str) -> None:
        """Nothing is prepared."""
