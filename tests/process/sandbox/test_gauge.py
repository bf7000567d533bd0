"""What `torpor doctor --bench` measures on this machine."""

import pytest

from torpor.core.errors import NotSupported
from torpor.runtime import gauge
from torpor.runtime.launch import SandboxOptions

pytestmark = pytest.mark.slow


def test_the_gauge_measures_everything_and_leaves_nothing(tmp_path):
    """Each yardstick has figures in order; a hop takes less than a fork; the data folder is neither made nor touched."""
    measured = {one.name: one for one in gauge.gauge(tmp_path / "not" / "made", attempts=3)}
    if measured["sandbox"].p50_ms is None:
        pytest.skip(f"no sandboxes here: {measured['sandbox'].detail}")
    assert list(measured) == ["fork", "start", "sandbox", "hop", "commit"]
    assert all(0 < one.p50_ms <= one.p99_ms and one.count >= 3 for one in measured.values())
    assert measured["hop"].p50_ms < measured["start"].p50_ms
    assert not list(tmp_path.iterdir())


def test_where_no_sandbox_can_be_had_the_rest_is_measured(tmp_path, monkeypatch):
    """The reason stands in the place of the figure."""

    async def refuse(options: SandboxOptions):
        raise NotSupported("no namespaces")

    monkeypatch.setattr(gauge, "open_sandboxes", refuse)
    measured = {one.name: one for one in gauge.gauge(tmp_path, attempts=1)}
    assert (measured["sandbox"].p50_ms, measured["sandbox"].detail) == (None, "no namespaces")
    assert measured["commit"].count == 10
