"""Links to a function's code that work without a key, for ten minutes: what GetFunction's `Code.Location` needs.

A link is the bundle's digest and an expiry under an HMAC. The key is made anew by each server: a link outlives neither
its ten minutes nor the server that gave it out.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable
from urllib.parse import quote

from torpor.core.errors import AccessDenied
from torpor.core.function import Bundle

LIFETIME_S = 600


class CodeLinks:
    """Makes links below `base`, the server's address, and checks them."""

    def __init__(self, base: str, *, key: bytes | None = None, clock: Callable[[], float] = time.time) -> None:
        self._base = base.rstrip("/")
        self._key = key or secrets.token_bytes(32)
        self._clock = clock

    def location(self, name: str, bundle: Bundle) -> str:
        """Where this bundle of the function can be fetched for the next ten minutes."""
        expires = int(self._clock()) + LIFETIME_S
        proof = self._proof(name, bundle.digest, expires)
        return f"{self._base}/_torpor/code/{quote(name)}?digest={bundle.digest}&expires={expires}&signature={proof}"

    def check(self, name: str, digest: str, expires: str, signature: str) -> None:
        """Raises AccessDenied for a link that is expired, altered, or from before the server was started."""
        if not (expires.isascii() and expires.isdigit() and len(expires) <= 12):
            raise AccessDenied("This link to a function's code is not one that this server made.")
        if not hmac.compare_digest(self._proof(name, digest, int(expires)).encode(), signature.encode()):
            raise AccessDenied("This link to a function's code is not one that this server made.")
        if self._clock() > int(expires):
            raise AccessDenied("This link to a function's code has expired: call GetFunction again.")

    def _proof(self, name: str, digest: str, expires: int) -> str:
        text = f"{name}\n{digest}\n{expires}".encode()
        return hmac.digest(self._key, text, "sha256").hex()
