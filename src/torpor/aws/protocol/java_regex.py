"""The models' patterns are Java regular expressions: this translates what Python spells differently."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache

_ESCAPE = re.compile(r"\\(?:p\{(?P<property>\w+)\}|(?P<end>z)|(?P<range>[wds])-(?=[^\]]))|\\.", re.DOTALL)
_POSIX = {"Alnum": "a-zA-Z0-9", "Alpha": "a-zA-Z", "Digit": "0-9", "Print": "\\x20-\\x7e", "ASCII": "\\x00-\\x7f"}
_ASCII_END = 0x80
_MOST_KEYED = 256  # different characters beyond ASCII, in one text


def full_match(pattern: str, text: str) -> bool:
    """Whether Java's `matches` would hold; a pattern that Python cannot express holds for every text."""
    compiled = _compile(pattern, _beyond_ascii(text))
    return compiled is None or compiled.fullmatch(text) is not None


def _beyond_ascii(text: str) -> str | None:
    """The characters beyond ASCII, each once, in order; None for more than may be a key of the cache."""
    if text.isascii():
        return ""
    found = {character for character in text if character > "\x7f"}
    return "".join(sorted(found)) if len(found) <= _MOST_KEYED else None


@lru_cache(maxsize=4096)
def _compile(pattern: str, beyond: str | None) -> re.Pattern[str] | None:
    """The pattern for texts of ASCII and the characters `beyond`; None: of any."""

    def python(match: re.Match[str]) -> str:
        if match["property"]:
            ranges = _POSIX.get(match["property"]) or _category(match["property"], beyond)
            return ranges if _in_class(pattern, match.start()) else f"[{ranges}]"
        if match["end"]:
            return r"\Z"
        return rf"\{match['range']}\-" if match["range"] else match[0]

    try:
        return re.compile(_ESCAPE.sub(python, pattern), re.ASCII)
    except re.error:
        return None


def _in_class(pattern: str, position: int) -> bool:
    before = re.sub(r"\\.", "", pattern[:position])
    return before.rfind("[") > before.rfind("]")


def _category(name: str, beyond: str | None) -> str:
    r"""The ranges of a Unicode category such as `L` or `Nd`, among ASCII and the characters `beyond`.

    All of Unicode takes half a second, in which nothing else would be answered: so it is for texts of very many
    different characters alone, and kept.
    """
    return _everywhere(name) if beyond is None else _ranges(name, [*range(_ASCII_END), *map(ord, beyond)])


@cache
def _everywhere(name: str) -> str:
    return _ranges(name, range(sys.maxunicode + 1))


def _ranges(name: str, points: Iterable[int]) -> str:
    ranges: list[list[int]] = []
    for point in points:
        if not unicodedata.category(chr(point)).startswith(name):
            continue
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1][1] = point
        else:
            ranges.append([point, point])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges) or "\\x00-\\x00"
