"""What Lambda's operations on provisioned concurrency need of the use cases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torpor.core.arn import FunctionRef
from torpor.core.attached import Provision


class Standing(Protocol):
    """How it stands with a configuration of provisioned concurrency."""

    @property
    def requested(self) -> int: ...

    @property
    def allocated(self) -> int: ...

    @property
    def available(self) -> int: ...

    @property
    def status(self) -> str: ...

    @property
    def reason(self) -> str: ...


class ProvisionPage(Protocol):
    """Some configurations by qualifier, and the one to go on after: None on the last page."""

    @property
    def configs(self) -> Mapping[str, tuple[Provision, Standing]]: ...

    @property
    def next(self) -> str | None: ...


class Provisioning(Protocol):
    """Provisioned concurrency of versions and aliases."""

    def get(self, ref: FunctionRef) -> tuple[Provision, Standing]: ...
    async def put(self, ref: FunctionRef, executions: int) -> tuple[Provision, Standing]: ...
    async def delete(self, ref: FunctionRef) -> None: ...
    def list(self, name: str, after: str | None = None, limit: int = 50) -> ProvisionPage: ...
