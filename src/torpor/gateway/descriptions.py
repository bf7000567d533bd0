"""A function as our own interface tells of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from torpor.core.arn import Home
from torpor.core.function import Function, FunctionUrl
from torpor.gateway.use_cases import Instances


def function_address(base: str, name: str) -> str:
    """Where a function answers, below the server's address."""
    return f"{base.rstrip('/')}/fn/{name}/"


def describe(
    function: Function,
    url: FunctionUrl | None,
    instances: Instances,
    *,
    qualifier: str | None = None,
    reserved_concurrency: int | None,
    home: Home,
    base: str,
) -> dict[str, Any]:
    """Everything about a function but the values of its variables, which are secrets more often than not."""
    config = function.config
    address = function_address(base, function.name if qualifier is None else f"{function.name}:{qualifier}")
    return {
        "name": function.name,
        "arn": home.function_arn(function.name, qualifier),
        "version": function.version,
        "state": function.state.value,
        "state_reason": function.state_reason,
        "state_reason_code": function.state_reason_code,
        "update_status": function.update_status.value,
        "update_reason": function.update_reason,
        "update_reason_code": function.update_reason_code,
        "runtime": config.runtime,
        "handler": config.handler,
        "memory_mb": config.memory_mb,
        "timeout_s": config.timeout_s,
        "tmp_mb": config.tmp_mb,
        "keep_alive_s": config.keep_alive_s,
        "max_concurrency": config.max_concurrency,
        "reserved_concurrency": reserved_concurrency,
        "isolation": config.isolation.value,
        "source_builds": config.source_builds,
        "architecture": config.architecture,
        "role": config.role,
        "description": config.description,
        "tags": dict(config.tags),
        "variables": sorted(config.variables),
        "layers": [layer.arn for layer in config.layers],
        "reach": list(config.reach),
        "permissions": list(config.permissions),
        "secrets": list(config.secrets),
        "code_sha256": function.bundle.code_sha256,
        "code_size": function.bundle.size,
        "environment": function.environment.digest if function.environment else None,
        "revision_id": function.revision_id,
        "modified": _iso(function.modified),
        "url": address if url is not None else None,
        "url_auth": url.auth if url is not None else None,
        "streaming": url is not None and url.streams,
        "invoke_url": address,
        "instances": {"idle": instances.idle, "busy": instances.busy},
        "start": instances.start,
        "check": instances.check,
    }


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")
