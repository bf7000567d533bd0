"""Holding short calls back for instances that run."""

from hypothesis import given
from hypothesis import strategies as st

from torpor.policy import hold
from torpor.policy.hold import Pace

some_ms = st.floats(0.01, 60_000)
counts = st.integers(0, 2000)


def pace_of(calls, *, crowded=False):
    pace = Pace()
    for duration_ms, cpu_ms in calls:
        pace = pace.seen(duration_ms, cpu_ms, crowded=crowded)
    return pace


@given(st.lists(st.tuples(some_ms, st.floats(0, 60_000)), max_size=20), counts, counts, counts)
def test_nobody_is_held_while_little_is_under_way(calls, under_way, allowed, waiting):
    """Whatever was seen, so many go on as are allowed beside those under way; and never is anybody's place negative."""
    free = hold.spare(pace_of(calls), under_way, allowed, waiting)
    assert free >= min(waiting, allowed - under_way)
    assert free >= 0


@given(st.lists(st.floats(hold.SHORT_MS + 0.01, 60_000), max_size=20), counts, counts)
def test_long_and_unknown_calls_are_never_held(durations, under_way, waiting):
    """A burst of calls of one second has an instance for each at once."""
    pace = pace_of((duration, duration) for duration in durations)
    assert hold.spare(pace, under_way, hold.at_first(2), waiting) == waiting


@given(st.floats(1.0, 5.0), st.floats(0.0, 0.1))
def test_calls_that_wait_for_others_are_never_held(duration_ms, cpu_ms):
    """Who sleeps or waits for an answer leaves the processor to others: to hold the next would leave it idle."""
    assert not pace_of([(duration_ms, cpu_ms)] * 3).is_short


def test_short_busy_calls_are_held():
    """An echo and a prediction are worth it, also when what they used is told with every tenth."""
    assert pace_of([(0.3, 0.2)] * 5).is_short
    assert pace_of([(1.2, 1.0)] * 5).is_short
    assert pace_of([(0.3, 2.0 if number % 10 == 9 else 0.0) for number in range(100)]).is_short


@given(st.lists(some_ms, min_size=1, max_size=30))
def test_a_crowd_does_not_make_a_call_long(durations):
    """What many at once took says at most how long one takes: else holding would never begin under load."""
    pace = pace_of(((duration, 0.2) for duration in durations), crowded=True)
    assert pace.duration_ms <= durations[0] + 1e-6


@given(st.integers(1, 256), st.integers(1, 5000), st.booleans())
def test_nobody_starves(processors, waiting, progress):
    """Without progress, or beyond the bound, all go on within a few ticks, however many there are."""
    allowed, ticks = hold.at_first(processors), 0
    while allowed < waiting:
        waited_s = hold.BOUND_S if progress else 0.0
        allowed = hold.allowed_next(allowed, finished=int(progress), waited_s=waited_s)
        ticks += 1
    assert ticks <= 12


@given(st.integers(1, 5000), st.integers(1, 1000), st.floats(0, hold.BOUND_S, exclude_max=True))
def test_progress_keeps_it_as_it_is(allowed, finished, waited_s):
    """As long as calls come to their end in time, no further instance is woken."""
    assert hold.allowed_next(allowed, finished=finished, waited_s=waited_s) == allowed
