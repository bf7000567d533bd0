"""Control groups of both versions, against folders of plain files that stand for the kernel's."""

import os
from pathlib import Path

import pytest

from torpor.sandbox import cgroup_v2, cgroups
from torpor.sandbox.cgroups import Bounds, Cgroups, Hierarchy

V1 = ("cgroup.procs", "tasks", "cgroup.event_control")
V1 += ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control")
V1 += ("pids.max", "cpu.shares", "cpuacct.usage")
V2 = ("cgroup.procs", "cgroup.kill", "cgroup.subtree_control", "cgroup.controllers", "cpu.stat", "cpu.weight")
V2 += ("cgroup.freeze", "memory.max", "memory.swap.max", "memory.oom.group", "memory.peak", "memory.events", "pids.max")
BOUNDS = Bounds(memory=640 << 20, processes=100, cpu=0.5)


@pytest.fixture
def kernel(monkeypatch, tmp_path):
    """Makes a folder whose new subfolders come with files, and go with them, as in a cgroup file system."""

    def fill(folder, files):
        for name in files:
            (folder / name).touch()

    def mount(name, files):
        root = tmp_path / name
        make, remove = os.mkdir, os.rmdir

        def mkdir(path, *arguments, **options):
            make(path, *arguments, **options)
            if root in Path(path).parents:
                fill(Path(path), files)

        def rmdir(path, **options):
            if root in Path(path).parents:
                for file in Path(path).iterdir():
                    if file.is_file():
                        file.unlink()
            remove(path, **options)

        monkeypatch.setattr(os, "mkdir", mkdir)
        monkeypatch.setattr(os, "rmdir", rmdir)
        make(root)
        fill(root, files)
        return root

    return mount


