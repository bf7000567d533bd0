"""`make bench` gives its figures: each beside bare uvicorn's, as a table and as JSON."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A run with few calls: whether it measures, not what."""
    file = tmp_path_factory.mktemp("bench") / "warm.json"
    command = [sys.executable, str(ROOT / "bench/warm.py"), "--json", str(file), "--warm", "100", "--cold", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(file.read_text())


def test_bench_compares_cold_and_warm_calls_with_bare_uvicorn(report):
    """Each kind of call has a median, a 99th percentile and a ratio to uvicorn's median, which is 1."""
    figures = report["figures_ms"]
    kinds = {"echo, cold (spawn)", "regression, cold (spawn)", "echo, warm", "regression, warm", "bare uvicorn, echo"}
    assert set(figures) == kinds
    assert all(0 < one["p50"] <= one["p99"] for one in figures.values())
    assert figures["bare uvicorn, echo"]["ratio"] == 1
    assert figures["echo, warm"]["p50"] < figures["echo, cold (spawn)"]["p50"]


def test_a_day_is_replayed_under_each_keep_alive(tmp_path):
    """Without any memory to keep it in, everything that can be is cold; each figure stands in table and JSON."""
    file = tmp_path / "replay.json"
    command = [sys.executable, str(ROOT / "bench/replay.py"), "--hours", "0.5", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = json.loads(file.read_text())["rows"]
    assert len({row["arrivals"] for row in rows}) == 1
    assert rows[0]["cold"] > rows[-1]["cold"]
    assert rows[0]["memory_mb_s"] < rows[-1]["memory_mb_s"]
    assert len(done.stdout.splitlines()) == len(rows) + 2


def test_bench_names_its_machine(report):
    """The figures stand beside the machine they were taken on."""
    assert set(report["machine"]) == {"kernel", "python", "processors", "root"}
