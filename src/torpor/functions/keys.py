"""Access keys: made with the rights that their holder is to have, told once, and gone at once when removed."""

from __future__ import annotations

import asyncio
import re
import secrets
import string
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Protocol

import structlog

from torpor.core.arn import Home
from torpor.core.errors import Conflict, InvalidValue, PlatformFault, ResourceNotFound
from torpor.core.identity import Key, Kind, Principal, is_permission
from torpor.store.key_table import AccessKey

_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_ALPHABET = string.ascii_uppercase + string.digits
_MOST_KEYS = 10_000
_MOST_PERMISSIONS = 100
_log = structlog.get_logger(__name__)


class Table(Protocol):
    """Where keys are kept. Everything blocks."""

    def read_all(self) -> list[AccessKey]: ...
    def add(self, key: AccessKey) -> None: ...
    def delete(self, key_id: str) -> None: ...


class Seals(Protocol):
    """Encryption at rest, bound to what a value belongs to."""

    def seal(self, plain: bytes, context: bytes) -> bytes: ...
    def open(self, sealed: bytes, context: bytes) -> bytes: ...


class AccessKeys:
    """Every key, in memory: a signature is verified without asking a disk. Changes are made one at a time."""

    def __init__(self, table: Table, seals: Seals, home: Home, given: Mapping[str, Key]) -> None:
        """`given` are those that are not kept here: the owner's."""
        self._table = table
        self._seals = seals
        self._home = home
        self._keys: dict[str, AccessKey] = {}
        self._by_id = dict(given)
        self._writing = asyncio.Lock()

    @property
    def by_id(self) -> Mapping[str, Key]:
        """Every key that is accepted at this moment: a view, not a copy."""
        return MappingProxyType(self._by_id)

    async def open(self) -> None:
        """Read what is stored. A key that does not open is reported, and refused like one that there never was."""
        for key in await asyncio.to_thread(self._table.read_all):
            self._keys[key.id] = key
            try:
                secret = self._seals.open(key.sealed_secret, _context(key.id))
            except PlatformFault as error:
                _log.error("a key cannot be read", action="keys.unreadable", key=key.id, error=error.message)
            else:
                self._by_id[key.id] = self._key(key, secret.decode())

    async def create(self, name: str, permissions: Iterable[str]) -> tuple[AccessKey, str]:
        """A new key and its secret, which is told nowhere else. Raises InvalidValue, and Conflict for a taken name."""
        permissions = tuple(dict.fromkeys(permissions))
        _check(name, permissions)
        key_id = "TORPOR" + "".join(secrets.choice(_ALPHABET) for _ in range(14))
        secret = secrets.token_urlsafe(30)
        sealed = self._seals.seal(secret.encode(), _context(key_id))
        key = AccessKey(id=key_id, name=name, permissions=permissions, sealed_secret=sealed)
        async with self._writing:
            if any(other.name == name for other in self._keys.values()):
                raise Conflict(f"There is a key named {name} already: remove it with `torpor keys rm {name}` first.")
            if len(self._keys) >= _MOST_KEYS:
                raise InvalidValue(f"There are {_MOST_KEYS} keys, and no more can be made: remove some.")
            await asyncio.shield(asyncio.to_thread(self._table.add, key))
            self._keys[key.id] = key
            self._by_id[key.id] = self._key(key, secret)
        return key, secret

    def list(self) -> tuple[AccessKey, ...]:
        """All of them, in order of their names."""
        return tuple(sorted(self._keys.values(), key=lambda key: key.name))

    async def remove(self, name: str) -> AccessKey:
        """Remove a key by its name or id: from now on nobody is let in with it. Raises ResourceNotFound."""
        async with self._writing:
            key = self._keys.get(name) or next((key for key in self._keys.values() if key.name == name), None)
            if key is None:
                raise ResourceNotFound(f"There is no key named {name}: `torpor keys ls` shows those there are.")
            self._by_id.pop(key.id, None)  # first: if the disk refuses, it is back with the next start, and no sooner
            await asyncio.shield(asyncio.to_thread(self._table.delete, key.id))
            del self._keys[key.id]
        return key

    def _key(self, key: AccessKey, secret: str) -> Key:
        arn = f"arn:aws:iam::{self._home.account}:user/{key.name}"
        return Key(secret, Principal(Kind.KEY, arn, permissions=key.permissions, key_id=key.id))


def _check(name: str, permissions: tuple[str, ...]) -> None:
    if _NAME.fullmatch(name) is None:
        raise InvalidValue(f"{name[:100]!r} is not a key's name: letters, digits and _+=,.@-, 64 at most.")
    if not 1 <= len(permissions) <= _MOST_PERMISSIONS:
        raise InvalidValue(
            f"A key has 1 to {_MOST_PERMISSIONS} rights, such as lambda:InvokeFunction; {len(permissions)} are given."
        )
    for entry in permissions:
        if not is_permission(entry):
            raise InvalidValue(
                f"{entry[:200]!r} is not a right: write SERVICE:ACTION, such as lambda:InvokeFunction, lambda:Get* or "
                "lambda:*, with /NAME behind it for one resource only."
            )


def _context(key_id: str) -> bytes:
    return f"access-key:{key_id}".encode()
