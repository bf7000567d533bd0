"""AWS Signature Version 4, verified by recomputing it with botocore's own signer over what was received.

Source: AWS, "Signature Version 4 signing process". Nothing here knows keys or clocks: `read_claim` says what a request
claims, `Claim.signature` what the signature would have to be under a given secret.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl, quote, unquote

from botocore.auth import SIGV4_TIMESTAMP, S3SigV4Auth, SigV4Auth
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials

from torpor.core.errors import UserError
from torpor.core.http import HttpRequest

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
LONGEST_EXPIRY_S = 7 * 24 * 3600
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}")
_TIMESTAMP = re.compile(r"\d{8}T\d{6}Z")
_FIELD = re.compile(r"(\w+)=([^\s,]*)")


_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


class AuthenticationFailed(UserError):
    """The request is not signed as it must be."""

    code = "InvalidSignatureException"


class MissingToken(AuthenticationFailed):
    """Missing Authentication Token"""

    code = "MissingAuthenticationTokenException"


class UnknownKey(AuthenticationFailed):
    """The security token included in the request is invalid."""

    code = "UnrecognizedClientException"


class IncompleteSignature(AuthenticationFailed):
    """The request signature does not conform to AWS standards."""

    code = "IncompleteSignatureException"


class SignatureMismatch(AuthenticationFailed):
    """The signature is not that of this request under this key's secret."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or _MISMATCH)


class SignatureExpired(AuthenticationFailed):
    """Signature expired."""


@dataclass(frozen=True)
class Claim:
    """What a request says about its own signature; nothing in it is proven yet. `expires_s` is None for header auth."""

    access_key_id: str
    date: str
    region: str
    service: str
    timestamp: str
    signed_headers: tuple[str, ...]
    signature: str
    session_token: str = ""
    expires_s: int | None = None

    @cached_property
    def at(self) -> datetime:
        """When it was signed. Raises ValueError where the timestamp is not in SigV4's form."""
        if _TIMESTAMP.fullmatch(self.timestamp) is None:
            raise ValueError(self.timestamp)
        return datetime.fromisoformat(self.timestamp)

    @property
    def presigned(self) -> bool:
        return self.expires_s is not None


def read_claim(request: HttpRequest) -> Claim:
    """What the request claims. Raises MissingToken or IncompleteSignature, naming what is missing or malformed."""
    given = [value for name, value in request.headers if name == "authorization"]
    if "X-Amz-Algorithm=" in request.query:
        if given:
            raise IncompleteSignature("Sign a request by its Authorization header or by its query string, not by both.")
        return _checked(_claim_of_query(request), request)
    if not given:
        raise MissingToken
    if len(given) > 1:
        raise IncompleteSignature("The request has more than one Authorization header.")
    return _checked(_claim_of_header(request, given[0]), request)


def _claim_of_header(request: HttpRequest, authorization: str) -> Claim:
    algorithm, _, rest = authorization.partition(" ")
    if algorithm != ALGORITHM:
        raise IncompleteSignature(f"Unsupported algorithm '{algorithm}': sign with {ALGORITHM}.")
    fields = dict(_FIELD.findall(rest))
    missing = [name for name in ("Credential", "SignedHeaders", "Signature") if not fields.get(name)]
    timestamp = request.header("x-amz-date") or _timestamp_of_date(request.header("date"))
    if missing or not timestamp:
        wanted = [f"Authorization header requires '{name}' parameter." for name in missing]
        if not timestamp:
            wanted.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
        raise IncompleteSignature(" ".join(wanted))
    return Claim(
        *_scope(fields["Credential"]),
        timestamp,
        tuple(fields["SignedHeaders"].split(";")),
        fields["Signature"],
        request.header("x-amz-security-token"),
    )


def _timestamp_of_date(date: str) -> str:
    """An RFC 7231 date as SigV4's timestamp; a date already in that form as it is; anything else is empty."""
    if not date or _TIMESTAMP.fullmatch(date):
        return date
    try:
        return datetime.strptime(date.strip(), "%a, %d %b %Y %H:%M:%S %Z").strftime(SIGV4_TIMESTAMP)  # noqa: DTZ007  (the header is in GMT)
    except ValueError:
        return ""


def _claim_of_query(request: HttpRequest) -> Claim:
    pairs = [pair for pair in parse_qsl(request.query, keep_blank_values=True) if pair[0].startswith("X-Amz-")]
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise IncompleteSignature("A query-string authentication parameter is given twice.")
    wanted = (
        "X-Amz-Algorithm",
        "X-Amz-Credential",
        "X-Amz-Date",
        "X-Amz-Expires",
        "X-Amz-SignedHeaders",
        "X-Amz-Signature",
    )
    missing = [name for name in wanted if not fields.get(name)]
    if missing:
        raise IncompleteSignature(" ".join(f"AWS query-string parameters must include '{name}'." for name in missing))
    if fields["X-Amz-Algorithm"] != ALGORITHM:
        raise IncompleteSignature(f"Unsupported algorithm '{fields['X-Amz-Algorithm']}': sign with {ALGORITHM}.")
    expires = fields["X-Amz-Expires"]
    if not re.fullmatch(r"\d{1,6}", expires) or not 1 <= int(expires) <= LONGEST_EXPIRY_S:
        raise IncompleteSignature(f"X-Amz-Expires must be between 1 and {LONGEST_EXPIRY_S} seconds.")
    return Claim(
        *_scope(fields["X-Amz-Credential"]),
        fields["X-Amz-Date"],
        tuple(fields["X-Amz-SignedHeaders"].split(";")),
        fields["X-Amz-Signature"],
        fields.get("X-Amz-Security-Token", ""),
        int(expires),
    )


