"""What is kept of a stack on the server: enough for anyone, from any machine, to go on with it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

FORMAT = 1


def digest(value: Any) -> str:
    """What stands for a property's value: the record holds no values, which may be secrets."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A resource as the server has it. `digests` are of its properties, empty while it is being made or changed."""

    id: str
    type: str
    physical: str
    attributes: Mapping[str, str] = field(default_factory=dict)  # what GetAtt gives; under "Ref", what Ref does
    digests: Mapping[str, str] = field(default_factory=dict)
    keep: bool = False  # stays when the stack no longer has it
    keep_replaced: bool = False

    def evolve(self, **changes: Any) -> Made:
        return replace(self, **changes)

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        return cls(**{name: plain[name] for name in cls.__dataclass_fields__ if name in plain})


@dataclass(slots=True, kw_only=True)
class Stack:
    """A stack as it stands. `resources` are in the order they were made in; `leftovers` are to be removed.

    `revision` counts what was stored: who stores says which one it saw, so that two deployments do not mix.
    """

    name: str
    revision: int = 0
    status: str = "new"
    template: str = ""
    url: str = ""  # the server's own, which addresses among the attributes begin with
    changed: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    resources: dict[str, Made] = field(default_factory=dict)
    leftovers: list[Made] = field(default_factory=list)
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    waiting: list[dict[str, Any]] = field(default_factory=list)
    reason: str = ""

    def moved_to(self, url: str) -> None:
        """Follow a server to another address."""
        if self.url and self.url != url:
            for name, made in self.resources.items():
                moved = {key: _moved(value, self.url, url) for key, value in made.attributes.items()}
                self.resources[name] = made.evolve(attributes=moved)
        self.url = url

    def document(self) -> dict[str, Any]:
        """All of it but the name and the revision, as JSON."""
        return {
            "format": FORMAT,
            "status": self.status,
            "template": self.template,
            "url": self.url,
            "changed": self.changed,
            "parameters": self.parameters,
            "resources": [made.as_json() for made in self.resources.values()],
            "leftovers": [made.as_json() for made in self.leftovers],
            "outputs": self.outputs,
            "waiting": self.waiting,
            "reason": self.reason,
        }

    @classmethod
    def from_json(cls, name: str, revision: int, plain: Mapping[str, Any]) -> Self:
        """What `document` made. Raises ValueError where a newer torpor made it."""
        if plain.get("format") != FORMAT:
            raise ValueError(f"the stack {name} was deployed by a newer torpor: use that one")
        return cls(
            name=name,
            revision=revision,
            status=plain["status"],
            template=plain["template"],
            url=plain["url"],
            changed=plain["changed"],
            parameters=dict(plain["parameters"]),
            resources={one["id"]: Made.from_json(one) for one in plain["resources"]},
            leftovers=[Made.from_json(one) for one in plain["leftovers"]],
            outputs=dict(plain["outputs"]),
            waiting=list(plain["waiting"]),
            reason=plain.get("reason", ""),
        )


def _moved(text: str, old: str, new: str) -> str:
    return new + text.removeprefix(old) if text.startswith(f"{old}/") else text
