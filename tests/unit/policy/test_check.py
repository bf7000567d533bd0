"""The deployment check's decisions: what to try next, for how long, and what the trials show."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor.policy import check
from torpor.policy.check import Ending, Step, Trial

READY, FAILED, HUNG, UNKNOWN = Ending
trials = st.builds(
    Trial,
    ending=st.sampled_from(Ending),
    took_s=st.floats(0, 60),
    forked=st.booleans(),
    error=st.sampled_from(["", "bad"]),
    may_fork=st.booleans(),
)


def trial(ending, *, forked=True, took_s=1.0, **more):
    return Trial(ending=ending, forked=forked, took_s=took_s, **more)


def fresh(ending, **more):
    return trial(ending, forked=False, **more)


@pytest.mark.parametrize(
    ("before", "step"),
    [
        ([], Step.AS_EVER),
        ([trial(READY)], Step.NOTHING),
        ([trial(FAILED)], Step.AFRESH),
        ([trial(HUNG)], Step.AFRESH),
        ([trial(UNKNOWN)], Step.NOTHING),
        ([fresh(READY, may_fork=True)], Step.FORKED),
        ([fresh(READY)], Step.NOTHING),
        ([fresh(FAILED, may_fork=True)], Step.NOTHING),
        ([trial(HUNG), fresh(READY)], Step.NOTHING),
    ],
)
def test_what_comes_next(before, step):
    """What fails in a fork is tried afresh, what was afresh for want of a zygote is tried from one, and no more."""
    assert check.next_step(before) is step


@pytest.mark.parametrize(
    ("before", "ending", "unfit"),
    [
        ([trial(READY)], READY, ""),
        ([trial(FAILED, error="E"), fresh(READY)], READY, "failed (E) in a forked"),
        ([trial(HUNG, took_s=10), fresh(READY)], READY, "hung in a forked"),
        ([trial(HUNG, took_s=10), fresh(READY, took_s=8)], READY, ""),  # only slow
        ([trial(FAILED), fresh(FAILED)], FAILED, ""),
        ([trial(FAILED), fresh(HUNG)], HUNG, ""),
        ([trial(FAILED), fresh(UNKNOWN)], UNKNOWN, ""),
        ([fresh(READY, may_fork=True), trial(HUNG, took_s=5)], READY, "hung in a forked"),
        ([fresh(READY, may_fork=True), trial(READY)], READY, ""),
        ([fresh(READY, may_fork=True)], READY, ""),
        ([fresh(FAILED)], FAILED, ""),
        ([fresh(UNKNOWN)], UNKNOWN, ""),
    ],
)
def test_what_it_shows(before, ending, unfit):
    """The fork is to blame only for what works without it, in less time than the fork was given."""
    found = check.verdict(before)
    assert found.ending is ending
    assert unfit in found.unfit
    assert bool(found.unfit) == bool(unfit)


@given(st.data())
def test_a_check_ends_and_blames_no_fork_without_need(data):
    """After three trials at the most there is nothing more to try; unfit is only what a fresh instance could do."""
    made = []
    while check.next_step(made) is not Step.NOTHING:
        assert 5 <= check.forked_s(made) <= check.FRESH_S
        made.append(data.draw(trials))
    assert len(made) <= 2
    found = check.verdict(made)
    if found.unfit:
        assert {one.ending for one in made if not one.forked} == {READY}
        assert {one.ending for one in made if one.forked} <= {FAILED, HUNG}
    if found.ending is READY:
        assert any(one.ending is READY for one in made)


def test_a_fork_is_given_time_in_proportion_to_a_fresh_start():
    """Thrice as long, within bounds."""
    assert check.forked_s([fresh(READY, took_s=4.0)]) == 12
    assert check.forked_s([fresh(READY, took_s=0.1)]) == 5
    assert check.forked_s([fresh(READY, took_s=50)]) == check.FRESH_S
