"""What all kinds of resources have in common."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torpor.cli.sam.code import Archives
from torpor.cli.sam.record import Made

_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A resource as it shall be: its properties have no open references any more."""

    stack: str
    id: str
    type: str
    properties: Mapping[str, Any]
    archives: Archives

    def given_name(self, key: str, limit: int = 64) -> str:
        """The name that the template gives, or one made of the stack's and the resource's."""
        given = self.properties.get(key)
        return str(given) if given else physical_name(self.stack, self.id, limit)


@dataclass(frozen=True, slots=True)
class Result:
    """What the server has now."""

    physical: str
    attributes: Mapping[str, str] = field(default_factory=dict)


class Kind(Protocol):
    """One type of resource. All raise Refused, Failed and Unreachable; what is not there any more raises Gone."""

    def name(self, wanted: Wanted) -> str | None:
        """The physical name it will have, where the server does not choose it."""
        ...

    def exists(self, name: str) -> bool:
        """Whether something has this name already; asked of names that `name` gave."""
        ...

    def create(self, wanted: Wanted) -> Result: ...

    def update(self, wanted: Wanted, made: Made) -> Result: ...

    def delete(self, made: Made) -> None: ...


def physical_name(stack: str, resource: str, limit: int) -> str:
    """STACK-RESOURCE; where that is too long, shortened and told apart by a digest."""
    whole = _NOT_IN_NAMES.sub("-", f"{stack}-{resource}")
    if len(whole) <= limit:
        return whole
    mark = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"{whole[: limit - 9]}-{mark}"


def plain_tags(tags: Any) -> dict[str, str]:
    """Tags as a table: CloudFormation writes them as a list of Key and Value, or as a table."""
    if isinstance(tags, list):
        return {str(one["Key"]): text(one.get("Value", "")) for one in tags}
    return {str(key): text(value) for key, value in (tags or {}).items()}


def whole(value: Any) -> int:
    """A number, which a parameter may have given as text. Raises ValueError."""
    return int(str(value))


def text(value: Any) -> str:
    """A value as text, `true` and `false` as CloudFormation writes them."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def boolean(value: Any) -> bool:
    return value is True or str(value).lower() == "true"


def picked(properties: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The named properties that are there."""
    return {name: properties[name] for name in names if properties.get(name) is not None}
