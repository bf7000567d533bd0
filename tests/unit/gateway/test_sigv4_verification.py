"""SigV4 as the edge verifies it, against botocore's own signers."""

# ruff: noqa: PLR0917  - fixtures are parameters

import threading
from dataclasses import replace
from urllib.parse import quote, urlencode

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from torpor.core.identity import Kind, Principal
from torpor.gateway.auth import Closed, authenticate, verified
from torpor.gateway.sigv4 import (
    AuthenticationFailed,
    IncompleteSignature,
    MissingToken,
    SignatureExpired,
    SignatureMismatch,
    UnknownKey,
)

INVOKE = "/2015-03-31/functions/hello%3Alive/invocations"


@pytest.fixture(autouse=True)
def frozen():
    with time_machine.travel(1_767_225_600, tick=False) as traveller:
        yield traveller


@pytest.fixture
def verify(keys):
    authenticator = Closed(keys)
    return lambda request: authenticate(authenticator, request, request.body)


def without(request, name):
    return replace(request, headers=tuple(pair for pair in request.headers if pair[0] != name))


def with_header(request, name, value):
    return replace(request, headers=(*without(request, name).headers, (name, value)))


@pytest.mark.parametrize("by", ["header", "query"])
@pytest.mark.parametrize("service", ["lambda", "s3", "sts"])
@pytest.mark.parametrize("body", [b"", b'{"a": 1}'])
def test_accepts_what_botocore_signs(verify, request_, signed, by, service, body):
    """A request signed by header or by query string is its key's owner's."""
    if by == "query" and body:
        body = b""  # botocore moves a presigned request's body into its query
    request = signed(request_("POST", INVOKE, query="Qualifier=%24LATEST", body=body), by=by, service=service)
    assert verify(request).kind is Kind.OWNER


def test_accepts_a_payload_that_is_not_signed(verify, request_, signed):
    """With UNSIGNED-PAYLOAD the body may be anything, and the rest still counts."""
    request = signed(
        request_("PUT", "/bucket/key", body=b"data"), service="s3", context={"payload_signing_enabled": False}
    )
    request = signed(request_("POST", INVOKE, body=b"data"), context={"payload_signing_enabled": False})
    assert request.header("x-amz-content-sha256") == "UNSIGNED-PAYLOAD"
    assert verify(replace(request, body=b"other")).kind is Kind.OWNER


def test_accepts_a_streamed_payload_with_a_trailer(verify, request_, signed):
    """STREAMING-UNSIGNED-PAYLOAD-TRAILER covers the headers, and the body carries its own checksum."""
    context = {"checksum": {"request_algorithm": {"in": "trailer", "algorithm": "crc32"}}}
    request = signed(request_("PUT", "/bucket/key", body=b"3\r\nabc\r\n0\r\n\r\n"), service="s3", context=context)
    assert request.header("x-amz-content-sha256") == "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    assert verify(request).kind is Kind.OWNER


@pytest.mark.parametrize(
    "change",
    [
        lambda r: replace(r, method="GET"),
        lambda r: replace(r, path=r.path.replace("hello", "other")),
        lambda r: replace(r, query="Qualifier=2"),
        lambda r: replace(r, body=b"{}"),
        lambda r: with_header(r, "host", "127.0.0.1:7070"),
        lambda r: with_header(r, "x-amz-invocation-type", "DryRun"),
        lambda r: without(r, "x-amz-invocation-type"),
        lambda r: with_header(r, "x-amz-log-type", "Tail"),
        lambda r: with_header(r, "authorization", r.header("authorization")[:-1] + "0x"),
    ],
)
def test_refuses_what_was_changed_after_signing(verify, request_, signed, change):
    """Method, path, query, body, signed headers and new x-amz-* headers are all covered."""
    given_headers = [("x-amz-invocation-type", "RequestResponse")]
    request = signed(request_("POST", INVOKE, query="Qualifier=1", body=b'{"a":1}', headers=given_headers))
    assert verify(request).kind is Kind.OWNER
    with pytest.raises(SignatureMismatch):
        verify(change(request))


