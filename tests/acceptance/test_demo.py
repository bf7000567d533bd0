"""`make demo` keeps its promise: the whole way, the figures, and a machine left as it was."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def demo():
    command = [sys.executable, str(ROOT / "tools/demo.py")]
    return subprocess.run(command, capture_output=True, text=True, timeout=580, check=False)


def test_demo_succeeds(demo):
    """Every step goes well and the program says so by its exit code."""
    assert demo.returncode == 0, demo.stdout + demo.stderr


def test_demo_shows_a_cold_a_warm_and_a_woken_call(demo):
    """The table has the depth of start, latency, duration, billed time and memory of each kind of call."""
    number = r"[\d,]+(?:\.\d)?"
    for step, start in (("cold", "(?:spawn|zygote)"), ("warm", "warm"), ("woken", "(?:spawn|zygote)")):
        figures = rf"^\s*{step}\s+{start}\s+{number} ms\s+(?:–|{number} ms)\s+{number} ms\s+{number} ms\s+{number} MB$"
        assert re.search(figures, demo.stdout, re.MULTILINE), demo.stdout


def test_demo_prints_the_score_that_scikit_learn_gives(demo):
    """The answer is the regression's own score on the held-out quarter of the diabetes data."""
    assert "score 0.3594, 111 predictions" in demo.stdout


def test_demo_scales_to_zero_and_leaves_nothing(demo):
    """It was asleep in between, and no process, mount, cgroup or temporary path stays."""
    assert "0 instances" in demo.stdout
    assert "nothing: no process, mount, cgroup or temporary path" in demo.stdout
