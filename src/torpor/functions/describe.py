"""All there is to say about a function, in torpor's own words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torpor.core.function import Function, FunctionUrl
from torpor.functions.catalog import Catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A function, its ARN and its URL. Addresses and instances are added by who knows them."""

    function: Function
    arn: str
    url: FunctionUrl | None

    def as_json(self) -> dict[str, Any]:
        """Plain values. Of the variables only the names: their values are often secrets."""
        function, config = self.function, self.function.config
        return {
            "name": function.name,
            "arn": self.arn,
            "version": function.version,
            "state": function.state.value,
            "state_reason": function.state_reason,
            "state_reason_code": function.state_reason_code,
            "update_status": function.update_status.value,
            "update_reason": function.update_reason,
            "update_reason_code": function.update_reason_code,
            "revision_id": function.revision_id,
            "modified": function.modified.isoformat(),
            "code_sha256": function.bundle.code_sha256,
            "code_size": function.bundle.size,
            "environment": None if function.environment is None else function.environment.digest,
            "variables": sorted(config.variables),
            "reach": list(config.reach),
            "permissions": list(config.permissions),
            "tags": dict(config.tags),
            "isolation": config.isolation.value,
            "url_auth": None if self.url is None else self.url.auth,
        } | {name: getattr(config, name) for name in _PLAIN}


_PLAIN = (
    "handler",
    "runtime",
    "role",
    "description",
    "timeout_s",
    "memory_mb",
    "tmp_mb",
    "architecture",
    "source_builds",
    "max_concurrency",
    "keep_alive_s",
)


def describe(catalog: Catalog, name: str) -> Description:
    """Raises FunctionNotFound."""
    return Description(function=catalog.get(name), arn=catalog.home.function_arn(name), url=catalog.url(name))
