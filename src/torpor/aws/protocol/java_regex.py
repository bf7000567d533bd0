"""The models' patterns are Java regular expressions: this translates what Python spells differently."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache, lru_cache

_ESCAPE = re.compile(r"\\(?:p\{(?P<property>\w+)\}|(?P<end>z)|(?P<range>[wds])-(?=[^\]]))|\\.", re.DOTALL)
_POSIX = {"Alnum": "a-zA-Z0-9", "Alpha": "a-zA-Z", "Digit": "0-9", "Print": "\\x20-\\x7e", "ASCII": "\\x00-\\x7f"}
_ASCII_END = 0x80


def full_match(pattern: str, text: str) -> bool:
    """Whether Java's `matches` would hold; a pattern that Python cannot express holds for every text."""
    compiled = _compile(pattern, text.isascii())
    return compiled is None or compiled.fullmatch(text) is not None


@lru_cache(maxsize=4096)
def _compile(pattern: str, ascii_only: bool) -> re.Pattern[str] | None:  # noqa: FBT001  a cache key, not a switch
    end = _ASCII_END if ascii_only else sys.maxunicode + 1

    def python(match: re.Match[str]) -> str:
        if match["property"]:
            ranges = _POSIX.get(match["property"]) or _category(match["property"], end)
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


@cache
def _category(name: str, end: int) -> str:
    r"""The ranges of a Unicode category such as `L` or `Nd`. All of Unicode takes a tenth of a second, so ASCII text,
    which is nearly all there is, is matched against ASCII's part.
    """
    ranges: list[str] = []
    start: int | None = None
    for point in range(end + 1):
        inside = point < end and unicodedata.category(chr(point)).startswith(name)
        if inside and start is None:
            start = point
        elif not inside and start is not None:
            ranges.append(f"\\U{start:08x}-\\U{point - 1:08x}")
            start = None
    return "".join(ranges) or "\\x00-\\x00"
