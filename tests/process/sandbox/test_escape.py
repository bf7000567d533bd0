"""The escape suite: everything an attacker tries inside an instance fails, and in the way it should.

The attempts run in an instance started afresh and in one forked from a zygote; once as the tests' own user and, where
that is root, once more as one without any rights. What is expected is the same.
"""

import asyncio
import json
import os

import pytest

EPERM, EACCES, ENOENT, ENOSYS = {"EPERM"}, {"EACCES"}, {"ENOENT"}, {"ENOSYS"}
UNKNOWN_FAMILY, NOT_THERE = {"EAFNOSUPPORT"}, {"ESRCH"}
SEALED = {"EROFS", "EACCES"}  # which of the two a shut door names first is the kernel's affair

# Outcomes by the beginning of the attempt's name; the longest that matches counts. Everything else must be EPERM.
EXPECTED = {
    "": EPERM,
    "clone3": ENOSYS,
    "io_uring": ENOSYS,
    "secret memory": ENOSYS,
    "a call ": ENOSYS,
    "an x32 call": ENOSYS,
    "read /": ENOENT,
    "open /proc/1/": EACCES,
    "create /": {"EROFS"},
    "create /proc/": ENOENT,
    "write /": SEALED,
    "write /proc/self/uid_map": EPERM,
    "read /proc/": {"0 bytes", "ENOENT"},
    "device /dev/": ENOENT,
    "socket of family": UNKNOWN_FAMILY,
    "netlink": UNKNOWN_FAMILY,
    "the host's loopback": {"ECONNREFUSED"},
    "another instance's loopback": {"ECONNREFUSED"},
    "the world": {"ENETUNREACH"},
    "the metadata service": {"ENETUNREACH"},
    "an abstract socket": {"ECONNREFUSED"},
    "signal the": NOT_THERE,
    "look at the": ENOENT,
    "kill init": {"EPERM", "no effect"},
    "a System V segment": ENOENT,
    "become root": {"EINVAL"},
    "give a file away": {"EINVAL", "EPERM"},
    "raise its priority": EACCES,
    "set the user id by a program": {"nosuid"},
    "call as a 32-bit program": {"SIGSYS"},
}
FACTS = {
    "dump core": [1, 1],
    "its descriptors": [0, 1, 2, 3],
    "its variables": {"LANG": "C.UTF-8", "GIVEN": "on purpose"},
    "its capabilities": [""] * 5,
    "its filter": "2",
    "its host name": "torpor",
    "its cgroups": ["/"],
    "its place": [2, 1, 993, 990, []],
    "who is there": [1, 2],
    "its interfaces": ["lo"],
    "writable mounts": ["/dev/shm", "/proc", "/tmp"],
}
ROOT = {"bin", "dev", "etc", "lib", "lib32", "lib64", "libx32", "opt", "proc", "sbin", "sys", "tmp", "usr", "var"}


@pytest.fixture(scope="module", params=["spawned", "forked"])
def forked(request):
    """Whether the instance is born of a zygote."""
    return request.param == "forked"


@pytest.fixture(scope="module", params=["as we are", "without rights"])
def report(request, driver, tmp_path_factory, forked):
    """All outcomes of one run, as JSON."""
    if request.param == "as we are":
        found = asyncio.run(driver.report(tmp_path_factory.mktemp("escape"), forked=forked))
    elif os.geteuid() != 0:
        pytest.skip("we have no rights: the other run shows it")
    else:
        make, run = request.getfixturevalue("strangers_folder"), request.getfixturevalue("run_as_stranger")
        done = run(driver.HERE / "driver.py", str(make()), *(["forked"] if forked else []))
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["uid"] != 0
    assert found["exit"] == [0, None], found["text"]
    return json.loads(found["text"])


def _expected(name):
    return EXPECTED[max((start for start in EXPECTED if name.startswith(start)), key=len)]


def test_every_attempt_fails_as_it_should(report):
    """Host files, other instances, signals, tracing, sockets, keys, namespaces, mounts, devices, switches: all refused."""
    attempts = {name: outcome for name, outcome in report.items() if name not in FACTS and name != "what is there"}
    assert len(attempts) > 150
    wrong = {name: outcome for name, outcome in attempts.items() if outcome not in _expected(name)}
    assert not wrong


@pytest.mark.parametrize("fact", FACTS)
def test_an_instance_is_given_what_it_needs_and_no_more(report, fact, forked):
    """Descriptors, variables, rights, processes, interfaces and writable places are exactly those meant."""
    expected = FACTS[fact]
    if forked and fact == "its place":
        expected = [2, 0, *expected[2:]]  # its parent is the nest, which no number inside can name
    assert report[fact] == expected


def test_the_root_holds_no_folder_of_the_hosts_own(report):
    """Of the host's root only the folders of programs are seen, beside those made up."""
    assert set(report["what is there"]) <= ROOT


def test_every_expectation_is_about_an_attempt(report):
    """No expectation is left over from an attempt that is no longer made under that name."""
    assert not [start for start in EXPECTED if not any(name.startswith(start) for name in report)]
