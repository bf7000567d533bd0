"""Who is asking: SigV4 with the data folder's keys, the command line's token, or whoever is near (`--auth off`)."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from torpor.core.errors import InvalidValue
from torpor.core.http import HttpRequest
from torpor.core.identity import Key, Kind, Principal
from torpor.gateway import sigv4
from torpor.gateway.sigv4 import Claim, SignatureExpired, SignatureMismatch, UnknownKey

SKEW_S = 15 * 60
_LARGE_BYTES = 1024 * 1024
_BEARER = "bearer"


class Auth(StrEnum):
    """Whether callers must prove who they are."""

    ON = "on"
    OFF = "off"


_ROOT = Principal(Kind.OWNER, "arn:aws:iam::000000000000:root")


# Finds the key of a session by its id and its token; None where there is none. Raises SessionExpired.
FindSession = Callable[[str, str], Key | None]


def no_sessions(_key_id: str, _token: str) -> None:
    """Where nothing but keys is accepted."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Every key this server accepts, by access key id, and the command line's token; empty when there is none.

    `by_id` may change meanwhile: a key that is no longer in it is not accepted any more.
    """

    by_id: Mapping[str, Key] = field(default_factory=lambda: MappingProxyType({}))
    token: str = field(default="", repr=False)
    owner: Principal = _ROOT
    session: FindSession = no_sessions


class Proof(Protocol):
    """A credential that was recognised by the request's head; the body may still have to prove it."""

    def verify(self, body: bytes) -> Principal:
        """The caller. Raises AuthenticationFailed."""
        ...


class Authenticator(Protocol):
    """Says who sent a request, in two steps, so that a stranger's body is never read."""

    def begin(self, request: HttpRequest) -> Proof:
        """Look at the head alone. Raises AuthenticationFailed."""
        ...

    def holds_token(self, request: HttpRequest) -> bool:
        """Whether the request carries the command line's token or a key's, which are nobody else's business."""
        ...


@dataclass(frozen=True, slots=True)
class Certain:
    """The head alone proved it: a token, or no authentication at all."""

    principal: Principal

    def verify(self, body: bytes) -> Principal:  # noqa: ARG002  (the protocol's signature)
        return self.principal


