"""CloudWatch Logs' filter patterns: terms, JSON selectors, and fields between spaces. Pure: a text in, yes or no out.

Source: AWS, "Filter pattern syntax for metric filters, subscription filters, filter log events, and Live Tail".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import msgspec

from torpor.policy.log_conditions import Condition, PatternInvalid, Reader, parse_condition, parse_field, parse_selector

Matches = Callable[[str], bool]
_TERM = re.compile(r'\s*(?P<mark>[?-]?)(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^\s"]+))')
_SPACE, _BARE = re.compile(r"\s*"), re.compile(r"\S+")
_ENDS = {'"': '"', "[": "]"}

__all__ = ["PatternInvalid", "compile_pattern"]


def compile_pattern(pattern: str) -> Matches:
    """What the pattern matches. Raises PatternInvalid, saying where it cannot be read."""
    text = pattern.strip()
    if not text:
        return lambda _line: True
    if text.startswith("{"):
        return _json(text)
    if text.startswith("["):
        return _fields(text)
    return _terms(text)


def _terms(text: str) -> Matches:
    wanted: dict[str, list[str]] = {"": [], "?": [], "-": []}
    at = 0
    while at < len(text):
        match = _TERM.match(text, at)
        if match is None:
            raise PatternInvalid(f"The filter pattern cannot be read at {text[at:][:50]!r}: a quote is not closed.")
        quoted = match["quoted"]
        term = match["bare"] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        if quoted is None and len(term) > 1 and term.startswith("%") and term.endswith("%"):
            raise PatternInvalid("torpor does not support regular expressions (%…%) in filter patterns: use terms.")
        wanted[match["mark"]].append(term)
        at = match.end()
        while at < len(text) and text[at].isspace():
            at += 1
    every, some, none = wanted[""], wanted["?"], wanted["-"]
    if every:
        some = []  # as on AWS: beside terms that must be there, those that may be are ignored
    return lambda line: (
        all(term in line for term in every)
        and (not some or any(term in line for term in some))
        and not any(term in line for term in none)
    )


def _json(text: str) -> Matches:
    if not text.endswith("}"):
        raise PatternInvalid("A JSON filter pattern ends with }.")
    condition = parse_condition(Reader(text[1:-1]), parse_selector)

    def matches(line: str) -> bool:
        try:
            plain = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
            return False
        return isinstance(plain, dict | list) and condition(plain)

    return matches


def _fields(text: str) -> Matches:
    if not text.endswith("]"):
        raise PatternInvalid("A filter pattern of fields ends with ].")
    specs = [_spec(part.strip()) for part in _split(text[1:-1])]
    rest = [index for index, spec in enumerate(specs) if spec is None]
    if len(rest) > 1:
        raise PatternInvalid("A filter pattern of fields has `...` once at the most.")
    before = specs[: rest[0]] if rest else specs
    after = specs[rest[0] + 1 :] if rest else []

    def matches(line: str) -> bool:
        values = _values(line)
        enough = len(values) >= len(before) + len(after) if rest else len(values) == len(before)
        if not enough:
            return False
        ends = values[len(values) - len(after) :]
        pairs = [*zip(before, values, strict=False), *zip(after, ends, strict=False)]
        return all(spec is None or spec(value) for spec, value in pairs)

    return matches


def _values(line: str) -> list[str]:
    """The fields of a line: what stands between spaces, in quotes or in brackets.

    Lines are a function's own: an end that is not there is looked for once, or it would take quadratic time.
    """
    values, missing, at = list[str](), set[str](), 0
    while bare := _BARE.match(line, at := _after_space(line, at)):
        end = _ENDS.get(line[at], "")
        close = line.find(end, at + 1) if end and end not in missing else -1
        if close < 0:
            missing.add(end)
            values.append(bare[0])
            at = bare.end()
        else:
            values.append(line[at + 1 : close])
            at = close + 1
    return values


def _after_space(line: str, at: int) -> int:
    space = _SPACE.match(line, at)
    return space.end() if space else at


def _spec(part: str) -> Condition | None:
    """What one field must be; None for `...`."""
    if part == "...":
        return None
    if not part or re.fullmatch(r"[\w.-]+", part):
        return lambda _value: True
    return parse_condition(Reader(part), parse_field)


def _split(text: str) -> Iterator[str]:
    """At commas that are not quoted."""
    part, quoted = "", False
    for letter in text:
        if letter == '"':
            quoted = not quoted
        if letter == "," and not quoted:
            yield part
            part = ""
        else:
            part += letter
    yield part
