"""AWS IAM, as torpor offers it: roles are stored, since scripts begin by making one, and grant nothing."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import msgspec

from torpor.aws.ports import Roles
from torpor.aws.service import Call, Params, Result, Service
from torpor.core.arn import Home
from torpor.core.errors import FunctionNotFound, InvalidValue, ResourceNotFound, UserError
from torpor.core.function import Role

_PAGE = 100  # as on AWS


class MalformedPolicy(UserError):
    """This policy contains invalid Json"""

    code = "MalformedPolicyDocumentException"


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
        policy = params["AssumeRolePolicyDocument"]
        _check_policy(policy)
        role = await self.roles.create(
            params["RoleName"],
            policy,
            path=params.get("Path", "/"),
            description=params.get("Description", ""),
            max_session_s=params.get("MaxSessionDuration", 3600),
            tags={tag["Key"]: tag["Value"] for tag in params.get("Tags", ())},
        )
        return {"Role": self._shape(role)}

    async def get_role(self, _: Call, params: Params) -> Result:
        return {"Role": self._shape(self._get(params["RoleName"]))}

    async def list_roles(self, _: Call, params: Params) -> Result:
        after = _unmark(params["Marker"]) if params.get("Marker") else ""
        size = params.get("MaxItems") or _PAGE
        found = sorted(self.roles.list(params.get("PathPrefix") or "/"), key=lambda role: role.name)
        rest = [role for role in found if role.name > after]
        # As on AWS, a listing leaves out the tags.
        shapes = [{**self._shape(role), "Tags": None} for role in rest[:size]]
        more = {"Marker": _mark(rest[size - 1].name)} if len(rest) > size else {}
        return {"Roles": shapes, "IsTruncated": bool(more), **more}

    async def delete_role(self, _: Call, params: Params) -> Result:
        self._get(params["RoleName"])
        await self.roles.delete(params["RoleName"])
        return {}

    def _get(self, name: str) -> Role:
        try:
            return self.roles.get(name)
        except (ResourceNotFound, FunctionNotFound):
            raise ResourceNotFound(f"The role with name {name} cannot be found.") from None

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


def _check_policy(text: str) -> None:
    try:
        policy = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        raise MalformedPolicy from None
    if not isinstance(policy, dict):
        raise MalformedPolicy("Syntax errors in policy: it must be a JSON object.")


def _mark(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _unmark(marker: str) -> str:
    try:
        return base64.urlsafe_b64decode(marker.encode()).decode()
    except (binascii.Error, ValueError):
        raise InvalidValue("Invalid Marker: pass the Marker of the page before.") from None
