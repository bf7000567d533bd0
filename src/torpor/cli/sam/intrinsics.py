"""CloudFormation's intrinsic functions, evaluated as far as what they need is known.

Whoever evaluates says what a reference to a resource is worth: a value, or OPEN where it is not to be known yet. What
needs an open reference stays as it was written, with everything else in it evaluated.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from torpor.cli.sam.template import Place


class Mark(Enum):
    """What a reference may be besides a value."""

    OPEN = "open"  # known later
    NOTHING = "nothing"  # AWS::NoValue: who holds it goes without


OPEN, NOTHING = Mark.OPEN, Mark.NOTHING

# The value of a resource (None) or of one of its attributes. Raises Wrong.
Reference = Callable[[str, str | None], Any]

_VARIABLE = re.compile(r"\$\{([^}]*)\}")


class Wrong(Exception):
    """A function is not used as it can be; `place` leads to it."""

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message)
        self.message = message
        self.place = place


def is_function(value: Any) -> bool:
    """Whether a value is a function call: a table with one key that names one."""
    if not isinstance(value, dict) or len(value) != 1:
        return False
    name = str(next(iter(value)))
    return name == "Ref" or name.startswith("Fn::")


def is_open(value: Any) -> bool:
    """Whether something in a value could not be evaluated."""
    if is_function(value):
        return True
    if isinstance(value, dict):
        return any(is_open(one) for one in value.values())
    return isinstance(value, list) and any(is_open(one) for one in value)


def text_of(value: Any) -> str:
    """A value as it stands in a text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return ",".join(map(text_of, value)) if isinstance(value, list) else str(value)


def sub_names(text: str) -> list[str]:
    """The variables in a text of Fn::Sub."""
    return [match[1].strip() for match in _VARIABLE.finditer(text) if not match[1].startswith("!")]


