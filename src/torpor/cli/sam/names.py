"""What is a template, and how stacks are named. Read by every deployment, so it loads nothing."""

from __future__ import annotations

import re
from pathlib import Path

from torpor.cli.failures import WrongUse

_SUFFIXES = (".yaml", ".yml", ".json", ".template")
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]{0,127}")


def is_template(path: Path) -> bool:
    """Whether `torpor deploy` is given a template by this path."""
    return path.suffix.lower() in _SUFFIXES


def stack_name(given: str | None, template: Path) -> str:
    """The name that is given, or the template's folder's. Raises WrongUse."""
    if given is None:
        made = re.sub(r"[^a-zA-Z0-9]+", "-", template.resolve().parent.name).strip("-")
        if _NAME.fullmatch(made) is None:
            raise WrongUse(f"no stack's name can be made of the folder of {template}: give one with --stack")
        return made
    if _NAME.fullmatch(given) is None:
        raise WrongUse(f"'{given}' is not a stack's name: a letter, then letters, digits and -, 128 at most")
    return given
