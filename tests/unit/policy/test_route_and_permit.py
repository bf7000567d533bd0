"""Where an alias leads, and whom a resource policy lets in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor.policy.permit import permits
from torpor.policy.route import pick

ME = "arn:aws:iam::000000000000:user/me"
CALL = "lambda:InvokeFunction"


@given(st.floats(min_value=0, max_value=1, exclude_max=True), st.floats(min_value=0, max_value=1))
def test_a_version_gets_its_weight(draw: float, weight: float) -> None:
    """A draw below the weight goes to the second version, any other to the first."""
    assert pick("1", {"2": weight}, draw) == ("2" if draw < weight else "1")


def test_the_edges_of_weights() -> None:
    """None of it is none, all of it is all, and several weights follow one another."""
    assert pick("1", {}, 0.0) == pick("1", {"2": 0.0}, 0.0) == "1"
    assert pick("1", {"2": 1.0}, 0.999) == "2"
    assert [pick("1", {"2": 0.25, "3": 0.25}, draw) for draw in (0.2, 0.4, 0.6)] == ["2", "3", "1"]


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ({}, True),
        ({"Principal": "*"}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Action": "lambda:*"}, True),
        ({"Action": "*"}, True),
        ({"Action": "lambda:GetFunction"}, False),
        ({"Principal": {"AWS": "arn:aws:iam::000000000000:user/other"}}, False),
        ({"Principal": {"AWS": "arn:aws:iam::000000000000:root"}}, False),
        ({"Principal": {"Service": "s3.amazonaws.com"}}, False),
        ({"Effect": "Deny"}, False),
        ({"Condition": {"StringEquals": {"AWS:SourceAccount": "000000000000"}}}, False),
    ],
)
def test_who_may_call_by_a_statement(change: dict, allowed: bool) -> None:
    """The caller, the action and the absence of conditions must all agree."""
    statement = {"Effect": "Allow", "Principal": {"AWS": ME}, "Action": CALL, **change}
    assert permits([statement], ME, CALL) is allowed
    assert not permits([], ME, CALL)
