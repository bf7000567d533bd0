"""Reads a bundle's own text files, and never a file outside it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from torpor.core.errors import BuildFailed

MAX_TEXT_BYTES = 1024 * 1024


def inside(code: Path, name: str) -> Path:
    """The path of a file of the bundle. Raises BuildFailed when the name leads elsewhere or nowhere."""
    path = (code / name).resolve()
    if not path.is_relative_to(code.resolve()):
        raise BuildFailed(f"{name} lies outside the bundle: only what is packed with the function can be used.")
    if not path.is_file():
        raise BuildFailed(f"There is no file {name} in the bundle.")
    return path


def read_text(code: Path, name: str) -> str:
    """The text of a small file of the bundle. Raises BuildFailed when it is missing, too large, or not UTF-8."""
    path = inside(code, name)
    if path.stat().st_size > MAX_TEXT_BYTES:
        raise BuildFailed(f"{name} is larger than {MAX_TEXT_BYTES} bytes.")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BuildFailed(f"{name} is not UTF-8 text.") from None


def read_source(code: Path, name: str) -> str:
    """The text of a Python file; empty where it is too large or in another encoding to hold metadata."""
    path = inside(code, name)
    if path.stat().st_size > MAX_TEXT_BYTES:
        return ""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        return ""


def parse_toml(text: str, source: str) -> dict[str, Any]:
    """The table that `text` holds; `source` names it in the BuildFailed."""
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as problem:
        raise BuildFailed(f"{source} is not valid TOML: {problem}.") from problem