def test_refuses_a_body_other_than_its_declared_digest(verify, request_, signed):
    """A declared x-amz-content-sha256 is compared with the body that came."""
    request = signed(request_("PUT", "/bucket/key", body=b"data"), service="s3")
    with pytest.raises(SignatureMismatch, match="x-amz-content-sha256"):
        verify(replace(request, body=b"other"))


def test_tells_an_unknown_key_from_a_wrong_secret(verify, request_, signed):
    """A wrong key id is UnrecognizedClient, a wrong secret a signature that does not match."""
    with pytest.raises(UnknownKey):
        verify(signed(request_("POST", INVOKE), key_id="AKIAOTHER"))
    with pytest.raises(SignatureMismatch):
        verify(signed(request_("POST", INVOKE), secret="wrong"))


def test_refuses_a_session_token_that_the_key_has_not(verify, request_, signed):
    """A left-over AWS_SESSION_TOKEN is named as the reason."""
    with pytest.raises(UnknownKey, match="AWS_SESSION_TOKEN"):
        verify(signed(request_("POST", INVOKE), token="left over"))


@pytest.mark.parametrize(("moved", "passes"), [(-899, True), (-901, False), (899, True), (901, False)])
def test_keeps_fifteen_minutes_either_way(verify, request_, signed, frozen, moved, passes):
    """A signature is good for clocks that differ by a quarter of an hour, and no more."""
    request = signed(request_("POST", INVOKE))
    frozen.shift(moved)
    if passes:
        assert verify(request).kind is Kind.OWNER
    else:
        with pytest.raises(SignatureExpired, match="Signature expired" if moved > 0 else "not yet current"):
            verify(request)


@pytest.mark.parametrize(("moved", "passes"), [(3599, True), (3601, False), (-901, False)])
def test_keeps_a_presigned_link_as_long_as_it_says(verify, request_, signed, frozen, moved, passes):
    """A presigned request is good from its date until its own expiry."""
    request = signed(request_("GET", INVOKE), by="query")
    frozen.shift(moved)
    if passes:
        assert verify(request).kind is Kind.OWNER
    else:
        with pytest.raises(SignatureExpired):
            verify(request)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda r: without(r, "authorization"), MissingToken, "Missing Authentication Token"),
        (lambda r: with_header(r, "authorization", "AWS4-HMAC-SHA1 x"), IncompleteSignature, "AWS4-HMAC-SHA1"),
        (
            lambda r: with_header(r, "authorization", "AWS4-HMAC-SHA256 x"),
            IncompleteSignature,
            "'Credential' parameter",
        ),
        (lambda r: with_header(r, "authorization", "Basic eDp5"), IncompleteSignature, "Basic"),
        (lambda r: without(r, "x-amz-date"), IncompleteSignature, "'X-Amz-Date'"),
        (lambda r: with_header(r, "x-amz-date", "today"), IncompleteSignature, "ISO-8601"),
        (lambda r: with_header(r, "x-amz-date", "20269901T000000Z"), IncompleteSignature, "ISO-8601"),
        (lambda r: with_header(r, "x-amz-date", "20260102T000000Z"), SignatureMismatch, "20260102"),
        (lambda r: replace(r, headers=(*r.headers, ("authorization", "x"))), IncompleteSignature, "more than one"),
        (lambda r: replace(r, query="X-Amz-Algorithm=AWS4-HMAC-SHA256"), IncompleteSignature, "not by both"),
        (lambda r: edit_credential(r, "us-east-1/", ""), IncompleteSignature, "5 slash-delimited"),
        (lambda r: edit_credential(r, "SignedHeaders=host;", "SignedHeaders="), SignatureMismatch, "'Host'"),
    ],
)
def test_names_what_is_wrong_with_a_signature(verify, request_, signed, change, error, says):
    """An incomplete signature says which part is missing or malformed."""
    with pytest.raises(error) as caught:
        verify(change(signed(request_("POST", INVOKE))))
    assert says in caught.value.message


def edit_credential(request, old, new):
    return with_header(request, "authorization", request.header("authorization").replace(old, new))


