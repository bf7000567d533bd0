"""What doctor finds, on this machine and on those we can only describe."""

from pathlib import Path

import pytest

from torpor.runtime import doctor, probes
from torpor.runtime.doctor import Finding
from torpor.sandbox import ids


@pytest.mark.slow
def test_doctor_tries_everything_here_and_leaves_nothing(tmp_path):
    """Each thing is named once with words; where one is missing there is a remedy; no group or mount is left."""
    mounts = Path("/proc/self/mountinfo").read_text()
    findings = doctor.examine(tmp_path / "not" / "made" / "yet")
    names = [finding.name for finding in findings]
    assert len(set(names)) == len(names)
    assert {"kernel", "user-namespaces", "proc", "seccomp", "landlock", "memory-limits", "freezing", "disk"} <= set(
        names
    )
    for finding in findings:
        assert finding.detail
        assert finding.ok is True or finding.remedy or finding.name == "machine"
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert not list(Path("/sys/fs/cgroup").rglob("torpor-doctor-*"))
    assert not (tmp_path / "not").exists()


def test_an_attempt_that_fails_tells_its_reason():
    """The reason comes out of the child; one that is killed, or says nothing, is no success either."""
    assert probes.attempt(lambda: None) is None
    assert "no such thing" in probes.attempt(lambda: (_ for _ in ()).throw(OSError("no such thing")))
    assert "ended with" in probes.attempt(lambda: __import__("os").kill(__import__("os").getpid(), 9))


@pytest.mark.parametrize(("release", "ok"), [("6.18.44-x", True), ("5.14.0", True), ("5.10.0-21", False), ("?", False)])
def test_the_kernel_must_be_new_enough(release, ok):
    """5.14 brought what sandboxes rest on: limits for each user namespace, and the killing of control groups."""
    assert doctor._kernel(release).ok is ok


def test_forbidden_namespaces_come_with_the_setting_that_forbids_them():
    """Ubuntu's and Debian's switches are named with the command that turns them."""
    found = doctor._user_namespaces("refused", {"kernel.apparmor_restrict_unprivileged_userns": "1"})
    assert found.ok is False
    assert "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0" in found.remedy
    assert "Docker" in doctor._user_namespaces("refused", {}).remedy


def test_a_shared_id_is_weaker_but_no_failure():
    """Without a range sandboxes run, and it is said what that costs and how to get one."""
    found = doctor._ids(ids.single(1000, 1000))
    assert found.ok is None
    assert "subuids" in found.remedy


def test_a_full_disk_is_told(tmp_path):
    """Little space is a warning with a way out."""
    found = doctor._disk(tmp_path / "data", usage=lambda _: (10, 10, 1 << 20))
    assert isinstance(found, Finding)
    assert (found.ok, "torpor gc" in found.remedy) == (None, True)
    assert doctor._disk(tmp_path, usage=lambda _: (1, 1, 1 << 40)).ok
