"""The operations on tags. Tags that set what only torpor has are settings too: with them, the function is updated."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from torpor.aws.lambda_.names import function_ref
from torpor.aws.ports import Deployer, Tags
from torpor.aws.service import Call, Params, Result
from torpor.core.arn import Home
from torpor.core.errors import InvalidValue, ResourceNotFound
from torpor.core.function import FunctionConfig
from torpor.core.setting_tags import SETTINGS, settings_in_tags


@dataclass(frozen=True, slots=True)
class TagOperations:
    """Handlers by operation."""

    tags: Tags
    deployer: Deployer
    home: Home

    def handlers(self) -> Mapping[str, Any]:
        return {
            "TagResource": self.tag_resource,
            "UntagResource": self.untag_resource,
            "ListTags": self.list_tags,
        }

    async def tag_resource(self, call: Call, params: Params) -> Result:
        await self._change(call, params, params["Tags"], ())
        return {}

    async def untag_resource(self, call: Call, params: Params) -> Result:
        await self._change(call, params, {}, params["TagKeys"])
        return {}

    async def list_tags(self, _: Call, params: Params) -> Result:
        return {"Tags": dict(self.tags.get(function_of(params["Resource"], self.home)))}

    async def _change(self, call: Call, params: Params, add: Mapping[str, str], remove: Collection[str]) -> None:
        name = function_of(params["Resource"], self.home)
        settings = {SETTINGS[tag]: _DEFAULTS[SETTINGS[tag]] for tag in remove if tag in SETTINGS}
        settings |= settings_in_tags(add)
        if settings:
            call.principal.check_may("lambda:UpdateFunctionConfiguration", name)
            call.principal.check_may_grant(_UNSET.evolve(**settings).grants)
            await self.deployer.update_config(name, settings)
        await self.tags.change(name, add, remove)


def function_of(arn: str, home: Home) -> str:
    """The function that an ARN names. Raises InvalidValue for versions and aliases, ResourceNotFound for the rest."""
    if ":function:" not in arn:
        raise ResourceNotFound(f"The resource you requested does not exist: {arn}. Here functions have tags.")
    ref = function_ref({"FunctionName": arn}, home)
    if ref.qualifier is not None:
        raise InvalidValue("Tags on function aliases and versions are not supported. Please specify a function ARN.")
    return ref.name


_UNSET = FunctionConfig(name="unset", handler="a.b")
_DEFAULTS = {field: getattr(_UNSET, field) for field in SETTINGS.values()}