@pytest.mark.parametrize("expires", ["0", "604801", "-1", "x", "99999999999999999999"])
def test_refuses_an_expiry_out_of_bounds(verify, request_, signed, expires):
    """A presigned request lives from a second to a week."""
    request = signed(request_("GET", INVOKE), by="query")
    with pytest.raises(IncompleteSignature, match="X-Amz-Expires"):
        verify(replace(request, query=request.query.replace("X-Amz-Expires=3600", f"X-Amz-Expires={expires}")))


def test_refuses_a_query_parameter_given_twice(verify, request_, signed):
    """Two signatures in one query are refused, whichever is right."""
    request = signed(request_("GET", INVOKE), by="query")
    with pytest.raises(IncompleteSignature, match="twice"):
        verify(replace(request, query=f"{request.query}&X-Amz-Signature=0"))


def test_accepts_a_query_that_is_encoded_in_another_way(verify, request_, signed):
    """As AWS does: a client that signs `%3A` and sends `:` is understood."""
    request = signed(request_("GET", INVOKE, query="a=x%3Ay&b="))
    assert verify(replace(request, query="b&a=x:y")).kind is Kind.OWNER


def test_refuses_dot_segments_under_a_signature(verify, request_, signed):
    """A signature over the normalised path does not open another path that normalises to the same."""
    request = signed(request_("POST", INVOKE))
    with pytest.raises(AuthenticationFailed):
        verify(replace(request, path=f"/fn/hello/../..{INVOKE}"))


def test_remembers_few_derived_keys(keys, request_, signed):
    """Only right signatures fill the cache of derived keys, and it is bounded."""
    authenticator = Closed(keys)
    for number in range(authenticator.CACHED_KEYS + 10):
        request = signed(request_("POST", INVOKE), region=f"xx-east-{number}")
        authenticate(authenticator, request, b"")
    assert len(authenticator._derived) == authenticator.CACHED_KEYS
    with pytest.raises(SignatureMismatch):
        authenticate(authenticator, signed(request_("POST", INVOKE), region="eu-west-9", secret="wrong"), b"")
    assert not any("eu-west-9" in scope for scope in authenticator._derived)


SAFE = st.text(st.characters(codec="ascii", exclude_categories=["Cc"], exclude_characters="#?%\\"), max_size=20)


@pytest.mark.slow
# The fixtures used here are plain functions and frozen values: one for all examples is as good as one for each.
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.lists(st.sampled_from(["a", "b%20c", "%3A", "x~y", "-_.", "é".encode().hex()]), max_size=4),
    pairs=st.lists(st.tuples(SAFE, SAFE), max_size=4),
    body=st.binary(max_size=50),
    header=st.text(st.characters(codec="ascii", min_codepoint=32, max_codepoint=126), max_size=30),
    by=st.sampled_from(["header", "query"]),
)
def test_accepts_whatever_botocore_signs(keys, request_, signed, path, pairs, body, header, by):
    """Odd paths, queries, headers and bodies verify, and none does with another secret."""
    with time_machine.travel(1_767_225_600, tick=False):
        query = urlencode(list(dict(pairs).items()), quote_via=quote)
        body = body if by == "header" else b""
        request = request_("POST", "/" + "/".join(path), query=query, body=body, headers=[("x-odd", header.strip())])
        request = signed(request, by=by)
        assert authenticate(Closed(keys), request, body).kind is Kind.OWNER
        with pytest.raises(AuthenticationFailed):
            authenticate(Closed(keys), replace(request, method="PATCH"), body)


@pytest.mark.parametrize(("size", "aside"), [(10, False), (2 * 1024 * 1024, True)])
async def test_a_large_body_is_hashed_aside(size, aside):
    """Hashing an archive would hold up everyone else's requests."""

    class Proof:
        def verify(self, body):
            self.size, self.thread = len(body), threading.current_thread()
            return Principal(Kind.OWNER)

    proof = Proof()
    assert await verified(proof, b"x" * size) == Principal(Kind.OWNER)
    assert proof.size == size
    assert (proof.thread is not threading.current_thread()) is aside
