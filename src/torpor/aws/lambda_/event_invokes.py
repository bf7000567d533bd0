"""The operations on how asynchronous invocations are tried again, and where their results go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torpor.aws.lambda_.names import function_ref
from torpor.aws.ports import EventInvokes
from torpor.aws.service import Call, Params, Result
from torpor.core.arn import LATEST, FunctionRef, Home
from torpor.core.attached import EventInvoke

_PAGE = 50  # as on AWS


@dataclass(frozen=True, slots=True)
class EventInvokeOperations:
    """Handlers by operation."""

    event_invokes: EventInvokes
    home: Home

    def handlers(self) -> Mapping[str, Any]:
        return {
            "PutFunctionEventInvokeConfig": self.put_function_event_invoke_config,
            "UpdateFunctionEventInvokeConfig": self.update_function_event_invoke_config,
            "GetFunctionEventInvokeConfig": self.get_function_event_invoke_config,
            "DeleteFunctionEventInvokeConfig": self.delete_function_event_invoke_config,
            "ListFunctionEventInvokeConfigs": self.list_function_event_invoke_configs,
        }

    async def put_function_event_invoke_config(self, _: Call, params: Params) -> Result:
        ref = function_ref(params, self.home)
        return self._shape(ref, await self.event_invokes.put(ref, _changes(params)))

    async def update_function_event_invoke_config(self, _: Call, params: Params) -> Result:
        ref = function_ref(params, self.home)
        return self._shape(ref, await self.event_invokes.update(ref, _changes(params)))

    async def get_function_event_invoke_config(self, _: Call, params: Params) -> Result:
        ref = function_ref(params, self.home)
        return self._shape(ref, self.event_invokes.get(ref))

    async def delete_function_event_invoke_config(self, _: Call, params: Params) -> Result:
        await self.event_invokes.delete(function_ref(params, self.home))
        return {}

    async def list_function_event_invoke_configs(self, _: Call, params: Params) -> Result:
        name = function_ref(params, self.home).name
        page = self.event_invokes.list(name, params.get("Marker") or None, params.get("MaxItems") or _PAGE)
        shapes = [self._shape(FunctionRef(name, key), config) for key, config in page.configs.items()]
        return {"FunctionEventInvokeConfigs": shapes, "NextMarker": page.next}

    def _shape(self, ref: FunctionRef, config: EventInvoke) -> Result:
        shape: dict[str, Any] = {
            "LastModified": config.modified,
            "FunctionArn": self.home.function_arn(ref.name, ref.qualifier or LATEST),
            "DestinationConfig": {
                "OnSuccess": {"Destination": config.on_success} if config.on_success else {},
                "OnFailure": {"Destination": config.on_failure} if config.on_failure else {},
            },
        }
        numbers = {"MaximumRetryAttempts": config.retries, "MaximumEventAgeInSeconds": config.max_age_s}
        return shape | {name: value for name, value in numbers.items() if value is not None}


def _changes(params: Params) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for name, field in (("MaximumRetryAttempts", "retries"), ("MaximumEventAgeInSeconds", "max_age_s")):
        if params.get(name) is not None:
            changes[field] = params[name]
    destinations = params.get("DestinationConfig") or {}
    for name, field in (("OnSuccess", "on_success"), ("OnFailure", "on_failure")):
        if name in destinations:
            changes[field] = destinations[name].get("Destination")
    return changes
