"""The operations on provisioned concurrency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torpor.aws.lambda_.names import function_ref
from torpor.aws.lambda_.ports import Provisioning, Standing
from torpor.aws.lambda_.shapes import last_modified
from torpor.aws.service import Call, Params, Result
from torpor.core.arn import Home
from torpor.core.attached import Provision

_PAGE = 50  # as on AWS


@dataclass(frozen=True, slots=True)
class ProvisionedOperations:
    """Handlers by operation."""

    provisioning: Provisioning
    home: Home

    def handlers(self) -> Mapping[str, Any]:
        return {
            "PutProvisionedConcurrencyConfig": self.put_provisioned_concurrency_config,
            "GetProvisionedConcurrencyConfig": self.get_provisioned_concurrency_config,
            "DeleteProvisionedConcurrencyConfig": self.delete_provisioned_concurrency_config,
            "ListProvisionedConcurrencyConfigs": self.list_provisioned_concurrency_configs,
        }

    async def put_provisioned_concurrency_config(self, _: Call, params: Params) -> Result:
        executions = params["ProvisionedConcurrentExecutions"]
        return _shape(*await self.provisioning.put(function_ref(params, self.home), executions))

    async def get_provisioned_concurrency_config(self, _: Call, params: Params) -> Result:
        return _shape(*self.provisioning.get(function_ref(params, self.home)))

    async def delete_provisioned_concurrency_config(self, _: Call, params: Params) -> Result:
        await self.provisioning.delete(function_ref(params, self.home))
        return {}

    async def list_provisioned_concurrency_configs(self, _: Call, params: Params) -> Result:
        name = function_ref(params, self.home).name
        page = self.provisioning.list(name, params.get("Marker") or None, params.get("MaxItems") or _PAGE)
        shapes = [
            {"FunctionArn": self.home.function_arn(name, key), **_shape(config, standing)}
            for key, (config, standing) in page.configs.items()
        ]
        return {"ProvisionedConcurrencyConfigs": shapes, "NextMarker": page.next}


def _shape(config: Provision, standing: Standing) -> dict[str, Any]:
    shape: dict[str, Any] = {
        "RequestedProvisionedConcurrentExecutions": standing.requested,
        "AvailableProvisionedConcurrentExecutions": standing.available,
        "AllocatedProvisionedConcurrentExecutions": standing.allocated,
        "Status": standing.status,
        "LastModified": last_modified(config.modified),
    }
    return shape | ({"StatusReason": standing.reason} if standing.reason else {})
