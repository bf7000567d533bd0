"""Who is asking, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    OWNER = "owner"  # holds the data folder's key or the command line's token
    FUNCTION = "function"  # speaks through its instance's door
    ANONYMOUS = "anonymous"  # nobody in particular: only public function URLs are open


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller. `permissions` are actions such as `lambda:InvokeFunction`, `lambda:*`,
    or an action bound to a function, `lambda:InvokeFunction/NAME`.
    """

    kind: Kind
    arn: str = ""
    function: str = ""
    permissions: tuple[str, ...] = ()

    def allows(self, action: str, resource: str = "") -> bool:
        """Whether this caller may do `action` (`service:Action`) to `resource` (a function's name, or empty)."""
        if self.kind is Kind.OWNER:
            return True
        if self.kind is Kind.ANONYMOUS:
            return False
        if action == "sts:GetCallerIdentity":
            return True
        service = action.partition(":")[0]
        for granted in self.permissions:
            name, _, only = granted.partition("/")
            if name in (action, f"{service}:*", "*") and (not only or only == resource):
                return True
        return False


ANONYMOUS = Principal(Kind.ANONYMOUS)
