"""IAM roles: accepted and stored, since scripts begin by making one. They grant nothing here: `permissions` do."""

from __future__ import annotations

import secrets
import string
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from torpor.core.errors import UserError
from torpor.core.function import Role
from torpor.functions.catalog import Catalog
from torpor.functions.policy_rules import (
    MAX_ATTACHED,
    MAX_INLINE,
    MalformedPolicy,
    PolicyNotFound,
    check_attachable,
    check_inline_policy,
    check_trust_policy,
    counted_size,
    path_of,
)

__all__ = [
    "LimitExceeded",
    "MalformedPolicy",
    "NamePage",
    "PolicyNotFound",
    "RoleExists",
    "RoleInUse",
    "RoleNotFound",
    "RolePage",
    "Roles",
]

_ALPHABET = string.ascii_uppercase + string.digits
_MAX_TAGS = 50


class RoleNotFound(UserError):
    """There is no role of this name."""

    code = "NoSuchEntityException"


class RoleExists(UserError):
    """There is a role of this name already."""

    code = "EntityAlreadyExistsException"


class RoleInUse(UserError):
    """The role still has policies."""

    code = "DeleteConflictException"


class LimitExceeded(UserError):
    """A role cannot hold this much."""

    code = "LimitExceededException"


class _Changed(Exception):
    """Somebody else changed the role meanwhile."""


@dataclass(frozen=True, slots=True)
class RolePage:
    """Some roles in order of their names, and the name to go on after: None on the last page."""

    roles: tuple[Role, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class NamePage:
    """Some names or ARNs in order, and the one to go on after: None on the last page."""

    names: tuple[str, ...]
    next: str | None


class Roles:
    """Makes, finds, changes and removes roles. Names are unique regardless of case."""

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
        check_trust_policy(trust_policy)
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
        """Remove a role. Raises RoleNotFound, and RoleInUse while it has policies."""

        def free() -> None:
            role = self.get(name)
            if role.attached:
                raise RoleInUse("Cannot delete entity, must detach all policies first.")
            if role.inline:
                raise RoleInUse("Cannot delete entity, must delete policies first.")

        await self._catalog.remove_role(name, check=free)

    async def update_trust_policy(self, name: str, trust_policy: str) -> None:
        """Replace who may take the role. Raises RoleNotFound and MalformedPolicy."""
        check_trust_policy(trust_policy)
        await self._change(name, lambda role: role.evolve(trust_policy=trust_policy))

    async def tag(self, name: str, tags: Mapping[str, str]) -> None:
        """Add tags to a role; keys are one regardless of case. Raises RoleNotFound and LimitExceeded."""

        def change(role: Role) -> Role:
            merged = _without(role.tags, tags) | dict(tags)
            if len(merged) > _MAX_TAGS:
                raise LimitExceeded("The number of tags has reached the maximum limit.")
            return role.evolve(tags=merged)

        await self._change(name, change)

    async def untag(self, name: str, keys: Collection[str]) -> None:
        """Take tags from a role, those it does not have too. Raises RoleNotFound."""
        await self._change(name, lambda role: role.evolve(tags=_without(role.tags, keys)))

    # Managed policies

    async def attach(self, name: str, arn: str) -> None:
        """Attach one of AWS's own policies; once more changes nothing.

        Raises RoleNotFound, InvalidValue, PolicyNotFound for other policies, and LimitExceeded.
        """

        def change(role: Role) -> Role:
            check_attachable(arn)
            if arn in role.attached:
                return role
            if len(role.attached) >= MAX_ATTACHED:
                raise LimitExceeded(f"Cannot exceed quota for PoliciesPerRole: {MAX_ATTACHED}")
            return role.evolve(attached=(*role.attached, arn))

        await self._change(name, change)

    async def detach(self, name: str, arn: str) -> None:
        """Raises RoleNotFound, and PolicyNotFound for what is not attached."""

        def change(role: Role) -> Role:
            if arn not in role.attached:
                raise PolicyNotFound(f"Policy {arn} was not found.")
            return role.evolve(attached=tuple(other for other in role.attached if other != arn))

        await self._change(name, change)

    def attached(self, name: str, *, path_prefix: str = "/", after: str | None = None, limit: int = 100) -> NamePage:
        """Up to `limit` ARNs of a role's managed policies below a path. Raises RoleNotFound."""
        arns = (arn for arn in self.get(name).attached if path_of(arn).startswith(path_prefix))
        return _page(arns, after, limit)

    # Inline policies

    async def put_policy(self, name: str, policy: str, document: str) -> None:
        """Add an inline policy or replace it. Raises RoleNotFound, MalformedPolicy and LimitExceeded."""

        def change(role: Role) -> Role:
            check_inline_policy(document)
            inline = {**role.inline, policy: document}
            if sum(map(counted_size, inline.values())) > MAX_INLINE:
                raise LimitExceeded(f"Maximum policy size of {MAX_INLINE} bytes exceeded for role {role.name}")
            return role.evolve(inline=inline)

        await self._change(name, change)

    def policy(self, name: str, policy: str) -> str:
        """The document of an inline policy, as it was written. Raises RoleNotFound and PolicyNotFound."""
        return _document(self.get(name), policy)

    def policies(self, name: str, *, after: str | None = None, limit: int = 100) -> NamePage:
        """Up to `limit` names of a role's inline policies. Raises RoleNotFound."""
        return _page(self.get(name).inline, after, limit)

    async def delete_policy(self, name: str, policy: str) -> None:
        """Remove an inline policy. Raises RoleNotFound and PolicyNotFound."""

        def change(role: Role) -> Role:
            _document(role, policy)
            return role.evolve(inline={other: text for other, text in role.inline.items() if other != policy})

        await self._change(name, change)

    async def _change(self, name: str, change: Callable[[Role], Role]) -> None:
        """Store what `change` makes of the role. It runs again on what others made of the role meanwhile."""
        while True:
            old = self.get(name)
            new = change(old)
            if new is old:
                return
            try:
                await self._catalog.save_role(new, check=partial(self._still, old))
            except _Changed:
                continue
            return

    def _still(self, role: Role) -> None:
        if self._catalog.role(role.name) is not role:
            raise _Changed


def _document(role: Role, policy: str) -> str:
    if policy not in role.inline:
        raise PolicyNotFound(f"The role policy with name {policy} cannot be found.")
    return role.inline[policy]


def _without(tags: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    gone = {key.lower() for key in keys}
    return {key: value for key, value in tags.items() if key.lower() not in gone}


def _page(names: Iterable[str], after: str | None, limit: int) -> NamePage:
    found = sorted(name for name in names if after is None or name > after)
    page = tuple(found[:limit])
    return NamePage(page, page[-1] if len(found) > limit and page else None)
