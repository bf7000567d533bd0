"""Sandboxes of a user without any rights, control groups or range of ids: weaker accounts, the same walls."""

import json
import signal

import pytest


@pytest.fixture(scope="module")
def report(driver, run_as_stranger, strangers_folder):
    done = run_as_stranger(driver.HERE / "rootless.py", str(strangers_folder()))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_memory_is_watched_where_it_cannot_be_limited(report):
    """Without a control group the processes are sampled, grandchildren too, and the whole instance is ended."""
    assert report["uid"] != 0
    assert report["greedy"]["oom"]
    assert report["greedy"]["exit"] == [None, signal.SIGKILL]
    assert not report["status"]["oom"]


def test_processes_are_bounded_for_each_instance_alone(report):
    """The limit counts within the instance's own user namespace, not all that the user runs."""
    errno_, made = map(int, report["forks"]["text"].split())
    assert errno_ == 11
    assert 20 <= made <= 30


def test_a_full_tmp_says_so_without_rights_too(report):
    """/tmp has its size there as well."""
    assert report["full"]["text"].strip() == "ENOSPC"
    assert report["full"]["exit"] == [0, None]


def test_use_is_measured_from_proc(report):
    """Memory and processor time are added up from the instance's processes."""
    memory_mb, cpu_ms = report["busy"]["used"]
    assert 50 <= memory_mb < 150
    assert 100 <= cpu_ms < 5000


def test_how_it_ended_and_what_it_wrote(report):
    """Statuses arrive, and what was written into a writable mount belongs to the user."""
    assert report["status"]["exit"] == [9, None]
    assert report["writes"]["exit"] == [0, None]
    assert report["owner"] == report["uid"]
