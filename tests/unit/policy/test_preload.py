"""What is imported before the fork, for whom that is no good, and what is held ready."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor.policy import preload
from torpor.policy.preload import Resting

RESTING = st.lists(st.builds(Resting, st.integers(0, 500), st.floats(0, 100), st.booleans()), max_size=8)


def test_only_names_of_modules_are_learned_each_once():
    """What a guest reports is untrusted: what is no dotted name is left out."""
    reported = ["json", "a.b_c.d1", "json", "", "..up", "1st", "a b", "x" * 300, None, 7, "naïve", "os\n"]
    assert preload.importable(reported) == ["json", "a.b_c.d1"]


def test_as_many_modules_are_learned_as_one_report_may_hold():
    """A guest that invents names without end does not fill the server."""
    assert len(preload.importable(f"m{number}" for number in range(9000))) == preload.MAX_MODULES
    known = [f"m{number}" for number in range(preload.MAX_MODULES)]
    assert preload.news(known, ["one.more"], ()) == []


def test_known_and_hopeless_modules_are_no_news():
    """Only what is neither loaded nor known to fail is worth another zygote."""
    assert preload.news(["a", "b"], ["b", "c", "d"], {"d": "it fails"}) == ["c"]


@pytest.mark.parametrize(
    "name", ["OMP_NUM_THREADS", "LD_PRELOAD", "LANG", "LC_ALL", "PYTHONHASHSEED", "MKL_NUM_THREADS"]
)
def test_variables_read_at_loading_are_in_the_way(name):
    """A zygote has read them already, with another value."""
    assert name in preload.variable_in_the_way({name: "1"}, {})
    assert not preload.variable_in_the_way({name: "1"}, {name: "1"})


@pytest.mark.parametrize("name", ["PATH", "WHO", "PYTHONUNBUFFERED", "TZ", "AWS_REGION", "LANGUAGES_SPOKEN"])
def test_other_variables_are_not(name):
    """What is read when it is needed may differ."""
    assert not preload.variable_in_the_way({name: "1"}, {})


def test_another_search_path_is_in_the_way():
    """It says where modules come from, and they are loaded."""
    assert "PYTHONPATH" in preload.variable_in_the_way({"PYTHONPATH": "/mine"}, {"PYTHONPATH": "/ours"})


def test_own_modules_that_hide_a_loaded_one_are_in_the_way():
    """Code comes first on the search path, as a file or as a package."""
    assert "numpy" in preload.module_in_the_way(["app.py", "numpy"], ["json", "numpy.linalg"])
    assert "json.py" in preload.module_in_the_way(["json.py"], ["json"])
    assert not preload.module_in_the_way(["app.py", "numpy_of_mine.py"], ["json", "numpy"])


def test_tries_become_rarer_and_never_cease():
    """The first failure is followed at once, later ones after a pause that grows to a bound."""
    pauses = [preload.back_off_s(failures) for failures in range(20)]
    assert pauses[0] == 0
    assert pauses == sorted(pauses)
    assert pauses[-1] == pauses[-2] <= 600


@given(st.lists(st.floats(0, 100), max_size=8), st.floats(0, 200), st.integers(0, 4))
def test_blanks_are_held_for_what_is_called_and_within_bounds(starts, now, most):
    """None for what was not started lately, never more than allowed or than there were starts."""
    wanted = preload.blanks(starts, now, 60, most)
    assert 0 <= wanted <= min(most, len(starts))
    if all(now - at >= 60 for at in starts):
        assert wanted == 0


@given(RESTING, st.floats(0, 200), st.floats(0, 100))
def test_the_zygote_that_makes_way_is_the_one_longest_uncalled(zygotes, now, least_s):
    """It is unused and was not called for that long, and none that could go was called longer ago."""
    chosen = preload.longest_unused(zygotes, now, least_s)
    could = [one for one in zygotes if one.unused and now - one.since >= least_s]
    assert (chosen is None) == (not could)
    if chosen is not None:
        assert zygotes[chosen] in could
        assert zygotes[chosen].since == min(one.since for one in could)


@given(st.lists(st.builds(preload.Spare, st.integers(0, 300), st.floats(0, 100), st.booleans())), st.integers(1, 1000))
def test_what_is_prepared_is_given_up_as_far_as_is_needed(spares, need_mb):
    """Enough goes, or all; the last to go was needed; blanks go before zygotes, and of each the longest uncalled."""
    chosen = preload.give_up(spares, need_mb)
    freed = [spares[index].memory_mb for index in chosen]
    assert sum(freed) >= need_mb or len(chosen) == len(spares)
    assert sum(freed[:-1]) < need_mb
    order = [(not spares[index].blank, spares[index].since) for index in chosen]
    assert order == sorted(order)
    kept = [(not one.blank, one.since) for index, one in enumerate(spares) if index not in chosen]
    assert not chosen or not kept or max(order) <= min(kept)


def test_a_zygote_of_half_the_budget_is_kept_and_a_larger_one_is_not():
    """The reason says how much it takes and how much there is."""
    assert not preload.too_large(256, 512)
    assert "257 MB" in preload.too_large(257, 512)
    assert "512 MB" in preload.too_large(257, 512)


@given(RESTING, st.integers(0, 1000), st.floats(0, 200), st.floats(0, 100))
def test_zygotes_are_put_to_sleep_within_the_budget_and_never_in_use(zygotes, budget_mb, now, idle_s):
    """Those in use stay; what stays unused is within the budget, and was called no longer ago than what went for it."""
    chosen = preload.to_sleep(zygotes, budget_mb, now, idle_s)
    assert all(zygotes[index].unused for index in chosen)
    left = [one for index, one in enumerate(zygotes) if index not in chosen]
    assert sum(one.memory_mb for one in left) <= budget_mb or not any(one.unused for one in left)
    assert all(now - one.since < idle_s for one in left if one.unused)


@given(st.dictionaries(st.text(max_size=3), st.integers(0, 5)), st.integers(0, 5))
def test_what_is_prepared_when_the_server_comes_up_was_called_most(calls, most):
    """A few, none that nobody called, and none was called more often than those chosen."""
    chosen = preload.hottest(calls, most)
    assert len(chosen) == len(set(chosen)) == min(most, sum(count > 0 for count in calls.values()))
    left = [count for key, count in calls.items() if key not in chosen]
    assert all(calls[key] >= max(left, default=0) and calls[key] > 0 for key in chosen)
