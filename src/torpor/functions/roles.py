"""IAM roles: accepted and stored, since scripts begin by making one. They grant nothing here: `permissions` do."""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass

from torpor.core.errors import UserError
from torpor.core.function import Role
from torpor.functions.catalog import Catalog

_ALPHABET = string.ascii_uppercase + string.digits


class RoleNotFound(UserError):
    """There is no role of this name."""

    code = "NoSuchEntityException"


class RoleExists(UserError):
    """There is a role of this name already."""

    code = "EntityAlreadyExistsException"


class MalformedPolicy(UserError):
    """This policy contains invalid Json"""

    code = "MalformedPolicyDocumentException"


@dataclass(frozen=True, slots=True)
class RolePage:
    """Some roles in order of their names, and the name to go on after: None on the last page."""

    roles: tuple[Role, ...]
    next: str | None


class Roles:
    """Makes, finds and removes roles. Names are unique regardless of case."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def create(
        self,
        name: str,
        trust_policy: str,
        *,
        path: str = "/",
        description: str = "",
        max_session_s: int = 3600,
        tags: Mapping[str, str] | None = None,
    ) -> Role:
        """Store a role. Raises RoleExists, and MalformedPolicy for a trust policy that is no JSON object."""
        _check_policy(trust_policy)
        role = Role(
            name=name,
            path=path,
            role_id="AROA" + "".join(secrets.choice(_ALPHABET) for _ in range(17)),
            trust_policy=trust_policy,
            description=description,
            max_session_s=max_session_s,
            tags=dict(tags or {}),
        )

        def free() -> None:
            if self._catalog.role(name) is not None:
                raise RoleExists(f"Role with name {name} already exists.")

        await self._catalog.save_role(role, check=free)
        return role

    def get(self, name: str) -> Role:
        """The role. Raises RoleNotFound."""
        role = self._catalog.role(name)
        if role is None:
            raise RoleNotFound(f"The role with name {name} cannot be found.")
        return role

    def list(self, *, path_prefix: str = "/", after: str | None = None, limit: int = 100) -> RolePage:
        """Up to `limit` roles below a path whose names come after `after`."""
        found = [
            role
            for role in self._catalog.roles()
            if role.path.startswith(path_prefix) and (after is None or role.name > after)
        ]
        page = found[:limit]
        return RolePage(tuple(page), page[-1].name if len(found) > limit and page else None)

    async def delete(self, name: str) -> None:
        """Remove a role. Raises RoleNotFound."""
        await self._catalog.remove_role(name, check=lambda: self.get(name))


def _check_policy(text: str) -> None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedPolicy from error
    if not isinstance(document, dict):
        raise MalformedPolicy("Syntax errors in policy.")
