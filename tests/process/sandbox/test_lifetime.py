"""The launcher as a whole: other loops, other ways to map ids, and its own end."""

# Files of /proc do not block.
# ruff: noqa: ASYNC240

import asyncio
import os
import resource
from contextlib import ExitStack
from pathlib import Path

import pytest

from torpor.core.errors import StartFailed, TorporError
from torpor.runtime.accounts import host_pid
from torpor.runtime.launch import Exit, LaunchSpec, SandboxOptions, open_sandboxes
from torpor.runtime.link import SentinelLink
from torpor.sandbox import ids

# What the setuid tools do, for a test that may do it without them.
TOOL = """#!/bin/sh
process=$1; shift
while [ $# -gt 0 ]; do rows="$rows$1 $2 $3
"; shift 3; done
printf %s "$rows" > /proc/$process/{file}
"""


@pytest.mark.slow
def test_everything_works_on_uvloop(driver, tmp_path):
    """The server's own event loop starts, hears, ends and closes instances and commands."""
    uvloop = pytest.importorskip("uvloop")

    async def life():
        box = await open_sandboxes(SandboxOptions(data_dir=tmp_path, run_dir=tmp_path / "run"))
        try:
            live = await driver.start(box, ("-c", "print('up'); raise SystemExit(4)"))
            text = await driver.output_until(live, lambda _: False)
            exit_ = await live.wait()
            await live.close()
            greedy = await driver.start(box, ("-c", "x = []\nwhile True: x.append(bytearray(1 << 20))"), memory_mb=64)
            out_of_memory = (await greedy.wait()).out_of_memory
            done = await box.run(["echo", "said"], env={"PATH": os.environ["PATH"]}, cwd="/", timeout_s=10)
            return text, exit_, out_of_memory, done.output
        finally:
            await box.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(life()) == (b"up\n", Exit(4, None), True, b"said\n")


@pytest.mark.slow
async def test_the_tools_for_subordinate_ids_are_used_where_we_may_not_map(tmp_path):
    """newuidmap and newgidmap are called with the process and the rows of its map, and what they wrote holds."""
    if os.geteuid() != 0:
        pytest.skip("only root can stand in for the setuid tools")
    tools = []
    for name, file in (("newuidmap", "uid_map"), ("newgidmap", "gid_map")):
        tool = tmp_path / name
        tool.write_text(TOOL.replace("{file}", file))
        tool.chmod(0o755)
        tools.append(str(tool))
    rows = ((0, 0, 1), (1, 300_000, 1000))
    link = SentinelLink(ids.IdPlan(rows, rows, 1000, (tools[0], tools[1])))
    await link.open()
    try:
        seen = Path(f"/proc/{host_pid(link._handle)}/uid_map").read_text().split()
        assert seen == ["0", "0", "1", "1", "300000", "1000"]
    finally:
        await link.close()


async def test_closing_ends_what_runs_and_what_is_being_started(driver, tmp_path):
    """close() leaves no instance, no half-made one, no control group and no descriptor; later starts are refused."""
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    box = await open_sandboxes(SandboxOptions(data_dir=tmp_path, run_dir=tmp_path / "run"))
    groups = [root for _, root in box._cgroups.roots]
    live = await driver.start(box, ("-c", "import time; time.sleep(600)"))
    under_way = [asyncio.create_task(driver.start(box, ("-c", "import time; time.sleep(600)"))) for _ in range(4)]
    await asyncio.sleep(0.005)
    await box.close()
    assert (await live.wait()).signal == 9
    for result in await asyncio.gather(*under_way, return_exceptions=True):
        if not isinstance(result, TorporError):  # it was ready just before
            await result.close()
    with pytest.raises(StartFailed, match="stopping"):
        await box.start(LaunchSpec(instance_id="x", argv=("/bin/true",), env={}))
    await box.close()
    assert not [group for group in groups if group.exists()]
    assert list((tmp_path / "run").iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


async def test_a_server_out_of_descriptors_fails_starts_and_recovers(box, driver):
    """With no descriptor left a start fails in words, at whatever point that happens; afterwards all is as before."""
    await (await driver.start(box, ("-c", "pass"))).close()
    groups = [root for _, root in box._cgroups.roots]
    before = len(list(Path("/proc/self/fd").iterdir()))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    outcomes = []
    with ExitStack() as filled:
        for spare in range(1, 33):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            highest = fill(filled)
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + spare, hard))
            filled.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
            try:
                await (await driver.start(box, ("-c", "pass"))).close()
                outcomes.append("started")
            except StartFailed:
                outcomes.append("failed")
    assert outcomes[0] == "failed"
    assert outcomes[-1] == "started"
    await (await driver.start(box, ("-c", "pass"))).close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert not [group for root in groups for group in root.iterdir() if group.is_dir()]


def fill(filled):
    """Open files until no number is free below the highest; returns the highest."""
    used = {int(fd.name) for fd in Path("/proc/self/fd").iterdir()}
    while (fd := os.dup(0)) < max(used):
        filled.callback(os.close, fd)
    os.close(fd)
    return max(used)


async def test_the_server_may_open_as_many_files_as_the_system_lets_it(tmp_path):
    """A hundred instances hold more than the usual 1024 descriptors: the soft limit is raised to the hard one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, hard), hard))
    try:
        box = await open_sandboxes(SandboxOptions(data_dir=tmp_path, run_dir=tmp_path / "run"))
        await box.close()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_figures_stay_after_the_end(box, inside):
    """What an instance used can still be asked after it is closed."""
    if not box.limits_memory:
        pytest.skip("memory is only sampled here: a peak between two samples is not seen")
    async with inside("x = bytearray(20 << 20)") as live:
        await live.wait()
        used = live.max_memory_mb()
    assert used >= 20
    assert live.max_memory_mb() == used
    assert live.cpu_ms() > 0
    live.reset_peak()
    live.kill()
    await live.close()
