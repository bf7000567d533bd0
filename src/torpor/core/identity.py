"""Who is asking, and what they may do."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from torpor.core.errors import AccessDenied, UserError

# SERVICE:ACTION, each with `*` at its end or alone, and behind a slash the resource it is for, with any `*`.
PERMISSION = r"^(?:\*|[a-z][a-z0-9-]*:(?:\*|[A-Z][a-zA-Z0-9]*\*?))(?:/[a-zA-Z0-9._/=+@*:-]{1,512})?$"
# They tell or give a caller nothing that it has not already: AWS, too, asks for no right.
_FREE = frozenset({"sts:GetCallerIdentity", "sts:GetSessionToken"})
_permission = re.compile(PERMISSION)


class Kind(StrEnum):
    OWNER = "owner"  # holds the data folder's key or the command line's token
    KEY = "key"  # signs with a key that the owner made, which may do what it was given
    FUNCTION = "function"  # signs with the credentials that its instance's door hands out
    ANONYMOUS = "anonymous"  # nobody in particular: only public function URLs are open


class SessionExpired(UserError):
    """The security token included in the request is expired"""

    code = "ExpiredTokenException"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller. `permissions` are actions such as `lambda:InvokeFunction`, `lambda:Get*`, `lambda:*`,
    or actions bound to a resource, `lambda:InvokeFunction/NAME`; `*` stands for any text in both. `key_id` is the key
    that was signed with; empty for sessions.
    """

    kind: Kind
    arn: str = ""
    function: str = ""
    permissions: tuple[str, ...] = ()
    key_id: str = ""

    def allows(self, action: str, resource: str = "") -> bool:
        """Whether this caller may do `action` (`service:Action`) to `resource` (a function's name, or empty)."""
        if self.kind is Kind.OWNER:
            return True
        if self.kind is Kind.ANONYMOUS:
            return False
        return action in _FREE or any(_grants(granted, action, resource) for granted in self.permissions)

    def check_may(self, action: str, resource: str = "") -> None:
        """Raise AccessDenied, in IAM's words, where this caller may not."""
        if not self.allows(action, resource):
            raise AccessDenied(
                f"User: {self.arn} is not authorized to perform: {action} on resource: {resource or '*'} because no "
                f"identity-based policy allows the {action} action"
            )

    def check_may_grant(self, permissions: tuple[str, ...]) -> None:
        """Raise AccessDenied where somebody would give away what they do not have."""
        if self.kind is Kind.OWNER:
            return
        for wanted in permissions:
            action, _, resource = wanted.partition("/")
            # A pattern that matches another one's text matches all that the other does: a `*` meets only a `*`.
            if self.kind is Kind.ANONYMOUS or not any(_grants(held, action, resource) for held in self.permissions):
                raise AccessDenied(
                    f"User: {self.arn} is not authorized to grant {wanted}: nobody gives a function what they "
                    "do not hold themselves."
                )


@dataclass(frozen=True, slots=True)
class Key:
    """One secret, and who holds it."""

    secret: str = field(repr=False)
    principal: Principal
    session_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a session signs with, until `expires` (Unix seconds)."""

    access_key_id: str
    secret: str = field(repr=False)
    token: str = field(repr=False)
    expires: float


ANONYMOUS = Principal(Kind.ANONYMOUS)


def is_permission(text: str) -> bool:
    """Whether `text` is written as a permission."""
    return _permission.match(text) is not None


def _grants(granted: str, action: str, resource: str) -> bool:
    name, bound, only = granted.partition("/")
    return _matches(name, action) and (not bound or (bool(resource) and _matches(only, resource)))


def _matches(pattern: str, text: str) -> bool:
    return pattern == text or ("*" in pattern and fnmatchcase(text, pattern))
