"""Functions: code and settings go to our own interface in one request, so that they change together or not at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torpor.cli.connect import function_path
from torpor.cli.deploying import put, wait_settled
from torpor.cli.failures import Refused, WrongUse
from torpor.cli.sam.application import POLICIES
from torpor.cli.sam.kinds.kind import Result, Wanted, plain_tags, text, whole
from torpor.cli.sam.permissions import granted_by
from torpor.cli.sam.record import Made
from torpor.cli.sam.remote import Gone, Remote, calling
from torpor.core.setting_tags import settings_in_tags


@dataclass(frozen=True, slots=True)
class Functions:
    """AWS::Lambda::Function."""

    remote: Remote

    def name(self, wanted: Wanted) -> str:
        return wanted.given_name("FunctionName")

    def exists(self, name: str) -> bool:
        try:
            self.remote.client.call("GET", function_path(name))
        except Refused as error:
            if error.status == 404:
                return False
            raise
        return True

    def create(self, wanted: Wanted) -> Result:
        return self._put(wanted, self.name(wanted))

    def update(self, wanted: Wanted, made: Made) -> Result:
        return self._put(wanted, made.physical)

    def delete(self, made: Made) -> None:
        try:
            self.remote.client.call("DELETE", function_path(made.physical))
        except Refused as error:
            if error.status == 404:
                raise Gone(error.message) from None
            raise

    def _put(self, wanted: Wanted, name: str) -> Result:
        archive = wanted.archives.get(wanted.properties.get("Code") or {})
        accepted = put(self.remote.client, name, config_of(wanted.properties), archive)
        wait_settled(self.remote.client, name, accepted, quiet=True)
        self._reserve(name, wanted.properties.get("ReservedConcurrentExecutions"))
        return Result(name, {"Ref": name, "Arn": self.remote.function_arn(name)})

    def _reserve(self, name: str, concurrency: Any) -> None:
        with calling():
            functions = self.remote.aws("lambda")
            if concurrency is None:
                functions.delete_function_concurrency(FunctionName=name)
            else:
                functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=whole(concurrency))


def config_of(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The whole configuration, so that what a template no longer says goes back to its default. Raises WrongUse."""
    if properties.get("PackageType", "Zip") != "Zip":
        raise WrongUse("PackageType Image is not supported: give the code as a folder, with CodeUri")
    for name in ("Handler", "Runtime"):
        if not properties.get(name):
            raise WrongUse(f"{name} is missing")
    tags = plain_tags(properties.get("Tags"))
    managed, inline = properties.get(POLICIES) or ([], [])
    settings = settings_in_tags(tags)
    granted = granted_by(managed, inline).permissions
    logging = properties.get("LoggingConfig") or {}
    levels = "INFO" if logging.get("LogFormat") == "JSON" else ""
    config = {
        "handler": text(properties["Handler"]),
        "runtime": text(properties["Runtime"]),
        "role": text(properties.get("Role", "")),
        "description": text(properties.get("Description", "")),
        "timeout_s": whole(properties.get("Timeout", 3)),
        "memory_mb": whole(properties.get("MemorySize", 128)),
        "tmp_mb": whole((properties.get("EphemeralStorage") or {}).get("Size", 512)),
        "variables": {
            name: text(value) for name, value in ((properties.get("Environment") or {}).get("Variables") or {}).items()
        },
        "tags": tags,
        "layers": [text(arn) for arn in properties.get("Layers") or ()],
        "log_format": logging.get("LogFormat", "Text"),
        "application_log_level": logging.get("ApplicationLogLevel", levels),
        "system_log_level": logging.get("SystemLogLevel", levels),
        "log_group": logging.get("LogGroup", ""),
        "dead_letter": (properties.get("DeadLetterConfig") or {}).get("TargetArn", ""),
        "snap_start": (properties.get("SnapStart") or {}).get("ApplyOn") == "PublishedVersions",
        "reach": [],
        "secrets": [],
        "source_builds": False,
        "keep_alive_s": None,
    }
    own = {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}
    permissions = list(dict.fromkeys([*granted, *own.pop("permissions", [])]))
    return config | own | {"permissions": permissions}


def split_arn(function: str) -> tuple[str, str | None]:
    """Name and qualifier of a function's ARN, or of a plain name."""
    match = re.fullmatch(r"(?:arn:[^:]+:lambda:[^:]*:\d+:function:)?([^:]+)(?::(.+))?", function)
    return (match[1], match[2]) if match else (function, None)
