"""The operation on the account's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torpor.aws.ports import Account
from torpor.aws.service import Call, Params, Result


@dataclass(frozen=True, slots=True)
class AccountOperations:
    """Handlers by operation."""

    account: Account

    def handlers(self) -> Mapping[str, Any]:
        return {"GetAccountSettings": self.get_account_settings}

    async def get_account_settings(self, _: Call, __: Params) -> Result:
        settings = await self.account.settings()
        return {
            "AccountLimit": {
                "TotalCodeSize": settings.code_room,
                "CodeSizeUnzipped": settings.code_unpacked,
                "CodeSizeZipped": settings.code_zipped,
                "ConcurrentExecutions": settings.concurrency,
                "UnreservedConcurrentExecutions": settings.unreserved,
            },
            "AccountUsage": {"TotalCodeSize": settings.code_used, "FunctionCount": settings.functions},
        }
