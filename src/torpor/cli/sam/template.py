"""A template as a tree of plain values, and where each of them stands.

YAML 1.1 as CloudFormation reads it: short forms of functions (`!Ref X`) become their long forms, dates stay text. JSON
is read by the same parser, since it is YAML.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import yaml

from torpor.cli.failures import WrongUse

Place = tuple[str | int, ...]  # the keys that lead to a value

_MOST_BYTES = 1024 * 1024  # as CloudFormation allows
_MOST_VALUES = 100_000
_DEEPEST = 100
_MERGE = "tag:yaml.org,2002:merge"
_PLAIN = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Template:
    """What a file holds. `lines` has the line, from 1, of each key and item."""

    path: Path
    tree: dict[str, Any]
    lines: Mapping[Place, int] = field(default_factory=dict)

    def line(self, *place: str | int) -> int:
        """The line of the value at `place`, or of the nearest one around it that was written down."""
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)

    def at(self, place: Place, text: str) -> str:
        """`text` with its place before it, as editors and people read it."""
        return f"{self.path}:{self.line(*place)}: {text}"

    def section(self, name: str) -> dict[str, Any]:
        """One of the sections at the top; empty where there is none. Raises WrongUse where it is no table."""
        found = self.tree.get(name)
        if found is None:
            return {}
        if not isinstance(found, dict):
            raise WrongUse(self.at((name,), f"{name} is a table of names, not {_kind(found)}"))
        return found


def read_template(path: Path) -> Template:
    """The template in a file. Raises WrongUse naming the line."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise WrongUse(f"{path} cannot be read: {error.strerror}") from None
    if len(text) > _MOST_BYTES:
        raise WrongUse(f"{path} has {len(text)} bytes: a template has {_MOST_BYTES} at most")
    try:
        return parse(text.decode(), path)
    except UnicodeDecodeError as error:
        raise WrongUse(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}") from None


def parse(text: str, path: Path) -> Template:
    """The template that a text is. Raises WrongUse naming the line."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise WrongUse(f"{where}: this is not YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise WrongUse(f"{path} is not YAML: {error}") from None
    if not isinstance(root, yaml.MappingNode):
        raise WrongUse(f"{path} is not a template: at its top it is a table with Resources")
    reader = _Reader(path)
    tree = reader.value(root, ())
    template = Template(path, tree, reader.lines)
    if not template.section("Resources"):
        raise WrongUse(f"{path} is not a template: it has no Resources")
    return template


class _Reader:
    """Makes plain values of YAML's nodes. Raises WrongUse for what is no template."""

    def __init__(self, path: Path) -> None:
        self.lines: dict[Place, int] = {}
        self._path = path
        self._left = _MOST_VALUES

    def value(self, node: yaml.Node, place: Place) -> Any:
        self.lines.setdefault(place, node.start_mark.line + 1)
        self._left -= 1
        if self._left < 0 or len(place) > _DEEPEST:
            raise self._wrong(node, "the template is too large, or an alias in it leads to itself")
        if node.tag.startswith("!") and node.tag != "!":
            return self._function(node, place)
        return self._content(node, place)

    def _content(self, node: yaml.Node, place: Place) -> Any:
        if isinstance(node, yaml.MappingNode):
            return self._table(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*place, index)) for index, item in enumerate(node.value)]
        return self._scalar(cast("yaml.ScalarNode", node))

    def _table(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        table: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag == _MERGE or not isinstance(key, yaml.ScalarNode):
                raise self._wrong(key, "a key is a plain text here")
            name = str(key.value)
            if name in table:
                raise self._wrong(key, f"{name} stands here twice")
            self.lines[*place, name] = key.start_mark.line + 1
            table[name] = self.value(value, (*place, name))
        return table

    def _function(self, node: yaml.Node, place: Place) -> dict[str, Any]:
        """`!Sub X` is `{"Fn::Sub": X}`; `Ref` and `Condition` have no `Fn::`, and `!GetAtt` splits at its first dot."""
        name = node.tag.removeprefix("!")
        full = name if name in ("Ref", "Condition") else f"Fn::{name}"
        content = self._content(node, (*place, full))
        if name == "GetAtt" and isinstance(content, str):
            content = content.split(".", 1)
        return {full: content}

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        text = str(node.value)
        kind = node.tag.removeprefix(_PLAIN)
        try:
            if kind == "int" and not (text.startswith("0") and len(text) > 1):  # an account's number, not an octal one
                return int(text.replace("_", ""))
            if kind == "float":
                return float(text)
        except ValueError:
            return text  # sexagesimal numbers of YAML 1.1, such as 12:30
        if kind == "bool":
            return text.lower() in ("true", "yes", "on")
        return None if kind == "null" else text

    def _wrong(self, node: yaml.Node, text: str) -> WrongUse:
        return WrongUse(f"{self._path}:{node.start_mark.line + 1}: {text}")


def _kind(value: object) -> str:
    names = {dict: "a table", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), "a number")
