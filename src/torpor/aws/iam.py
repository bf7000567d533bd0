"""AWS IAM, as torpor offers it: roles and their policies are stored, since scripts begin so, and grant nothing."""

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
        handlers={**RoleOperations(roles, home).handlers(), **PolicyOperations(roles).handlers()},
        codes={
            "InvalidParameterValueException": "InvalidInputException",
            "ResourceConflictException": "EntityAlreadyExistsException",
            "ResourceNotFoundException": "NoSuchEntityException",
            "ServiceException": "ServiceFailureException",
        },
    )


@dataclass(frozen=True, slots=True)
class RoleOperations:
    """Handlers of what concerns roles themselves, by operation."""

    roles: Roles
    home: Home

    def handlers(self) -> Mapping[str, Any]:
        return {
            "CreateRole": self.create_role,
            "GetRole": self.get_role,
            "ListRoles": self.list_roles,
            "DeleteRole": self.delete_role,
            "UpdateAssumeRolePolicy": self.update_assume_role_policy,
            "TagRole": self.tag_role,
            "UntagRole": self.untag_role,
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
            tags=_tags(params),
        )
        return {"Role": self._shape(role)}

    async def get_role(self, _: Call, params: Params) -> Result:
        return {"Role": self._shape(self.roles.get(params["RoleName"]))}

    async def list_roles(self, _: Call, params: Params) -> Result:
        page = self.roles.list(path_prefix=params.get("PathPrefix") or "/", **_place(params))
        # As on AWS, a listing leaves out the tags.
        shapes = [{**self._shape(role), "Tags": None} for role in page.roles]
        return {"Roles": shapes, **_more(page.next)}

    async def delete_role(self, _: Call, params: Params) -> Result:
        await self.roles.delete(params["RoleName"])
        return {}

    async def update_assume_role_policy(self, _: Call, params: Params) -> Result:
        await self.roles.update_trust_policy(params["RoleName"], params["PolicyDocument"])
        return {}

    async def tag_role(self, _: Call, params: Params) -> Result:
        await self.roles.tag(params["RoleName"], _tags(params))
        return {}

    async def untag_role(self, _: Call, params: Params) -> Result:
        await self.roles.untag(params["RoleName"], params["TagKeys"])
        return {}

    def _shape(self, role: Role) -> dict[str, Any]:
        return {
            "Path": role.path,
            "RoleName": role.name,
            "RoleId": role.role_id,
            "Arn": self.home.role_arn(role.name, role.path),
            "CreateDate": role.created.replace(microsecond=0),
            "AssumeRolePolicyDocument": _document(role.trust_policy),
            "Description": role.description or None,
            "MaxSessionDuration": role.max_session_s,
            "Tags": [{"Key": key, "Value": value} for key, value in role.tags.items()] or None,
        }


@dataclass(frozen=True, slots=True)
class PolicyOperations:
    """Handlers of what concerns the policies of roles, by operation."""

    roles: Roles

    def handlers(self) -> Mapping[str, Any]:
        return {
            "AttachRolePolicy": self.attach_role_policy,
            "DetachRolePolicy": self.detach_role_policy,
            "ListAttachedRolePolicies": self.list_attached_role_policies,
            "PutRolePolicy": self.put_role_policy,
            "GetRolePolicy": self.get_role_policy,
            "ListRolePolicies": self.list_role_policies,
            "DeleteRolePolicy": self.delete_role_policy,
        }

    async def attach_role_policy(self, _: Call, params: Params) -> Result:
        await self.roles.attach(params["RoleName"], params["PolicyArn"])
        return {}

    async def detach_role_policy(self, _: Call, params: Params) -> Result:
        await self.roles.detach(params["RoleName"], params["PolicyArn"])
        return {}

    async def list_attached_role_policies(self, _: Call, params: Params) -> Result:
        path = params.get("PathPrefix") or "/"
        page = self.roles.attached(params["RoleName"], path_prefix=path, **_place(params))
        policies = [{"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in page.names]
        return {"AttachedPolicies": policies, **_more(page.next)}

    async def put_role_policy(self, _: Call, params: Params) -> Result:
        await self.roles.put_policy(params["RoleName"], params["PolicyName"], params["PolicyDocument"])
        return {}

    async def get_role_policy(self, _: Call, params: Params) -> Result:
        document = self.roles.policy(params["RoleName"], params["PolicyName"])
        return {
            "RoleName": self.roles.get(params["RoleName"]).name,
            "PolicyName": params["PolicyName"],
            "PolicyDocument": _document(document),
        }

    async def list_role_policies(self, _: Call, params: Params) -> Result:
        page = self.roles.policies(params["RoleName"], **_place(params))
        return {"PolicyNames": list(page.names), **_more(page.next)}

    async def delete_role_policy(self, _: Call, params: Params) -> Result:
        await self.roles.delete_policy(params["RoleName"], params["PolicyName"])
        return {}


def _document(policy: str) -> str:
    return quote(policy, safe="")  # RFC 3986, as AWS; SDKs decode it


def _tags(params: Params) -> dict[str, str]:
    tags = {tag["Key"]: tag["Value"] for tag in params.get("Tags", ())}
    if len({key.lower() for key in tags}) < len(params.get("Tags", ())):
        raise InvalidValue("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    return tags


def _place(params: Params) -> dict[str, Any]:
    """Where a listing goes on, and how far."""
    marker = params.get("Marker")
    return {"after": _unmark(marker) if marker else None, "limit": params.get("MaxItems") or _PAGE}


def _more(after: str | None) -> dict[str, Any]:
    return {"IsTruncated": after is not None, "Marker": None if after is None else _mark(after)}


def _mark(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _unmark(marker: str) -> str:
    try:
        return base64.b64decode(marker, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidValue("Invalid Marker: pass the Marker of the page before.") from None
