"""What a resource policy lets a caller do: statements in IAM's form, as `AddPermission` makes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any


def permits(statements: Iterable[Mapping[str, Any]], caller: str, action: str) -> bool:
    """Whether any statement allows `action` to the caller with this ARN, calling by itself.

    A statement with conditions is for a service that calls for somebody, and never for the caller alone. A whole
    account as principal leaves the choice to the identities' own rights, as on AWS, and so allows nothing here.
    """
    return any(
        statement.get("Effect") == "Allow"
        and not statement.get("Condition")
        and fnmatchcase(action, str(statement.get("Action", "")))
        and _names(statement.get("Principal"), caller)
        for statement in statements
    )


def _names(principal: Any, caller: str) -> bool:
    if principal == "*":
        return True
    return isinstance(principal, Mapping) and principal.get("AWS") in ("*", caller)
