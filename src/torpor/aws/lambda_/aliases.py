"""The operations on aliases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torpor.aws.lambda_.names import function_ref, latest_only
from torpor.aws.ports import Aliases
from torpor.aws.service import Call, Params, Result
from torpor.core.arn import Home
from torpor.core.attached import Alias

_PAGE = 50  # as on AWS


@dataclass(frozen=True, slots=True)
class AliasOperations:
    """Handlers by operation."""

    aliases: Aliases
    home: Home

    def handlers(self) -> Mapping[str, Any]:
        return {
            "CreateAlias": self.create_alias,
            "UpdateAlias": self.update_alias,
            "GetAlias": self.get_alias,
            "DeleteAlias": self.delete_alias,
            "ListAliases": self.list_aliases,
        }

    async def create_alias(self, _: Call, params: Params) -> Result:
        alias = await self.aliases.create(
            self._name(params),
            params["Name"],
            params["FunctionVersion"],
            description=params.get("Description") or "",
            weights=_weights(params),
        )
        return alias_configuration(alias, self.home)

    async def update_alias(self, _: Call, params: Params) -> Result:
        alias = await self.aliases.update(
            self._name(params),
            params["Name"],
            version=params.get("FunctionVersion"),
            description=params.get("Description"),
            weights=_weights(params),
            revision_id=params.get("RevisionId") or None,
        )
        return alias_configuration(alias, self.home)

    async def get_alias(self, _: Call, params: Params) -> Result:
        return alias_configuration(self.aliases.get(self._name(params), params["Name"]), self.home)

    async def delete_alias(self, _: Call, params: Params) -> Result:
        await self.aliases.delete(self._name(params), params["Name"])
        return {}

    async def list_aliases(self, _: Call, params: Params) -> Result:
        page = self.aliases.list(
            self._name(params),
            version=params.get("FunctionVersion"),
            after=params.get("Marker") or None,
            limit=min(params.get("MaxItems") or _PAGE, _PAGE),
        )
        return {"Aliases": [alias_configuration(alias, self.home) for alias in page.aliases], "NextMarker": page.next}

    def _name(self, params: Params) -> str:
        return latest_only(function_ref(params, self.home), self.home)


def alias_configuration(alias: Alias, home: Home) -> Result:
    """The shape AliasConfiguration."""
    shape: dict[str, Any] = {
        "AliasArn": home.function_arn(alias.function, alias.name),
        "Name": alias.name,
        "FunctionVersion": alias.version,
        "Description": alias.description,
        "RevisionId": alias.revision_id,
    }
    return shape | ({"RoutingConfig": {"AdditionalVersionWeights": dict(alias.weights)}} if alias.weights else {})


def _weights(params: Params) -> Mapping[str, float] | None:
    """What the request says of weights; an empty RoutingConfig takes them away."""
    routing = params.get("RoutingConfig")
    return None if routing is None else routing.get("AdditionalVersionWeights") or {}
