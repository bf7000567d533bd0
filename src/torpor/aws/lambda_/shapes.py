"""torpor's values as Lambda's output shapes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from torpor.core.arn import LATEST, Home
from torpor.core.function import Function, FunctionConfig, FunctionUrl, State


def function_configuration(function: Function, home: Home, qualifier: str | None = None) -> dict[str, Any]:
    """The shape FunctionConfiguration; the ARN is qualified where the caller's was."""
    config = function.config
    shape: dict[str, Any] = {
        "FunctionName": config.name,
        "FunctionArn": home.function_arn(config.name, qualifier),
        "Runtime": config.runtime,
        "Role": config.role,
        "Handler": config.handler,
        "CodeSize": function.bundle.size,
        "Description": config.description,
        "Timeout": config.timeout_s,
        "MemorySize": config.memory_mb,
        "LastModified": last_modified(function.modified),
        "CodeSha256": function.bundle.code_sha256,
        "Version": function.version or LATEST,
        "TracingConfig": {"Mode": "PassThrough"},
        "RevisionId": function.revision_id,
        "PackageType": "Zip",
        "Architectures": [config.architecture],
        "EphemeralStorage": {"Size": config.tmp_mb},
        "SnapStart": _snap_start(function),
        "LoggingConfig": _logging(config),
    }
    if config.layers:
        shape["Layers"] = [{"Arn": layer.arn, "CodeSize": layer.size} for layer in config.layers]
    if config.variables:
        shape["Environment"] = {"Variables": dict(config.variables)}
    if config.dead_letter:
        shape["DeadLetterConfig"] = {"TargetArn": config.dead_letter}
    return shape | _states(function)


def _snap_start(function: Function) -> dict[str, str]:
    """On for a version that has its snapshot; a reason beside Active says why it has none."""
    on = function.config.snap_start and function.version != LATEST
    made = on and function.state is State.ACTIVE and not function.state_reason
    return {
        "ApplyOn": "PublishedVersions" if function.config.snap_start else "None",
        "OptimizationStatus": "On" if made else "Off",
    }


def _logging(config: FunctionConfig) -> dict[str, str]:
    shape = {
        "LogFormat": config.log_format,
        "ApplicationLogLevel": config.application_log_level,
        "SystemLogLevel": config.system_log_level,
        "LogGroup": config.log_group or f"/aws/lambda/{config.name}",
    }
    return {name: value for name, value in shape.items() if value}


def _states(function: Function) -> dict[str, str]:
    """Both state machines; a reason is given only where there is one."""
    states = {
        "State": function.state.value,
        "StateReason": function.state_reason,
        "StateReasonCode": function.state_reason_code,
        "LastUpdateStatus": function.update_status.value,
        "LastUpdateStatusReason": function.update_reason,
        "LastUpdateStatusReasonCode": function.update_reason_code,
    }
    return {name: value for name, value in states.items() if value}


def url_config(url: FunctionUrl, address: str, home: Home) -> dict[str, Any]:
    """The shape of every operation on function URLs."""
    shape: dict[str, Any] = {
        "FunctionUrl": address,
        "FunctionArn": home.function_arn(url.name, url.qualifier),
        "AuthType": url.auth,
        "CreationTime": _instant(url.created),
        "LastModifiedTime": _instant(url.modified),
        "InvokeMode": url.invoke_mode,
    }
    return shape | ({"Cors": dict(url.cors)} if url.cors else {})


def last_modified(moment: datetime) -> str:
    """Lambda's own spelling of a moment: 2026-01-02T03:04:05.678+0000."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "+0000")


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
