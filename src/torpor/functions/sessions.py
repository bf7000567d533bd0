"""Credentials for a while: of functions, handed out by their doors, and of keys, asked for at STS.

A session is not kept anywhere: its token carries it, sealed, so that it outlives the server and needs no room. What it
may do is looked up anew at each request, so it ends when its function or its key is gone, whatever it says itself.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from torpor.core.arn import Home
from torpor.core.errors import FunctionNotFound, PlatformFault
from torpor.core.function import FunctionConfig
from torpor.core.identity import Credentials, Key, Kind, Principal, SessionExpired
from torpor.functions.keys import Seals

_REMEMBERED = 4096  # opened tokens
_LONGEST_TOKEN = 16_384
_FUNCTION, _KEY = "function", "key"


@dataclass(frozen=True, slots=True)
class _Session:
    """What a token says: `subject` is a function's name or a key's id, `permissions` those of a function's revision."""

    kind: str
    subject: str
    version: str
    arn: str
    permissions: tuple[str, ...]
    expires: float
    secret: str = field(repr=False)


class Sessions:
    """Makes sessions and recognises them. `config_of` gives a version's configuration, or raises FunctionNotFound."""

    def __init__(
        self,
        seals: Seals,
        keys: Mapping[str, Key],
        config_of: Callable[[str, str], FunctionConfig],
        home: Home,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._seals = seals
        self._keys = keys
        self._config_of = config_of
        self._home = home
        self._clock = clock
        self._opened: OrderedDict[tuple[str, str], _Session] = OrderedDict()

    def of_function(self, config: FunctionConfig, version: str, lifetime_s: float) -> Credentials:
        """For an instance of this version, with the permissions of its configuration and no others."""
        arn = f"arn:aws:sts::{self._home.account}:assumed-role/torpor/{config.name}"
        return self._issue((_FUNCTION, config.name, version, arn, config.permissions), lifetime_s)

    def of_key(self, key_id: str, arn: str, lifetime_s: float) -> Credentials:
        """For who holds a key, with the rights of that key and under the name `arn`."""
        return self._issue((_KEY, key_id, "", arn, ()), lifetime_s)

    def find(self, access_key_id: str, token: str) -> Key | None:
        """What a session signs with and who it is now; None for one that is not ours, or whose subject is gone.

        Raises SessionExpired.
        """
        session = self._open(access_key_id, token)
        if session is None:
            return None
        if self._clock() >= session.expires:
            raise SessionExpired
        principal = self._principal(session)
        return None if principal is None else Key(session.secret, principal, token)

    def _issue(self, about: tuple[str, str, str, str, tuple[str, ...]], lifetime_s: float) -> Credentials:
        key_id, secret = f"ASIA{secrets.token_hex(8).upper()}", secrets.token_urlsafe(30)
        expires = float(int(self._clock() + lifetime_s))
        text = json.dumps([*about, expires, secret])
        token = base64.b64encode(self._seals.seal(text.encode(), _context(key_id))).decode()
        return Credentials(key_id, secret, token, expires)

    def _open(self, access_key_id: str, token: str) -> _Session | None:
        known = self._opened.get((access_key_id, token))
        if known is not None:
            self._opened.move_to_end((access_key_id, token))
            return known
        if len(token) > _LONGEST_TOKEN:
            return None
        try:
            text = self._seals.open(base64.b64decode(token, validate=True), _context(access_key_id))
        except (PlatformFault, binascii.Error, ValueError):
            return None
        kind, subject, version, arn, permissions, expires, secret = json.loads(text)
        session = _Session(kind, subject, version, arn, tuple(permissions), expires, secret)
        self._opened[access_key_id, token] = session
        if len(self._opened) > _REMEMBERED:
            self._opened.popitem(last=False)
        return session

    def _principal(self, session: _Session) -> Principal | None:
        if session.kind == _KEY:
            key = self._keys.get(session.subject)
            return None if key is None else replace(key.principal, arn=session.arn, key_id="")
        try:
            config = self._config_of(session.subject, session.version)
        except FunctionNotFound:
            return None
        # An instance of an older configuration neither keeps what was taken away nor gets what came later.
        permissions = tuple(one for one in session.permissions if one in config.permissions)
        return Principal(Kind.FUNCTION, session.arn, session.subject, permissions)


def _context(key_id: str) -> bytes:
    return f"session:{key_id}".encode()
