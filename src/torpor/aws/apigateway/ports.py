"""What the service needs of the use cases, as a narrow contract: the real ones are in `torpor.functions`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from torpor.core.http_api import HttpApi

Step = Callable[[HttpApi], HttpApi]


class Apis(Protocol):
    """All HTTP APIs. `get` raises ResourceNotFound; a step sees an API when no other change can come between."""

    def get(self, api_id: str) -> HttpApi: ...
    def list(self) -> Sequence[HttpApi]: ...
    async def create(self, build: Step | None = None, **values: Any) -> HttpApi: ...
    async def change(self, api_id: str, step: Step) -> HttpApi: ...
    async def delete(self, api_id: str) -> None: ...
