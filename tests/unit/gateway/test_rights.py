"""What a key may do on our own interface, and how it says who it is there."""

import pytest

from torpor.core.errors import AccessDenied
from torpor.core.identity import Key, Kind, Principal
from torpor.gateway import rights
from torpor.gateway.auth import Closed, Keys, authenticate
from torpor.gateway.sigv4 import UnknownKey

CI = Principal(Kind.KEY, "arn:aws:iam::000000000000:user/ci", permissions=("lambda:*/spam-*", "logs:*"), key_id="CI")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/_torpor/functions/spam-1", True),
        ("HEAD", "/_torpor/functions/spam-1", True),
        ("GET", "/_torpor/functions/ham", False),
        ("GET", "/_torpor/functions", False),
        ("PUT", "/_torpor/functions/spam-1", True),
        ("PUT", "/_torpor/functions/ham", False),
        ("DELETE", "/_torpor/functions/%73pam-1", True),
        ("DELETE", "/_torpor/functions/%68am", False),
        ("GET", "/_torpor/logs/ham", True),
        ("GET", "/_torpor/keys", False),
        ("POST", "/_torpor/keys", False),
        ("GET", "/_torpor/what-comes-later", False),
    ],
)
def test_a_key_does_what_lambda_would_let_it(method, path, allowed):
    """The rights of Lambda's interface hold; what has none is the owner's alone."""
    if allowed:
        rights.check(CI, method, path)
    else:
        with pytest.raises(AccessDenied):
            rights.check(CI, method, path)
    rights.check(Principal(Kind.OWNER), method, path)


def test_a_refusal_names_the_right(tmp_path):
    """In AWS's words."""
    with pytest.raises(AccessDenied, match=r"user/ci is not authorized to perform: torpor:GetUsage on resource: \*"):
        rights.check(CI, "GET", "/_torpor/usage")


@pytest.mark.parametrize("kind", [Kind.FUNCTION, Kind.ANONYMOUS])
def test_nobody_else_may(kind):
    """A function has its door, and a stranger nothing, whatever it was granted."""
    with pytest.raises(AccessDenied):
        rights.check(Principal(kind, permissions=("*",)), "GET", "/_torpor/functions")


def test_a_key_is_a_token_too(request_):
    """`ID:SECRET` as the command line sends it; anything else is refused, and so is a key that is gone."""
    known = {"CI": Key("s3cret", CI)}
    closed = Closed(Keys(known, "the-token"))

    def as_who(token):
        return authenticate(closed, request_(headers=[("authorization", f"Bearer {token}")]), b"")

    assert as_who("CI:s3cret") == CI
    for wrong in ("CI:", "CI", ":s3cret", "CI:s3cret2", "XX:s3cret", "CI:☃".encode().decode("latin-1")):
        with pytest.raises(UnknownKey):
            as_who(wrong)
    known.clear()
    with pytest.raises(UnknownKey):
        as_who("CI:s3cret")


async def test_a_key_removed_while_a_body_is_on_its_way_is_refused(request_, signed, clock):
    """A slow upload does not outlive the key that began it."""
    import time_machine

    known = {"CI": Key("s3cret", CI)}
    closed = Closed(Keys(known), clock)
    with time_machine.travel(clock.now, tick=False):
        request = signed(request_("POST", "/x", body=b"body"), key_id="CI", secret="s3cret")
    proof = closed.begin(request)
    assert proof.verify(b"body") == CI
    known.clear()
    with pytest.raises(UnknownKey):
        proof.verify(b"body")
