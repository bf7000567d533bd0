"""Conditions in filter patterns: comparisons joined by && and ||, with parentheses, over whatever a selector finds."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

Condition = Callable[[Any], bool]
Find = Callable[[Any], list[Any]]  # the values that a selector finds
ParseSelector = Callable[["Reader"], Find]

_DEEPEST = 50
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_OPERATOR = re.compile(r"!=|<=|>=|=|<|>")
_STEP = re.compile(
    r'\.(?P<name>[\w@$-]+|\*)|\[(?P<index>\d{1,9}|\*)\]|\[(?P<quote>["\'])(?P<quoted>[^"\']*)(?P=quote)\]'
)
_NAME = re.compile(r"[\w.-]+")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
_VALUE = re.compile(r'"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s()&|"]+)')
_WORD = re.compile(r"(IS|NOT|EXISTS|NULL|TRUE|FALSE)\b", re.IGNORECASE)


class PatternInvalid(ValueError):
    """The filter pattern cannot be read."""


class Reader:
    """A text that is taken from the left."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.depth = 0

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """What matches here, after white space; None where nothing does."""
        self._skip()
        match = pattern.match(self._text, self._at)
        if match is not None:
            self._at = match.end()
        return match

    def takes(self, text: str) -> bool:
        """Whether this stands here; it is taken then."""
        self._skip()
        if not self._text.startswith(text, self._at):
            return False
        self._at += len(text)
        return True

    def done(self) -> bool:
        self._skip()
        return self._at >= len(self._text)

    def fail(self, wanted: str) -> PatternInvalid:
        here = self._text[self._at :][:50]
        return PatternInvalid(f"The filter pattern cannot be read at {here!r}: {wanted} is wanted there.")

    def _skip(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1


def parse_condition(reader: Reader, selector: ParseSelector) -> Condition:
    """The whole text as one condition. Raises PatternInvalid."""
    condition = _any(reader, selector)
    if not reader.done():
        raise reader.fail("&&, || or the end")
    return condition


def parse_selector(reader: Reader) -> Find:
    """`$.a.b[0]["c"]`: a place in a JSON value."""
    if not reader.takes("$"):
        raise reader.fail("a selector such as $.level")
    path: list[str | int] = []
    while (step := reader.take(_STEP)) is not None:
        index, quoted = step["index"], step["quoted"]
        path.append(int(index) if index and index != "*" else index or (step["name"] if quoted is None else quoted))
    if not path:
        raise reader.fail("a selector such as $.level")
    return lambda plain: _select(plain, tuple(path))


def parse_field(reader: Reader) -> Find:
    """A field's name: what it finds is the field."""
    if reader.take(_NAME) is None:
        raise reader.fail("a field's name")
    return lambda value: [value]


def _any(reader: Reader, selector: ParseSelector) -> Condition:
    reader.depth += 1
    if reader.depth > _DEEPEST:
        raise PatternInvalid(f"The filter pattern has more than {_DEEPEST} parentheses in each other.")
    parts = [_all(reader, selector)]
    while reader.takes("||"):
        parts.append(_all(reader, selector))
    reader.depth -= 1
    return parts[0] if len(parts) == 1 else lambda plain: any(part(plain) for part in parts)


def _all(reader: Reader, selector: ParseSelector) -> Condition:
    parts = [_one(reader, selector)]
    while reader.takes("&&"):
        parts.append(_one(reader, selector))
    return parts[0] if len(parts) == 1 else lambda plain: all(part(plain) for part in parts)


def _one(reader: Reader, selector: ParseSelector) -> Condition:
    if reader.takes("("):
        inner = _any(reader, selector)
        if not reader.takes(")"):
            raise reader.fail(")")
        return inner
    find = selector(reader)
    word = reader.take(_WORD)
    if word is not None:
        return _stated(find, word[1].upper(), reader)
    sign = reader.take(_OPERATOR)
    if sign is None:
        raise reader.fail("one of = != < > <= >=, IS, EXISTS or NOT EXISTS")
    return _compared(find, sign[0], reader)


def _stated(find: Find, word: str, reader: Reader) -> Condition:
    if word == "EXISTS":
        return lambda plain: bool(find(plain))
    following = reader.take(_WORD)
    second = following[1].upper() if following else ""
    if word == "NOT" and second == "EXISTS":
        return lambda plain: not find(plain)
    values = {"NULL": None, "TRUE": True, "FALSE": False}
    if word != "IS" or second not in values:
        raise reader.fail("IS NULL, IS TRUE, IS FALSE, EXISTS or NOT EXISTS")
    return lambda plain: any(value is values[second] for value in find(plain))


def _compared(find: Find, sign: str, reader: Reader) -> Condition:
    match = reader.take(_VALUE)
    if match is None:
        raise reader.fail("a number or a text")
    quoted, bare = match["quoted"], match["bare"]
    if quoted is None and _NUMBER.fullmatch(bare):
        number, compare = float(bare), _OPERATORS[sign]
        return lambda plain: any(_numeric(value, number, compare) for value in find(plain))
    if quoted is None and bare.startswith("%"):
        raise PatternInvalid("torpor does not support regular expressions (%…%) in filter patterns: use * in a text.")
    if sign not in {"=", "!="}:
        raise reader.fail(f"a number behind {sign}")
    text = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
    if sign == "=":
        return lambda plain: any(_alike(value, text) for value in find(plain))
    return lambda plain: any(not _alike(value, text) for value in find(plain))


def _numeric(value: Any, number: float, compare: Callable[[float, float], bool]) -> bool:
    if isinstance(value, str) and len(value) < 64 and _NUMBER.fullmatch(value):
        value = float(value)
    return isinstance(value, int | float) and not isinstance(value, bool) and compare(value, number)


def _alike(value: Any, text: str) -> bool:
    """Equal, where each `*` in the text stands for anything."""
    if isinstance(value, bool) or value is None:
        return False
    given = value if isinstance(value, str) else str(value)
    first, *others = text.split("*")
    if not others:
        return given == text
    *middle, last = others
    if not given.startswith(first) or len(given) < len(first) + len(last) or not given.endswith(last):
        return False
    at, end = len(first), len(given) - len(last)
    for part in middle:
        found = given.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _select(plain: Any, path: tuple[str | int, ...]) -> list[Any]:
    """What a selector finds: nothing, one value, or with `*` several."""
    found = [plain]
    for step in path:
        found = [value for one in found for value in _step(one, step)]
    return found


def _step(plain: Any, step: str | int) -> list[Any]:
    if step == "*":
        return list(plain) if isinstance(plain, list) else list(plain.values()) if isinstance(plain, Mapping) else []
    if isinstance(step, int):
        return [plain[step]] if isinstance(plain, list) and step < len(plain) else []
    return [plain[step]] if isinstance(plain, Mapping) and step in plain else []
