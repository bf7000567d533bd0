"""Pages of a listing that is in memory: a token is the name to go on after, whatever changes between pages."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TypeVar

from torpor.core.errors import InvalidValue

T = TypeVar("T")


def page(items: Sequence[T], key: Callable[[T], str], token: str | None, limit: int) -> tuple[Sequence[T], str | None]:
    """Up to `limit` of `items`, which are in order of their keys, and the token of the next page: None on the last."""
    after = None if not token else unmark(token)
    rest = [item for item in items if after is None or key(item) > after]
    found = rest[:limit]
    return found, mark(key(found[-1])) if len(rest) > limit and found else None


def mark(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def unmark(token: str) -> str:
    """The name in a token. Raises InvalidValue."""
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidValue("Invalid NextToken: pass the one of the page before, as it is.") from None
