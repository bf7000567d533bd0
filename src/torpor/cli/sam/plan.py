"""What a deployment would do: the template's resources beside those that the stack has. Nothing is asked or changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from torpor.cli.sam import support
from torpor.cli.sam.application import Application, Node
from torpor.cli.sam.intrinsics import Reference, Wrong
from torpor.cli.sam.record import Made, Stack, digest

Properties = Mapping[str, Any]


class Action(StrEnum):
    """What becomes of a resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"  # a new one is made, then the old one removed
    UNCHANGED = "unchanged"
    DELETE = "delete"
    KEEP = "keep"  # leaves the stack, and stays on the server


@dataclass(frozen=True, slots=True)
class Step:
    """One resource's part of a plan; `changes` are the properties that differ."""

    action: Action
    id: str
    type: str
    line: int = 0
    changes: tuple[str, ...] = ()
    physical: str = ""

    def as_json(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return plain | {"action": self.action.value}


@dataclass(frozen=True, slots=True)
class Decision:
    """What a resource's properties mean for what is there."""

    action: Action
    changes: tuple[str, ...] = ()


def decide(made: Made | None, kind: str, digests: Mapping[str, str]) -> Decision:
    """What to do so that `made` has these properties, given by their digests."""
    if made is None:
        return Decision(Action.CREATE)
    names = made.digests.keys() | digests.keys()
    changes = tuple(sorted(name for name in names if made.digests.get(name) != digests.get(name)))
    fixed = support.FIXED[kind] & set(changes)
    if made.type != kind or (made.digests and fixed):
        return Decision(Action.REPLACE, changes)
    return Decision(Action.UPDATE if changes else Action.UNCHANGED, changes)


def digests_of(properties: Properties) -> dict[str, str]:
    return {name: digest(value) for name, value in properties.items()}


class Known:
    """What references are worth: attributes of what there is, names of what is left out."""

    def __init__(self, application: Application, name_of_left_out: Callable[[str, str | None], str]) -> None:
        self.attributes: dict[str, Mapping[str, str] | None] = {}  # None: not known before it is made
        self._application = application
        self._left_out = name_of_left_out
        self._ids = {node.id: node.type for node in application.nodes}

    def reference(self, name: str, attribute: str | None) -> Any:
        """A Reference for evaluating. Raises Wrong."""
        if name in self._application.left_out:
            return self._left_out(name, attribute)
        if name not in self._ids:
            absent = name in self._application.absent
            raise Wrong(f"{name} is not made under these conditions" if absent else f"there is no {name}", ())
        there = support.ATTRIBUTES[self._ids[name]]
        if attribute is not None and attribute not in there:
            has = ", ".join(sorted(there)) or "none"
            raise Wrong(f"{self._ids[name]} has no attribute {attribute} here; it has: {has}", ())
        attributes = self.attributes.get(name)
        if attributes is None:
            return f"<{name}.{attribute or 'Ref'}>"  # a text that no made resource has: what holds it changes
        return attributes[attribute or "Ref"]


def plan(
    application: Application, stack: Stack, known: Known, prior_of: Callable[[Node, Properties], Made | None]
) -> list[Step]:
    """The steps, in the order in which they would be done. Raises Wrong for references that lead nowhere."""
    steps = []
    evaluate = evaluating(application, known.reference)
    taken = set()
    for node in application.nodes:
        properties = evaluate(node)
        made = prior_of(node, properties)
        decision = decide(made, node.type, digests_of(properties))
        stays = made is not None and decision.action in (Action.UPDATE, Action.UNCHANGED)
        known.attributes[node.id] = made.attributes if made is not None and stays and made.attributes else None
        line = application.template.line(*node.place)
        physical = made.physical if made else ""
        taken.add(made.id if made else node.id)
        steps.append(Step(decision.action, node.id, node.type, line, decision.changes, physical))
    return steps + list(_removed(stack, taken))


def _removed(stack: Stack, taken: set[str]) -> Iterator[Step]:
    gone = [made for name, made in stack.resources.items() if name not in taken]
    for made in (*reversed(gone), *stack.leftovers):
        action = Action.KEEP if made.keep and made in gone else Action.DELETE
        yield Step(action, made.id, made.type, physical=made.physical)


def evaluating(application: Application, reference: Reference) -> Callable[[Node], dict[str, Any]]:
    """A function that gives a node's properties without open references. Raises Wrong."""
    evaluator = application.evaluator(reference)

    def evaluate(node: Node) -> dict[str, Any]:
        value: dict[str, Any] = evaluator.value(dict(node.properties), ("Resources", node.id, "Properties"))
        return value

    return evaluate
