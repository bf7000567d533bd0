"""Lambda's parameters as torpor's configuration; its limits are checked by who deploys it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torpor.aws.lambda_.unsupported import refuse_unsupported
from torpor.aws.ports import Layers
from torpor.core.arn import Home
from torpor.core.errors import AccessDenied, InvalidValue
from torpor.core.function import FunctionConfig
from torpor.core.setting_tags import settings_in_tags

_ROLE = re.compile(r"arn:[^:]+:iam::(\d{12}):role/.+")


@dataclass(frozen=True, slots=True)
class Configurations:
    """Makes configurations out of requests. `architecture` is this machine's, in Lambda's words."""

    home: Home
    architecture: str
    layers: Layers

    def new(self, params: Mapping[str, Any]) -> FunctionConfig:
        """The configuration that CreateFunction asks for."""
        for name in ("Handler", "Runtime"):
            if not params.get(name):
                raise InvalidValue(
                    "Runtime and Handler are mandatory parameters for functions created with deployment packages."
                )
        tags = params.get("Tags") or {}
        changes = self.changes(params) | settings_in_tags(tags)
        architecture = self.check_architecture(params.get("Architectures"))
        return FunctionConfig(name=params["FunctionName"], tags=tags, architecture=architecture, **changes)

    def changes(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of FunctionConfig that a request sets, checked."""
        refuse_unsupported(params)
        changes: dict[str, Any] = {}
        for parameter, field in _FIELDS.items():
            if params.get(parameter) is not None:
                changes[field] = params[parameter]
        if "role" in changes:
            self._check_role(changes["role"])
        if params.get("Environment") is not None:
            changes["variables"] = params["Environment"].get("Variables") or {}
        if params.get("Layers") is not None:
            changes["layers"] = self.layers.resolve(params["Layers"])
        if params.get("EphemeralStorage") is not None:
            changes["tmp_mb"] = params["EphemeralStorage"]["Size"]
        if params.get("DeadLetterConfig") is not None:
            changes["dead_letter"] = params["DeadLetterConfig"].get("TargetArn") or ""
        if (params.get("SnapStart") or {}).get("ApplyOn"):
            changes["snap_start"] = params["SnapStart"]["ApplyOn"] == "PublishedVersions"
        if params.get("LoggingConfig") is not None:
            changes |= _logging(params["LoggingConfig"])
        return changes

    def check_architecture(self, wanted: list[str] | None) -> str:
        if wanted and wanted[0] != self.architecture:
            raise InvalidValue(
                f"Architecture {wanted[0]} cannot run on this machine, which is {self.architecture}: "
                f"pass Architectures ['{self.architecture}'], or leave it out."
            )
        return self.architecture

    def _check_role(self, role: str) -> None:
        # Well-formed it is by the model. It need not exist: roles are accepted and stored, and grant nothing.
        match = _ROLE.fullmatch(role)
        if match is None or match[1] != self.home.account:
            example = self.home.role_arn("NAME")
            raise AccessDenied(f"Cross-account pass role is not allowed: this server's roles are named {example}.")


_FIELDS = {
    "Runtime": "runtime",
    "Role": "role",
    "Handler": "handler",
    "Description": "description",
    "Timeout": "timeout_s",
    "MemorySize": "memory_mb",
}


def _logging(config: Mapping[str, Any]) -> dict[str, Any]:
    """What is given of LoggingConfig. JSON has levels where none are named; text has none, whatever there was."""
    changes = {field: config[name] for name, field in _LOGGING.items() if config.get(name)}
    if changes.get("log_format") == "JSON":
        return {"application_log_level": "INFO", "system_log_level": "INFO"} | changes
    if changes.get("log_format") == "Text":
        return {"application_log_level": "", "system_log_level": ""} | changes
    return changes


_LOGGING = {
    "LogFormat": "log_format",
    "ApplicationLogLevel": "application_log_level",
    "SystemLogLevel": "system_log_level",
    "LogGroup": "log_group",
}
