"""The operations on published versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torpor.aws.lambda_.names import function_ref, latest_only
from torpor.aws.lambda_.shapes import function_configuration
from torpor.aws.lambda_.unsupported import refuse_unsupported
from torpor.aws.ports import Catalog, Deployer
from torpor.aws.service import Call, Params, Result
from torpor.core.arn import Home

_PAGE = 50  # as on AWS


@dataclass(frozen=True, slots=True)
class VersionOperations:
    """Handlers by operation."""

    catalog: Catalog
    deployer: Deployer
    home: Home

    def handlers(self) -> Mapping[str, Any]:
        return {
            "PublishVersion": self.publish_version,
            "ListVersionsByFunction": self.list_versions_by_function,
        }

    async def publish_version(self, _: Call, params: Params) -> Result:
        refuse_unsupported(params)
        function = await self.deployer.publish(
            latest_only(function_ref(params, self.home), self.home),
            description=params.get("Description"),
            code_sha256=params.get("CodeSha256") or None,
            revision_id=params.get("RevisionId") or None,
        )
        return function_configuration(function, self.home, function.version)

    async def list_versions_by_function(self, _: Call, params: Params) -> Result:
        name = latest_only(function_ref(params, self.home), self.home)
        limit = min(params.get("MaxItems") or _PAGE, _PAGE)
        page = self.catalog.list_versions(name, params.get("Marker") or None, limit)
        shapes = [function_configuration(function, self.home, function.version) for function in page.functions]
        return {"Versions": shapes, "NextMarker": page.next}
