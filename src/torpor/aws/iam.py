"""AWS IAM, as torpor offers it: roles are stored, since scripts begin by making one, and grant nothing."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from torpor.aws.ports import Roles
from torpor.aws.service import Call, Params, Result, Service
from torpor.core.arn import Home
from torpor.core.errors import InvalidValue
from torpor.core.function import Role

_PAGE = 100  # as on AWS


def iam_service(*, roles: Roles, home: Home) -> Service:
    """IAM over these use cases."""
    return Service(
        name="iam",
        handlers=RoleOperations(roles, home).handlers(),
        codes={
            "InvalidParameterValueException": "InvalidInputException",
            "ResourceConflictException": "EntityAlreadyExistsException",
            "ResourceNotFoundException": "NoSuchEntityException",
            "ServiceException": "ServiceFailureException",
        },
    )


@dataclass(frozen=True, slots=True)
class RoleOperations:
    """Handlers by operation."""

    roles: Roles
    home: Home

    def handlers(self) -> Mapping[str, Any]:
        return {
            "CreateRole": self.create_role,
            "GetRole": self.get_role,
            "ListRoles": self.list_roles,
            "DeleteRole": self.delete_role,
        }

    async def create_role(self, _: Call, params: Params) -> Result:
        if params.get("PermissionsBoundary"):
            raise InvalidValue(
                "torpor does not support PermissionsBoundary: roles grant nothing here, so leave it out."
            )
        role = await self.roles.create(
            params["RoleName"],
            params["AssumeRolePolicyDocument"],
            path=params.get("Path", "/"),
            description=params.get("Description", ""),
            max_session_s=params.get("MaxSessionDuration", 3600),
            tags={tag["Key"]: tag["Value"] for tag in params.get("Tags", ())},
        )
        return {"Role": self._shape(role)}

    async def get_role(self, _: Call, params: Params) -> Result:
        return {"Role": self._shape(self.roles.get(params["RoleName"]))}

    async def list_roles(self, _: Call, params: Params) -> Result:
        page = self.roles.list(
            path_prefix=params.get("PathPrefix") or "/",
            after=_unmark(params["Marker"]) if params.get("Marker") else None,
            limit=params.get("MaxItems") or _PAGE,
        )
        # As on AWS, a listing leaves out the tags.
        shapes = [{**self._shape(role), "Tags": None} for role in page.roles]
        marker = None if page.next is None else _mark(page.next)
        return {"Roles": shapes, "IsTruncated": marker is not None, "Marker": marker}

    async def delete_role(self, _: Call, params: Params) -> Result:
        await self.roles.delete(params["RoleName"])
        return {}

    def _shape(self, role: Role) -> dict[str, Any]:
        return {
            "Path": role.path,
            "RoleName": role.name,
            "RoleId": role.role_id,
            "Arn": self.home.role_arn(role.name, role.path),
            "CreateDate": role.created.replace(microsecond=0),
            "AssumeRolePolicyDocument": quote(role.trust_policy, safe=""),  # RFC 3986, as AWS; SDKs decode it
            "Description": role.description or None,
            "MaxSessionDuration": role.max_session_s,
            "Tags": [{"Key": key, "Value": value} for key, value in role.tags.items()] or None,
        }


def _mark(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _unmark(marker: str) -> str:
    try:
        return base64.b64decode(marker, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidValue("Invalid Marker: pass the Marker of the page before.") from None
