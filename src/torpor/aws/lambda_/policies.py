"""The operations on resource policies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torpor.aws.lambda_.names import function_ref
from torpor.aws.ports import Policies
from torpor.aws.service import Call, Params, Result
from torpor.core.arn import Home


@dataclass(frozen=True, slots=True)
class PolicyOperations:
    """Handlers by operation."""

    policies: Policies
    home: Home

    def handlers(self) -> Mapping[str, Any]:
        return {
            "AddPermission": self.add_permission,
            "RemovePermission": self.remove_permission,
            "GetPolicy": self.get_policy,
        }

    async def add_permission(self, _: Call, params: Params) -> Result:
        statement = await self.policies.add(
            function_ref(params, self.home),
            {field: params[name] for name, field in _FIELDS.items() if params.get(name)},
            params.get("RevisionId") or None,
        )
        return {"Statement": json.dumps(statement, separators=(",", ":"))}

    async def remove_permission(self, _: Call, params: Params) -> Result:
        ref = function_ref(params, self.home)
        await self.policies.remove(ref, params["StatementId"], params.get("RevisionId") or None)
        return {}

    async def get_policy(self, _: Call, params: Params) -> Result:
        policy = self.policies.get(function_ref(params, self.home))
        return {"Policy": policy.text, "RevisionId": policy.revision_id}


_FIELDS = {
    "StatementId": "statement_id",
    "Action": "action",
    "Principal": "principal",
    "SourceArn": "source_arn",
    "SourceAccount": "source_account",
    "EventSourceToken": "event_source_token",
    "PrincipalOrgID": "organisation",
    "FunctionUrlAuthType": "url_auth",
    "InvokedViaFunctionUrl": "via_url",
}