class Evaluator:
    """Evaluates values of one template; `values` are parameters and pseudo parameters."""

    def __init__(
        self,
        values: Mapping[str, Any],
        mappings: Mapping[str, Any],
        conditions: Mapping[str, Any],
        reference: Reference,
    ) -> None:
        self._values = values
        self._mappings = mappings
        self._conditions = conditions
        self._reference = reference
        self._known: dict[str, bool | None] = {}  # None while a condition is being evaluated

    def value(self, value: Any, place: Place = ()) -> Any:
        """The value with its functions evaluated. Raises Wrong."""
        if is_function(value):
            name, argument = next(iter(value.items()))
            function = _FUNCTIONS.get(name)
            if function is None:
                raise Wrong(f"{name} is not supported", place)
            return function(self, argument, (*place, name))
        if isinstance(value, dict):
            found = {key: self.value(one, (*place, key)) for key, one in value.items()}
            return {key: one for key, one in found.items() if one is not NOTHING}
        if isinstance(value, list):
            items = [self.value(one, (*place, index)) for index, one in enumerate(value)]
            return [one for one in items if one is not NOTHING]
        return value

    def holds(self, name: str, place: Place) -> bool:
        """Whether a named condition is true. Raises Wrong."""
        if name not in self._known:
            if name not in self._conditions:
                raise Wrong(f"there is no condition {name}", place)
            self._known[name] = None
            self._known[name] = self._truth(self._conditions[name], ("Conditions", name))
        known = self._known[name]
        if known is None:
            raise Wrong(f"the condition {name} leads to itself", ("Conditions", name))
        return known

    def _truth(self, value: Any, place: Place) -> bool:
        if isinstance(value, dict) and len(value) == 1:
            name, argument = next(iter(value.items()))
            place = (*place, name)
            if name == "Condition":
                return self.holds(str(argument), place)
            if name == "Fn::Equals":
                left, right = self._pair(argument, place)
                return text_of(self._closed(left, place)) == text_of(self._closed(right, place))
            if name == "Fn::Not":
                return not self._truths(argument, place, 1, 1)[0]
            if name == "Fn::And":
                return all(self._truths(argument, place, 2, 10))
            if name == "Fn::Or":
                return any(self._truths(argument, place, 2, 10))
        raise Wrong("a condition is Fn::Equals, Fn::And, Fn::Or, Fn::Not or Condition", place)

    def _truths(self, argument: Any, place: Place, least: int, most: int) -> list[bool]:
        if not isinstance(argument, list) or not least <= len(argument) <= most:
            raise Wrong(f"{place[-1]} takes a list of {least} to {most} conditions", place)
        return [self._truth(one, (*place, index)) for index, one in enumerate(argument)]

    def ref(self, argument: Any, place: Place) -> Any:
        if not isinstance(argument, str):
            raise Wrong("Ref takes a name", place)
        found = self._named(argument, None, place)
        return {"Ref": argument} if found is OPEN else found

    def get_att(self, argument: Any, place: Place) -> Any:
        parts = argument.split(".", 1) if isinstance(argument, str) else argument
        if not isinstance(parts, list) or len(parts) != 2 or not isinstance(parts[0], str):
            raise Wrong("Fn::GetAtt takes a resource and an attribute", place)
        attribute = self.value(parts[1], place)
        found = self._reference_at(parts[0], str(attribute), place)
        return {"Fn::GetAtt": [parts[0], attribute]} if found is OPEN else found

    def sub(self, argument: Any, place: Place) -> Any:
        text, given = argument if isinstance(argument, list) and len(argument) == 2 else (argument, {})
        if not isinstance(text, str) or not isinstance(given, dict):
            raise Wrong("Fn::Sub takes a text, or a text and a table of variables", place)
        variables = {name: self.value(one, (*place, 1, name)) for name, one in given.items()}
        left: dict[str, Any] = {}

        def replaced(match: re.Match[str]) -> str:
            name = match[1].strip()
            if name.startswith("!"):
                return match[0] if left_open else f"${{{name[1:]}}}"
            found = variables[name] if name in variables else self._dotted(name, place)
            if found is OPEN or is_open(found):
                if name in variables:
                    left[name] = found
                return match[0]
            return text_of(found).replace("${", "${!") if left_open else text_of(found)

        left_open = any(self._is_left(match[1].strip(), variables, place) for match in _VARIABLE.finditer(text))
        done = _VARIABLE.sub(replaced, text)
        if not left_open:
            return done
        return {"Fn::Sub": [done, left] if left else done}

    def _is_left(self, name: str, variables: Mapping[str, Any], place: Place) -> bool:
        if name.startswith("!"):
            return False
        found = variables[name] if name in variables else self._dotted(name, place)
        return found is OPEN or is_open(found)

    def _dotted(self, name: str, place: Place) -> Any:
        resource, dot, attribute = name.partition(".")
        found = self._named(resource, attribute if dot else None, place)
        if found is NOTHING:
            raise Wrong("AWS::NoValue is nothing that a text could hold", place)
        return found

    def join(self, argument: Any, place: Place) -> Any:
        delimiter, items = self._pair(argument, place)
        items = self.value(items, (*place, 1))
        if is_open(items):
            return {"Fn::Join": [delimiter, items]}
        if not isinstance(items, list):
            raise Wrong("Fn::Join takes a delimiter and a list", place)
        return text_of(delimiter).join(text_of(one) for one in items)

    def split(self, argument: Any, place: Place) -> Any:
        delimiter, text = self._pair(argument, place)
        text = self.value(text, (*place, 1))
        if is_open(text):
            return {"Fn::Split": [delimiter, text]}
        if not isinstance(text, str) or not isinstance(delimiter, str) or not delimiter:
            raise Wrong("Fn::Split takes a delimiter and a text", place)
        return text.split(delimiter)

    def select(self, argument: Any, place: Place) -> Any:
        index, items = (self.value(one, place) for one in self._pair(argument, place))
        if is_function(items) or is_open(index):
            return {"Fn::Select": [index, items]}
        if not isinstance(items, list) or not text_of(index).isdigit():
            raise Wrong("Fn::Select takes an index and a list", place)
        if int(text_of(index)) >= len(items):
            raise Wrong(f"Fn::Select asks for item {text_of(index)} of a list of {len(items)}", place)
        return items[int(text_of(index))]

    def find_in_map(self, argument: Any, place: Place) -> Any:
        keys = [text_of(self._closed(one, place)) for one in argument] if isinstance(argument, list) else []
        if len(keys) != 3:
            raise Wrong("Fn::FindInMap takes a mapping, a key and a second key", place)
        found: Any = self._mappings
        for key in keys:
            if not isinstance(found, dict) or key not in found:
                raise Wrong(f"the mapping {keys[0]} has no {' → '.join(keys[1:])}", place)
            found = found[key]
        return found

    def if_(self, argument: Any, place: Place) -> Any:
        if not isinstance(argument, list) or len(argument) != 3 or not isinstance(argument[0], str):
            raise Wrong("Fn::If takes a condition's name, and two values", place)
        chosen = 1 if self.holds(argument[0], place) else 2
        return self.value(argument[chosen], (*place, chosen))

    def base64(self, argument: Any, place: Place) -> Any:
        text = self.value(argument, place)
        return {"Fn::Base64": text} if is_open(text) else base64.b64encode(text_of(text).encode()).decode()

    def length(self, argument: Any, place: Place) -> Any:
        items = self.value(argument, place)
        if is_function(items):
            return {"Fn::Length": items}
        if not isinstance(items, list):
            raise Wrong("Fn::Length takes a list", place)
        return len(items)

    def to_json(self, argument: Any, place: Place) -> Any:
        value = self.value(argument, place)
        return {"Fn::ToJsonString": value} if is_open(value) else json.dumps(value, separators=(",", ":"))

    def misplaced(self, _argument: Any, place: Place) -> Any:
        raise Wrong(f"{place[-1]} stands in Conditions only: give it a name there, and use Fn::If", place)

    def _named(self, name: str, attribute: str | None, place: Place) -> Any:
        if attribute is None and name in self._values:
            return self._values[name]
        return self._reference_at(name, attribute, place)

    def _reference_at(self, name: str, attribute: str | None, place: Place) -> Any:
        try:
            return self._reference(name, attribute)
        except Wrong as error:
            raise Wrong(error.message, place) from None

    def _pair(self, argument: Any, place: Place) -> tuple[Any, Any]:
        if not isinstance(argument, list) or len(argument) != 2:
            raise Wrong(f"{place[-1]} takes two values", place)
        return argument[0], argument[1]

    def _closed(self, value: Any, place: Place) -> Any:
        found = self.value(value, place)
        if is_open(found) or found is NOTHING:
            raise Wrong(f"{place[-1]} can use parameters and mappings, not resources", place)
        return found


_FUNCTIONS: dict[str, Callable[[Evaluator, Any, Place], Any]] = {
    "Ref": Evaluator.ref,
    "Fn::GetAtt": Evaluator.get_att,
    "Fn::Sub": Evaluator.sub,
    "Fn::Join": Evaluator.join,
    "Fn::Split": Evaluator.split,
    "Fn::Select": Evaluator.select,
    "Fn::FindInMap": Evaluator.find_in_map,
    "Fn::If": Evaluator.if_,
    "Fn::Base64": Evaluator.base64,
    "Fn::Length": Evaluator.length,
    "Fn::ToJsonString": Evaluator.to_json,
    "Fn::Equals": Evaluator.misplaced,
    "Fn::And": Evaluator.misplaced,
    "Fn::Or": Evaluator.misplaced,
    "Fn::Not": Evaluator.misplaced,
}