def test_version_1_bounds_measures_and_goes(kernel):
    """Memory with swap, processes and shares are set; peak, time and kills are read; nothing is left after."""
    own = kernel("v1", V1)
    groups = Cgroups([Hierarchy(1, own, cgroups.CONTROLLERS)], "torpor-x")
    group = groups.create("i1", BOUNDS)
    folder = own / "torpor-x" / "i1"
    assert group.limits_memory
    assert (folder / "memory.limit_in_bytes").read_text() == str(640 << 20)
    assert (folder / "memory.memsw.limit_in_bytes").read_text() == str(640 << 20)
    assert (folder / "pids.max").read_text() == "100"
    assert (folder / "cpu.shares").read_text() == "512"
    (folder / "memory.max_usage_in_bytes").write_text("12345\n")
    (folder / "cpuacct.usage").write_text("678\n")
    (folder / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    assert (group.peak(), group.cpu_ns(), group.oom_kills()) == (12345, 678, 2)
    (entry,) = group.entries()
    os.close(entry)
    group.remove()
    groups.close()
    assert not (own / "torpor-x").exists()


def test_version_2_bounds_measures_and_goes(kernel):
    """With delegated controllers the whole group is ended on out of memory, and swap is no way around the limit."""
    own = kernel("v2", V2)
    (own / "cgroup.procs").write_text(f"{os.getpid()}\n")
    groups = Cgroups([Hierarchy(2, own, frozenset({"memory", "pids", "cpu"}))], "torpor-x")
    assert groups.limits == {"memory", "pids", "cpu"}
    assert (own / "torpor-x" / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    group = groups.create("i1", BOUNDS)
    folder = own / "torpor-x" / "i1"
    written = {name: (folder / name).read_text() for name in ("memory.max", "memory.swap.max", "memory.oom.group")}
    assert written == {"memory.max": str(640 << 20), "memory.swap.max": "0", "memory.oom.group": "1"}
    assert ((folder / "pids.max").read_text(), (folder / "cpu.weight").read_text()) == ("100", "50")
    (folder / "memory.peak").write_text("4096\n")
    (folder / "cpu.stat").write_text("usage_usec 5\nuser_usec 3\n")
    (folder / "memory.events").write_text("low 0\noom 1\noom_kill 3\noom_group_kill 1\n")
    assert (group.peak(), group.cpu_ns(), group.oom_kills(), group.oom_alarm()) == (4096, 5000, 3, None)
    group.remove()
    groups.close()
    assert not (own / "torpor-x").exists()


def test_version_2_freezes_and_thaws(kernel):
    """Without any controller; where the group is gone thawing says so, and a kernel without it freezes nothing."""
    own = kernel("v2", V2)
    groups = Cgroups([Hierarchy(2, own, frozenset())], "torpor-x")
    assert groups.can_freeze
    group = groups.create("i1", BOUNDS)
    file = own / "torpor-x" / "i1" / "cgroup.freeze"
    assert group.freeze()
    assert file.read_text() == "1"
    group.thaw()
    assert file.read_text()[0] == "0"
    file.unlink()
    assert not group.freeze()
    with pytest.raises(FileNotFoundError):
        group.thaw()
    groups.close()


@pytest.mark.parametrize(("kind", "entry"), [("threaded", "cgroup.threads"), ("domain", "cgroup.procs")])
def test_without_controllers_version_2_is_entered_by_threads_where_that_can_be(kernel, monkeypatch, kind, entry):
    """So that a process which joins need not wait for RCU; a kernel or a layout without that is entered as ever."""
    own = kernel("v2", (*V2, "cgroup.threads"))
    monkeypatch.setattr(cgroups, "by_threads", lambda root: (root / "cgroup.type").write_text(kind))
    groups = Cgroups([Hierarchy(2, own, frozenset())], "torpor-x")
    group = groups.create("i1", BOUNDS)
    (opened,) = group.entries()
    assert os.readlink(f"/proc/self/fd/{opened}").endswith(f"/i1/{entry}")  # noqa: PTH115 -- of a descriptor
    os.close(opened)
    groups.close()


def test_who_is_left_in_a_group_of_threads_is_ended(monkeypatch, tmp_path):
    """Such a group cannot be read or killed by processes."""
    killed = []
    monkeypatch.setattr(os, "kill", lambda pid, number: killed.append((pid, number)))
    (tmp_path / "cgroup.kill").mkdir()
    (tmp_path / "cgroup.procs").mkdir()
    (tmp_path / "cgroup.threads").write_text("4\n5\n")
    cgroups.end_tree(tmp_path)
    assert (4, 9) in killed
    assert (5, 9) in killed


def test_version_1_freezes_nothing(kernel):
    """A task frozen there would ignore SIGKILL."""
    groups = Cgroups([Hierarchy(1, kernel("v1", V1), cgroups.CONTROLLERS)], "torpor-x")
    assert not groups.can_freeze
    group = groups.create("i1", BOUNDS)
    assert not group.freeze()
    group.thaw()
    groups.close()


def test_on_older_kernels_of_version_2_the_current_use_stands_for_the_peak(kernel, tmp_path):
    """Before Linux 5.19 there is no memory.peak."""
    own = kernel("v2", [name for name in V2 if name != "memory.peak"])
    part = cgroup_v2.V2Part(own, frozenset({"memory"}))
    (own / "memory.current").write_text("77\n")
    part.reset_peak()
    assert part.peak() == 77
    part.close()


def test_a_group_shared_with_other_programs_is_left_alone(tmp_path, monkeypatch):
    """Where the server is not alone in its version 2 group, nobody is moved, and there are no controllers."""
    own, root = tmp_path / "own", tmp_path / "own" / "torpor-x"
    root.mkdir(parents=True)
    (own / "cgroup.procs").write_text(f"1\n{os.getpid()}\n")
    monkeypatch.setattr(cgroup_v2, "_writes", lambda path, text: False)
    assert cgroup_v2.prepare(own, root, frozenset({"memory"})) == frozenset()
    assert list(own.iterdir()) != []
    assert not (own / "torpor-x-server").exists()


def test_alone_in_its_group_the_server_moves_into_a_leaf_and_back(kernel, monkeypatch):
    """A group whose children have controllers holds no process: ours moves aside, and returns at the end."""
    own = kernel("v2", V2)
    (own / "cgroup.procs").write_text(f"{os.getpid()}\n")
    monkeypatch.setattr(cgroup_v2, "_writes", lambda path, text: False)
    groups = Cgroups([Hierarchy(2, own, frozenset({"memory"}))], "torpor-x")
    leaf = own / "torpor-x-server"
    assert (leaf / "cgroup.procs").read_text() == str(os.getpid())
    groups.close()
    assert not leaf.exists()
    assert (own / "cgroup.procs").read_text() == str(os.getpid())


def test_where_nothing_may_be_made_it_is_said(tmp_path):
    """A hierarchy that refuses us is skipped, with the reason kept for doctor, and limits nothing."""
    groups = Cgroups([Hierarchy(1, tmp_path / "missing", frozenset({"memory"}))], "torpor-x")
    assert groups.limits == frozenset()
    (_, error) = groups.refused[0]
    assert isinstance(error, OSError)
    group = groups.create("i1", BOUNDS)
    assert (group.limits_memory, group.peak(), group.cpu_ns(), group.oom_kills()) == (False, None, None, 0)
    group.remove()


def test_our_own_groups_are_found_in_every_hierarchy(tmp_path):
    """Mount points, bind-mounted subtrees and our own path in each are put together; what is of no use is not."""
    for path in ("memory/session/a", "cpu/a", "unified/a", "freezer"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "unified" / "a" / "cgroup.controllers").write_text("memory pids rdma\n")
    cgroup = "9:name=systemd:/a\n6:freezer:/\n4:memory:/session/a\n1:cpu,cpuacct:/a\n0::/docker/a\n"
    line = "30 25 0:{n} {root} {point} rw - {kind} cgroup rw,{options}\n"
    mountinfo = (
        line.format(n=1, root="/", point=tmp_path / "memory", kind="cgroup", options="memory")
        + line.format(n=2, root="/", point=tmp_path / "cpu", kind="cgroup", options="cpu,cpuacct")
        + line.format(n=3, root="/", point=tmp_path / "freezer", kind="cgroup", options="freezer")
        + line.format(n=4, root="/docker", point=tmp_path / "unified", kind="cgroup2", options="nsdelegate")
        + "31 25 8:1 / / rw,relatime - ext4 /dev/root rw\n"
    )
    assert cgroups.discover(cgroup, mountinfo) == [
        Hierarchy(1, tmp_path / "memory" / "session" / "a", frozenset({"memory"})),
        Hierarchy(1, tmp_path / "cpu" / "a", frozenset({"cpu", "cpuacct"})),
        Hierarchy(2, tmp_path / "unified" / "a", frozenset({"memory", "pids"})),
    ]


def test_a_group_outside_of_what_is_mounted_is_not_ours(tmp_path):
    """In a cgroup namespace whose root we are not below, there is nothing to use."""
    mountinfo = f"30 25 0:1 /elsewhere {tmp_path} rw - cgroup2 cgroup rw\n"
    assert cgroups.discover("0::/here\n", mountinfo) == []
