"""The rules of a `.torporignore` file, written as in `.gitignore`: the last line that matches a path decides."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Rule:
    expression: re.Pattern[str]
    folders_only: bool
    ignores: bool


class IgnoreRules:
    """Tells which paths, relative to the folder of the file and with '/' between parts, are left out."""

    def __init__(self, text: str) -> None:
        self._rules = [rule for line in text.splitlines() if (rule := _rule(line)) is not None]

    def ignores(self, path: str, *, folder: bool) -> bool:
        for rule in reversed(self._rules):
            if (folder or not rule.folders_only) and rule.expression.fullmatch(path):
                return rule.ignores
        return False


def _rule(line: str) -> _Rule | None:
    pattern = line.rstrip()
    if not pattern or pattern.startswith("#"):
        return None
    negated = pattern.startswith("!")
    pattern = pattern.removeprefix("!").removeprefix("\\")  # "\#name" and "\!name" mean the names themselves
    folders_only = pattern.endswith("/")
    pattern = pattern.rstrip("/")
    if not pattern:
        return None
    anchored = "/" in pattern
    expression = _expression(pattern.lstrip("/"))
    return _Rule(re.compile(expression if anchored else f"(?:.*/)?{expression}", re.DOTALL), folders_only, not negated)


def _expression(pattern: str) -> str:
    """A regular expression for a glob in which `*` and `?` stay within one part, and `**` spans any number of them."""
    written = ""
    at = 0
    while at < len(pattern):
        rest = pattern[at:]
        if rest.startswith("**/"):
            written, at = written + "(?:.*/)?", at + 3
        elif rest == "**":
            written, at = written + ".*", at + 2
        elif rest[0] == "*":
            written, at = written + "[^/]*", at + 1
        elif rest[0] == "?":
            written, at = written + "[^/]", at + 1
        elif match := re.match(r"\[(!?)([^\]/\\]+)\]", rest):
            inside = match[2].replace("^", "\\^").replace("[", "\\[")
            written, at = written + f"[{'^' if match[1] else ''}{inside}]", at + match.end()
        else:
            written, at = written + re.escape(rest[0]), at + 1
    return written