class Bearer:
    """Tokens: the command line's, and `ID:SECRET` of who holds a key. Compared in constant time."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._expected = keys.token.encode()

    def holds_token(self, request: HttpRequest) -> bool:
        """Whether the request carries a token."""
        return self.holder(request) is not None

    def holder(self, request: HttpRequest) -> Principal | None:
        """Whose token the request carries."""
        scheme, _, token = request.header("authorization").partition(" ")
        if scheme.lower() != _BEARER:
            return None
        given = token.encode("latin-1", "replace")
        if self._expected and hmac.compare_digest(given, self._expected):
            return self._keys.owner
        key_id, _, secret = token.partition(":")
        key = self._keys.by_id.get(key_id)
        right = key is not None and hmac.compare_digest(key.secret.encode(), secret.encode("latin-1", "replace"))
        return key.principal if key is not None and right else None


class Open(Bearer):
    """`--auth off`: everyone on this machine is the owner."""

    def __init__(self, keys: Keys) -> None:
        super().__init__(keys)
        self._proof = Certain(keys.owner)

    def begin(self, request: HttpRequest) -> Proof:  # noqa: ARG002  (the protocol's signature)
        return self._proof


class Closed(Bearer):
    """Callers sign with a key or carry the token."""

    CACHED_KEYS = 1024  # one derived key per key id, day, region and service

    def __init__(self, keys: Keys, clock: Callable[[], float] = time.time) -> None:
        super().__init__(keys)
        self._clock = clock
        self._derived: OrderedDict[tuple[str, str, str, str], bytes] = OrderedDict()

    def begin(self, request: HttpRequest) -> Proof:
        if request.header("authorization")[:7].lower() == f"{_BEARER} ":
            holder = self.holder(request)
            if holder is None:
                raise UnknownKey(
                    "The token in the Authorization header is not this server's: `torpor env` prints the right one."
                )
            return Certain(holder)
        claim = sigv4.read_claim(request)
        key = self.find(claim)
        if key is None:
            raise UnknownKey
        if not hmac.compare_digest(claim.session_token.encode(), key.session_token.encode()):
            raise UnknownKey(
                "The security token included in the request is invalid. This key has no session token: unset "
                "AWS_SESSION_TOKEN."
            )
        self._check_time(claim)
        return _Signed(self, claim, key, request)

    def find(self, claim: Claim) -> Key | None:
        """The key that a claim names. Raises SessionExpired."""
        key = self._keys.by_id.get(claim.access_key_id)
        if key is None and claim.session_token:
            return self._keys.session(claim.access_key_id, claim.session_token)
        return key

    def _check_time(self, claim: Claim) -> None:
        now = self._clock()
        at = claim.at.timestamp()
        if at > now + SKEW_S:
            raise SignatureExpired(
                f"Signature not yet current: {claim.timestamp} is still later than {_stamp(now + SKEW_S)} "
                f"({_stamp(now)} + {SKEW_S // 60} min.)"
            )
        oldest = now - (SKEW_S if claim.expires_s is None else claim.expires_s)
        if at < oldest:
            allowed = f"{SKEW_S // 60} min." if claim.expires_s is None else f"{claim.expires_s} s"
            raise SignatureExpired(
                f"Signature expired: {claim.timestamp} is now earlier than {_stamp(oldest)} ({_stamp(now)} - {allowed})"
            )

    def signing_key(self, claim: Claim, secret: str) -> bytes:
        """The derived key; the most recently used are kept, since deriving costs four HMACs."""
        scope = (claim.access_key_id, claim.date, claim.region, claim.service)
        key = self._derived.get(scope)
        if key is None:
            key = sigv4.signing_key(secret, claim)
        return key

    def remember(self, claim: Claim, key: bytes) -> None:
        """Keep a derived key that a right signature was made with: strangers cannot fill the cache."""
        scope = (claim.access_key_id, claim.date, claim.region, claim.service)
        self._derived[scope] = key
        self._derived.move_to_end(scope)
        if len(self._derived) > self.CACHED_KEYS:
            self._derived.popitem(last=False)


@dataclass(frozen=True, slots=True)
class _Signed:
    """A known key id and a date that is right; the signature covers the body."""

    authenticator: Closed
    claim: Claim
    key: Key
    request: HttpRequest

    def verify(self, body: bytes) -> Principal:
        payload = sigv4.payload_digest(self.claim, self.request, body)
        derived = self.authenticator.signing_key(self.claim, self.key.secret)
        given = self.claim.signature.encode()
        for right in sigv4.signatures(self.claim, self.request, payload, derived):
            if hmac.compare_digest(right.encode(), given):
                return self._admitted(derived)
        raise SignatureMismatch

    def _admitted(self, derived: bytes) -> Principal:
        if self.authenticator.find(self.claim) is None:
            raise UnknownKey  # it was removed while the body was on its way
        self.authenticator.remember(self.claim, derived)
        return self.key.principal


def authenticate(authenticator: Authenticator, request: HttpRequest, body: bytes) -> Principal:
    """Both steps at once, for a request whose body is there."""
    return authenticator.begin(request).verify(body)


async def verified(proof: Proof, body: bytes) -> Principal:
    """`proof.verify`, for a large body in a thread: hashing an archive takes tenths of a second of everyone's time."""
    if len(body) < _LARGE_BYTES:
        return proof.verify(body)
    return await asyncio.to_thread(proof.verify, body)


def _stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%SZ")


def is_loopback(host: str) -> bool:
    """Whether a host to bind is this machine's own loopback."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_bind(host: str, auth: Auth) -> None:
    """Refuse to serve strangers without authentication. Raises InvalidValue."""
    if auth is Auth.OFF and not is_loopback(host):
        raise InvalidValue(
            f"--auth off with --host {host} would let everyone who can reach this machine run code on it. "
            "Leave out --auth off, or serve this machine alone with --host 127.0.0.1."
        )
