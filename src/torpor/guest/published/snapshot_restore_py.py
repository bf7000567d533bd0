"""The hooks of SnapStart under the name and with the functions of the published package, which wins where it is there.

Source: the package `snapshot-restore-py` on the Python Package Index, and AWS, "Lambda SnapStart runtime hooks for
Python".
"""

from __future__ import annotations

from typing import Any, Callable  # not from collections.abc: that alias fails on 3.9.0 and 3.9.1

__all__ = ["register_after_restore", "register_before_snapshot"]

_before: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []
_after: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []


def register_before_snapshot(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
    """Call `func` before the snapshot is taken: the one registered last comes first. A decorator, too."""
    _before.append((func, args, kwargs))
    return func


def register_after_restore(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
    """Call `func` in each instance restored from the snapshot, in the order of registration. A decorator, too."""
    _after.append((func, args, kwargs))
    return func


def get_before_snapshot() -> list[Any]:
    """What was registered, for who runs it: function, arguments, named arguments."""
    return _before


def get_after_restore() -> list[Any]:
    """As above."""
    return _after
