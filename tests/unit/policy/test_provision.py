"""Provisioned concurrency's decisions: who gets how many, and what a configuration is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor.policy import provision
from torpor.policy.provision import Supply


@pytest.mark.parametrize(
    ("requested", "shares", "parts"),
    [
        (5, {"1": 1.0}, {"1": 5}),
        (10, {"1": 0.9, "2": 0.1}, {"1": 9, "2": 1}),
        (10, {"1": 0.95, "2": 0.05}, {"1": 9, "2": 1}),
        (3, {"1": 0.0, "2": 1.0}, {"2": 3}),
        (1, {"1": 0.5, "2": 0.5}, {"1": 1, "2": 0}),
        (4, {}, {}),
    ],
)
def test_executions_follow_the_weights(requested, shares, parts):
    """Both versions of an alias get their part, and the one with the smaller share is rounded up."""
    assert provision.split(requested, shares) == parts


@given(st.integers(1, 1000), st.floats(0, 1))
def test_nothing_is_lost_by_splitting(requested, share):
    """Whatever the weights are, the parts add up to what was requested."""
    parts = provision.split(requested, {"1": 1 - share, "2": share})
    assert sum(parts.values()) == requested
    assert all(part >= 0 for part in parts.values())


def test_versions_get_what_all_configurations_ask_for():
    """Two that lead to one version add up."""
    shares = {"live": {"1": 1.0}, "next": {"1": 0.5, "2": 0.5}}
    assert provision.targets({"live": 3, "next": 4}, shares) == {"1": 5, "2": 2}


def test_who_shares_a_version_is_served_in_order():
    """What is ready counts once: the first by name has all of its own before the next has any."""
    shares = {"a": {"1": 1.0}, "b": {"1": 1.0}}
    told = provision.standings({"a": 2, "b": 2}, shares, {"1": Supply(allocated=4, available=3)})
    assert (told["a"].available, told["a"].status) == (2, provision.READY)
    assert (told["b"].available, told["b"].allocated, told["b"].status) == (1, 2, provision.IN_PROGRESS)


def test_a_failure_is_told_until_all_are_there():
    """With a reason, what is not complete has failed; what is complete has not, whatever happened to others."""
    shares = {"1": {"1": 1.0}}
    failed = provision.standings({"1": 2}, shares, {"1": Supply(1, 1, "no memory")})["1"]
    assert (failed.status, failed.reason) == (provision.FAILED, "no memory")
    ready = provision.standings({"1": 1}, shares, {"1": Supply(1, 1, "no memory")})["1"]
    assert (ready.status, ready.reason) == (provision.READY, "")
    none = provision.standings({"1": 1}, shares, {})["1"]
    assert (none.status, none.available) == (provision.IN_PROGRESS, 0)


def test_each_failure_is_followed_by_a_longer_wait():
    """The first try is at once, and the wait has a bound."""
    waits = [provision.back_off_s(failures) for failures in range(10)]
    assert waits[0] == 0
    assert waits == sorted(waits)
    assert waits[-1] == 60


def test_several_slots_need_fewer_instances():
    """Executions, not instances, are what is asked for."""
    assert [provision.instances(n, 4) for n in (0, 1, 4, 5)] == [0, 1, 1, 2]
