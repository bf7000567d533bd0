"""The operations on reserved concurrency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torpor.aws.lambda_.names import function_ref, latest_only
from torpor.aws.ports import Concurrency
from torpor.aws.service import Call, Params, Result
from torpor.core.arn import Home


@dataclass(frozen=True, slots=True)
class ConcurrencyOperations:
    """Handlers by operation."""

    concurrency: Concurrency
    home: Home

    def handlers(self) -> Mapping[str, Any]:
        return {
            "PutFunctionConcurrency": self.put_function_concurrency,
            "GetFunctionConcurrency": self.get_function_concurrency,
            "DeleteFunctionConcurrency": self.delete_function_concurrency,
        }

    async def put_function_concurrency(self, _: Call, params: Params) -> Result:
        reserved = await self.concurrency.put(self._name(params), params["ReservedConcurrentExecutions"])
        return reserved_concurrency(reserved)

    async def get_function_concurrency(self, _: Call, params: Params) -> Result:
        return reserved_concurrency(self.concurrency.get(self._name(params)))

    async def delete_function_concurrency(self, _: Call, params: Params) -> Result:
        await self.concurrency.delete(self._name(params))
        return {}

    def _name(self, params: Params) -> str:
        return latest_only(function_ref(params, self.home), self.home)


def reserved_concurrency(reserved: int | None) -> Result:
    """The shape Concurrency; empty where nothing is reserved."""
    return {} if reserved is None else {"ReservedConcurrentExecutions": reserved}