def _scope(credential: str) -> tuple[str, str, str, str]:
    """Access key id, date, region and service."""
    parts = credential.split("/")
    if len(parts) != 5 or parts[4] != "aws4_request" or not all(parts):
        raise IncompleteSignature(
            f"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/aws4_request, "
            f"got '{credential[:200]}'"
        )
    return parts[0], parts[1], parts[2], parts[3]


def _checked(claim: Claim, request: HttpRequest) -> Claim:
    try:
        _ = claim.at
    except ValueError:
        raise IncompleteSignature(
            "Date must be in ISO-8601 'basic format'. See http://en.wikipedia.org/wiki/ISO_8601"
        ) from None
    if claim.date != claim.timestamp[:8]:
        raise SignatureMismatch(
            f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{claim.date}' != '{claim.timestamp[:8]}', from '{claim.timestamp}'."
        )
    unsigned = sorted(
        {name for name, _ in request.headers if name.startswith("x-amz-")}.difference(claim.signed_headers)
    )
    if claim.service != "s3" and not {".", ".."}.isdisjoint(request.path.split("/")):
        # The signature covers the path without them, so it would be as good for another path than was meant.
        raise SignatureMismatch("Sign and send a path without '.' and '..' segments.")
    if "host" not in claim.signed_headers:
        raise SignatureMismatch("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    if unsigned:
        raise SignatureMismatch(
            f"There were headers present in the request which were not signed: {', '.join(unsigned)}"
        )
    return claim


class _Recomputing(SigV4Auth):  # type: ignore[misc]  # botocore has no types
    """botocore's signer, over the headers that the client says it signed and the payload digest that we saw."""

    def __init__(self, claim: Claim, payload: str, query: str, key: bytes) -> None:
        super().__init__(Credentials(claim.access_key_id, ""), claim.service, claim.region)
        self._claim, self._payload, self._query, self._key = claim, payload, query, key

    def headers_to_sign(self, request: Any) -> Any:
        return request.signed

    def payload(self, request: Any) -> str:  # noqa: ARG002  (botocore's signature)
        return self._payload

    def canonical_query_string(self, request: Any) -> str:  # noqa: ARG002  (botocore's signature)
        query: str = self._canonical_query_string_url(SimpleNamespace(query=self._query))
        return query

    def signature(self, string_to_sign: str, request: Any) -> str:  # noqa: ARG002  (botocore's signature)
        text: str = self._sign(self._key, string_to_sign, hex=True)
        return text


class _RecomputingS3(_Recomputing, S3SigV4Auth):  # type: ignore[misc]  # botocore has no types
    """The same, with S3's paths: as they are, neither normalised nor encoded twice."""

    def _normalize_url_path(self, path: str) -> str:
        return path


def signing_key(secret: str, claim: Claim) -> bytes:
    """The key derived for one day, region and service."""
    key = f"AWS4{secret}".encode()
    for part in (claim.date, claim.region, claim.service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def signatures(claim: Claim, request: HttpRequest, payload: str, key: bytes) -> Iterator[str]:
    """Every signature that is right for this request: over its query as sent, and as AWS would re-encode it."""
    seen = SimpleNamespace(
        method=request.method,
        url=f"{request.scheme}://host{request.path}",
        headers={},
        signed=_signed_headers(claim, request),
        context={"timestamp": claim.timestamp},
    )
    signer_class = _RecomputingS3 if claim.service == "s3" else _Recomputing
    for query in _spellings(_without_signature(request.query) if claim.presigned else request.query):
        signer = signer_class(claim, payload, query, key)
        yield signer.signature(signer.string_to_sign(seen, signer.canonical_request(seen)), seen)


def _spellings(query: str) -> Iterator[str]:
    yield query
    recoded = _recoded(query)
    if recoded != query:
        yield recoded


def _signed_headers(claim: Claim, request: HttpRequest) -> Any:
    signed, wanted = HTTPHeaders(), set(claim.signed_headers)
    for name, value in request.headers:
        if name in wanted:
            signed[name] = value if value.isascii() else value.encode("latin-1").decode("utf-8", "replace")
    return signed


def _without_signature(query: str) -> str:
    return "&".join(pair for pair in query.split("&") if not pair.startswith("X-Amz-Signature="))


def _recoded(query: str) -> str:
    pairs = (pair.partition("=") for pair in query.split("&") if pair)
    return "&".join(f"{_recode(name)}={_recode(value)}" for name, _, value in pairs)


def _recode(text: str) -> str:
    return quote(unquote(text), safe="-_.~")


def payload_digest(claim: Claim, request: HttpRequest, body: bytes) -> str:
    """What the canonical request ends with. Raises where the declared digest is not the body's."""
    declared = request.header("x-amz-content-sha256")
    if declared in (UNSIGNED, UNSIGNED_TRAILER):
        return declared
    if not declared and claim.presigned and claim.service == "s3":
        return UNSIGNED
    actual = sha256(body).hexdigest()
    if not declared or hmac.compare_digest(declared.encode(), actual.encode()):
        return actual
    if _HEX_DIGEST.fullmatch(declared):
        raise SignatureMismatch("The provided 'x-amz-content-sha256' header does not match what was computed.")
    raise IncompleteSignature(
        f"x-amz-content-sha256 must be the body's SHA-256 in hexadecimal, {UNSIGNED} or {UNSIGNED_TRAILER}; "
        "payloads signed chunk by chunk are not supported."
    )
