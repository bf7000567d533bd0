"""The operations on layers and their policies."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torpor.aws.lambda_.shapes import last_modified
from torpor.aws.lambda_.unsupported import refuse_unsupported
from torpor.aws.ports import Layers
from torpor.aws.protocol.faults import EntityTooLarge
from torpor.aws.service import Call, Params, Result
from torpor.core.arn import Home
from torpor.core.errors import InvalidValue, ResourceNotFound
from torpor.core.layer import LayerVersion
from torpor.core.limits import Limits

_PAGE = 50
_ARN = re.compile(
    r"arn:aws[a-zA-Z-]*:lambda:(?P<region>[^:]+):(?P<account>\d{12}):layer:(?P<name>[^:]+)(?::(?P<version>\d{1,18}))?"
)


@dataclass(frozen=True, slots=True)
class LayerOperations:
    """Handlers by operation; `location` gives an address that serves a version's archive."""

    layers: Layers
    home: Home
    limits: Limits
    location: Callable[[LayerVersion], str]

    def handlers(self) -> Mapping[str, Any]:
        return {
            "PublishLayerVersion": self.publish_layer_version,
            "GetLayerVersion": self.get_layer_version,
            "GetLayerVersionByArn": self.get_layer_version_by_arn,
            "ListLayers": self.list_layers,
            "ListLayerVersions": self.list_layer_versions,
            "DeleteLayerVersion": self.delete_layer_version,
            "AddLayerVersionPermission": self.add_layer_version_permission,
            "GetLayerVersionPolicy": self.get_layer_version_policy,
            "RemoveLayerVersionPermission": self.remove_layer_version_permission,
        }

    async def publish_layer_version(self, call: Call, params: Params) -> Result:
        name = self._name(params["LayerName"])
        content = params["Content"]
        refuse_unsupported(content)
        archive: bytes = content.get("ZipFile") or b""
        if not archive:
            raise InvalidValue("Please provide the layer's content: a zip archive as ZipFile, which is not empty.")
        if len(archive) > (limit := self.limits.zip_direct):
            raise EntityTooLarge(f"The archive must be smaller than {limit} bytes for the {call.operation} operation.")
        version = await self.layers.publish(
            name,
            archive,
            description=params.get("Description") or "",
            license=params.get("LicenseInfo") or "",
            runtimes=tuple(params.get("CompatibleRuntimes") or ()),
            architectures=tuple(params.get("CompatibleArchitectures") or ()),
        )
        return self._whole(version)

    async def get_layer_version(self, _: Call, params: Params) -> Result:
        return self._whole(self._find(params))

    async def get_layer_version_by_arn(self, _: Call, params: Params) -> Result:
        match = _ARN.fullmatch(params["Arn"])
        if match is None or match["version"] is None:
            raise ResourceNotFound("The resource you requested does not exist.")
        return self._whole(self.layers.get(self._name(params["Arn"]), int(match["version"])))

    async def list_layers(self, _: Call, params: Params) -> Result:
        newest: dict[str, LayerVersion] = {}
        for version in _matching(self.layers.all(), params):
            newest.setdefault(version.name, version)
        page, more = _page(list(newest.values()), params, key=lambda version: version.name)
        shapes = [
            {
                "LayerName": version.name,
                "LayerArn": self.home.layer_arn(version.name),
                "LatestMatchingVersion": self._item(version),
            }
            for version in page
        ]
        return {"Layers": shapes, "NextMarker": more}

    async def list_layer_versions(self, _: Call, params: Params) -> Result:
        found = list(_matching(self.layers.versions(self._name(params["LayerName"])), params))
        page, more = _page(found, params, key=lambda version: str(version.version))
        return {"LayerVersions": [self._item(version) for version in page], "NextMarker": more}

    async def delete_layer_version(self, _: Call, params: Params) -> Result:
        await self.layers.delete(self._name(params["LayerName"]), params["VersionNumber"])
        return {}

    async def add_layer_version_permission(self, _: Call, params: Params) -> Result:
        version = self._find(params)
        organization = params.get("OrganizationId")
        if organization and params["Principal"] != "*":
            raise InvalidValue("OrganizationId is for the principal *: pass one of the two.")
        statement: dict[str, Any] = {
            "Sid": params["StatementId"],
            "Effect": "Allow",
            "Principal": _principal(params["Principal"]),
            "Action": params["Action"],
            "Resource": self.home.layer_arn(version.name, version.version),
        }
        if organization:
            statement["Condition"] = {"StringEquals": {"aws:PrincipalOrgID": organization}}
        changed = await self.layers.allow(
            version.name, version.version, params["StatementId"], statement, params.get("RevisionId")
        )
        return {"Statement": changed.statements[params["StatementId"]], "RevisionId": changed.policy_revision}

    async def get_layer_version_policy(self, _: Call, params: Params) -> Result:
        policy = self.layers.policy(self._name(params["LayerName"]), params["VersionNumber"])
        return {"Policy": policy.text, "RevisionId": policy.revision}

    async def remove_layer_version_permission(self, _: Call, params: Params) -> Result:
        version = self._find(params)
        await self.layers.disallow(version.name, version.version, params["StatementId"], params.get("RevisionId"))
        return {}

    def _find(self, params: Params) -> LayerVersion:
        return self.layers.get(self._name(params["LayerName"]), params["VersionNumber"])

    def _name(self, text: str) -> str:
        """A layer's name; from an ARN, if it is of here."""
        match = _ARN.fullmatch(text)
        if match is None:
            return text
        if (match["region"], match["account"]) != (self.home.region, self.home.account):
            raise ResourceNotFound(
                f"The resource you requested does not exist: {text} is of another account or region."
            )
        return match["name"]

    def _item(self, version: LayerVersion) -> dict[str, Any]:
        return {
            "LayerVersionArn": self.home.layer_arn(version.name, version.version),
            "Version": version.version,
            "Description": version.description,
            "CreatedDate": last_modified(version.created),
            "CompatibleRuntimes": list(version.runtimes) or None,
            "CompatibleArchitectures": list(version.architectures) or None,
            "LicenseInfo": version.license or None,
        }

    def _whole(self, version: LayerVersion) -> dict[str, Any]:
        content = {
            "Location": self.location(version),
            "CodeSha256": version.bundle.code_sha256,
            "CodeSize": version.bundle.size,
        }
        return {"Content": content, "LayerArn": self.home.layer_arn(version.name), **self._item(version)}


def _matching(versions: Iterable[LayerVersion], params: Params) -> Iterable[LayerVersion]:
    """Those made for the runtime and the architecture asked for."""
    runtime, architecture = params.get("CompatibleRuntime"), params.get("CompatibleArchitecture")
    for version in versions:
        if runtime in (None, *version.runtimes) and architecture in (None, *version.architectures):
            yield version


def _page(
    versions: list[LayerVersion], params: Params, *, key: Callable[[LayerVersion], str]
) -> tuple[list[LayerVersion], str | None]:
    """The page after the marker, which is the key of the last one told, and the marker of the next."""
    marker = params.get("Marker")
    keys = [key(version) for version in versions]
    if marker and marker not in keys:
        raise InvalidValue("Invalid Marker: pass the NextMarker of the page before; what it named may be gone.")
    start = keys.index(marker) + 1 if marker else 0
    end = start + (params.get("MaxItems") or _PAGE)
    return versions[start:end], keys[end - 1] if end < len(keys) else None


def _principal(text: str) -> Any:
    if text == "*":
        return "*"
    return {"AWS": text if text.startswith("arn:") else f"arn:aws:iam::{text}:root"}
