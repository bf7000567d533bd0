"""`make bench` gives its figures: each beside what it is compared with, as a table and as JSON."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUN = [sys.executable, str(ROOT / "bench/run.py")]

pytestmark = [pytest.mark.full, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A quick run of everything that needs no other platform: whether it measures, not what."""
    file = tmp_path_factory.mktemp("bench") / "figures.json"
    chosen = ["--only", "limits,cold,warm,throughput,burst,sleeping,dev_loop", "--quick", "--json", str(file)]
    done = subprocess.run([*RUN, *chosen], capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(file.read_text()) | {"printed": done.stdout}


def rows(report, benchmark):
    return {row["name"]: row["figures"] for row in report["benchmarks"][benchmark]["rows"]}


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


def test_bench_compares_warm_calls_with_bare_uvicorn(report):
    """Each kind of call has a median, a 99th percentile and a ratio to uvicorn's; a signature's cost stands apart."""
    warm = rows(report, "warm")
    assert set(warm) == {
        "bare uvicorn",
        "torpor, function URL",
        "torpor, Lambda call",
        "torpor, Lambda call, signed",
    }
    assert all(0 < one["p50 ms"] <= one["p99 ms"] for one in warm.values())
    assert warm["bare uvicorn"]["x uvicorn"].startswith("1.00 ")


def test_bench_says_what_cold_calls_started_from(report):
    """The first call after `up`, and one that wakes a function, are told apart."""
    cold = rows(report, "cold")
    assert len(cold) >= 2
    assert any("first after up" in name for name in cold)
    assert all(one["p50 ms"] > 0 for one in cold.values())


def test_bench_counts_throughput_and_processor_time(report):
    """Requests a second of both, the generator's own part, and where a request's processor time goes."""
    throughput = rows(report, "throughput")
    assert set(throughput) == {"bare uvicorn", "torpor"}
    assert 0 < throughput["torpor"]["client busy"] <= 1.1
    (split,) = [note for note in report["benchmarks"]["throughput"]["notes"] if note.startswith("Processor time")]
    assert re.search(r"server \d+ µs · instances \d+ µs", split)


def test_bench_answers_bursts_and_carries_sleeping_functions(report):
    """A burst is answered whole; more functions are more memory, each a little."""
    (burst,) = rows(report, "burst").values()
    assert burst["answered"] == "10 of 10"
    sleeping = rows(report, "sleeping")
    assert sleeping["100 functions"]["more MB"] < 50


def test_bench_shows_each_target_beside_its_figure(report):
    """The table that is printed holds what is promised and whether it was kept, and the JSON the same."""
    row = next(one for one in report["benchmarks"]["warm"]["rows"] if one["target"])
    assert row["target"]["text"] == "≤ 3 × uvicorn"
    assert f"≤ 3 × uvicorn: {'met' if row['target']['met'] else 'NOT met'}" in report["printed"]


def test_bench_names_its_machine_and_no_more(report):
    """The figures stand beside the machine they were taken on, which is not named."""
    wanted = {"processor", "processors", "memory_gb", "kernel", "python", "root", "load_before", "quick"}
    assert set(report["machine"]) == wanted


def test_bench_refuses_what_it_does_not_know():
    """A misspelt benchmark or platform is an error that lists those there are."""
    done = subprocess.run([*RUN, "--only", "wram"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "wram" in done.stderr
    assert "warm" in done.stderr


def test_every_peer_is_pinned_and_explained():
    """Each platform has its pins, naming no host, and is one that the table can name."""
    folders = sorted(path.name for path in (ROOT / "bench/peers").iterdir())
    listed = subprocess.run([*RUN, "--peers", "?"], capture_output=True, text=True, timeout=60, check=False).stderr
    for name in folders:
        assert name in listed
        pins = (ROOT / "bench/peers" / name / "requirements.txt").read_text()
        assert all(re.match(r"[\w.\-\[\]]+==\S+", line) for line in pins.splitlines() if line)
        assert "://" not in pins
