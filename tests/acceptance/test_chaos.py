"""Mixed load while instances and zygotes are killed at random: answered or failed as documented, and nothing is left.

TORPOR_CHAOS_MINUTES=10 makes it long, TORPOR_CHAOS_SEED=N another one, TORPOR_CHAOS_REPORT=FILE keeps the figures.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "chaos/run.py"
# Taken out of the environment: a server refuses a variable of its own prefix that it does not know.
MINUTES = float(os.environ.pop("TORPOR_CHAOS_MINUTES", "1"))
SEED = os.environ.pop("TORPOR_CHAOS_SEED", "1")
REPORT = os.environ.pop("TORPOR_CHAOS_REPORT", "")
BEYOND_S = 400  # for deployments before, and until everything sleeps
GROWTH_MB = 64

pytestmark = [pytest.mark.full, pytest.mark.timeout(MINUTES * 60 + BEYOND_S + 100)]


@pytest.fixture(scope="module")
def chaos(start_server, tmp_path_factory):
    """The report of a run, with what the server kept: its ledger, its log, its folders."""
    place = tmp_path_factory.mktemp("chaos")
    scratch = place / "scratch"
    scratch.mkdir()
    data = place / "data"
    server = start_server(data=data, TORPOR_KEEP_ALIVE_S="2", TMPDIR=str(scratch))
    command = [sys.executable, str(PROGRAM), server.url, str(data), str(server.process.pid), str(MINUTES * 60), SEED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=MINUTES * 60 + BEYOND_S, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    report = json.loads(done.stdout)
    groups = [Path(root) for root in json.loads((data / "run/cgroups.json").read_text())]
    report["code"] = server.stop()
    report["log"] = "".join(file.read_text(errors="replace") for file in place.glob("up-*.err"))
    report["remains"] = [
        str(path) for path in (*groups, *scratch.iterdir(), *(data / "run").iterdir()) if path.exists()
    ]
    database = sqlite3.connect(data / "torpor.db")
    rows = database.execute("select request_id, function, result from usage").fetchall()
    database.close()
    report["ledger"] = {request: (function, result) for request, function, result in rows}
    report["rows"] = len(rows)
    if REPORT:
        kept = {name: value for name, value in report.items() if name not in {"ledger", "requests"}}
        Path(REPORT).write_text(json.dumps(kept, indent=1))
    return report


def test_every_invocation_is_answered_or_fails_as_documented(chaos):
    """No wrong answer, no other function's, no hang, no error but those that each kind of call may have."""
    assert not chaos["wrong"], "\n".join(chaos["wrong"][:20])
    calm = {"echo ok", "burn ok", "large ok", "predict ok", "page ok", "overrun timeout", "hoard out-of-memory"}
    assert calm <= set(chaos["outcomes"])


def test_the_load_was_mixed_and_the_kills_met_it(chaos):
    """Instances and zygotes were killed, invocations were lost by it, and starts of every depth went on."""
    assert {"worker", "init", "zygote"} <= set(chaos["killed"])
    assert any(name.endswith(" exit") for name in chaos["outcomes"] if not name.startswith("leave"))
    assert {"warm", "zygote", "spawn"} <= set(chaos["starts"])
    assert chaos["churned"] > 1
    assert "narrow throttled" in chaos["outcomes"]


def test_every_invocation_is_in_the_ledger_once_as_it_was_answered(chaos):
    """Beside the answered ones there are only those whose callers had left."""
    assert chaos["rows"] == len(chaos["ledger"])
    answered = {request: tuple(told) for request, told in chaos["requests"].items()}
    assert {request: chaos["ledger"].get(request) for request in answered} == answered
    unheard = Counter(function for request, (function, _) in chaos["ledger"].items() if request not in answered)
    assert unheard <= Counter(chaos["left"])


def test_nothing_is_left_but_resting_zygotes(chaos):
    """Asleep again, the server has what it had when it was fresh, and for each zygote the same few things."""
    fresh, after = chaos["fresh"], chaos["after"]
    assert chaos["asleep"], after
    zygotes = after.get("zygote", 0)  # none, where a kill came into the building of the last one
    assert after["processes"] == fresh["processes"] + 3 * zygotes
    assert after["mounts"] == fresh["mounts"]
    for kind in ("descriptors", "cgroups"):
        more = after[kind] - fresh[kind]
        assert more % max(zygotes, 1) == 0, (kind, fresh, after)
        assert 0 <= more <= 8 * zygotes, (kind, fresh, after)
    early = max(chaos["memory_mb"][:2])
    assert after["memory_mb"] <= early + GROWTH_MB, chaos["memory_mb"]


def test_the_server_stops_in_order_and_its_log_tells_of_no_fault_of_its_own(chaos):
    """Nothing raised where nobody caught it, and no folder or control group stays."""
    assert chaos["code"] == 0
    assert not chaos["remains"]
    words = ("Traceback", "never retrieved", "never awaited", "task_failed", '"level": "error"', '"level": "critical"')
    told = [line for line in chaos["log"].splitlines() if any(word in line for word in words)]
    assert not told, "\n".join(told[:10])
