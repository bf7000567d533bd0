"""What is left when the server, the sentinel or the janitor is killed: nothing, and work goes on where it can."""

# Files of /proc and of tmpfs do not block, and what is waited for there sends no events.
# ruff: noqa: ASYNC110, ASYNC240

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from torpor.core.errors import NotSupported, StartFailed
from torpor.runtime.accounts import host_pid
from torpor.runtime.launch import SandboxOptions, open_sandboxes
from torpor.runtime.link import SentinelLink
from torpor.runtime.sandboxed_command import run_sandboxed
from torpor.sandbox.ids import IdPlan


@pytest.fixture(params=["as we are", "without rights"])
def doomed(request, driver, tmp_path, born):
    """A server in a process of its own, with stubborn instances: (the process, what it says there is)."""
    words = [sys.executable, str(driver.HERE / "server.py"), str(tmp_path), born]
    options = {"stdout": subprocess.PIPE, "text": True}
    if request.param == "without rights":
        folder = str(request.getfixturevalue("strangers_folder")())
        words, options = request.getfixturevalue("command_as_stranger")(words[1], folder, born)
    with subprocess.Popen(words, **options) as process:
        line = process.stdout.readline()
        yield process, json.loads(line)
        process.kill()


@pytest.fixture
def gone():
    """Which processes of a list have ended."""

    def is_gone(pid):
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
        except OSError:
            return True

    return lambda pids: all(map(is_gone, pids))


@pytest.fixture
def tree():
    """A process and all below it."""

    def walk(pid):
        children = [int(c) for t in Path(f"/proc/{pid}/task").iterdir() for c in (t / "children").read_text().split()]
        return [pid, *(below for child in children for below in walk(child))]

    return walk


@pytest.mark.slow
async def test_nothing_outlives_a_killed_server(doomed, gone, tree, eventually):
    """After kill -9 every process below ends within a second, whatever it ignores; the janitor removes the cgroups."""
    process, told = doomed
    below = tree(told["sentinel"])
    assert len(below) >= 1 + 3 * 3 + 4  # three instances of init, worker and child, and the command's own
    mounts = Path("/proc/self/mountinfo").read_text()
    process.send_signal(signal.SIGKILL)
    process.wait()
    await eventually(lambda: gone(below), bound_s=1.0, every_s=0.001)
    await eventually(lambda: not any(Path(group).exists() for group in told["groups"]))
    await eventually(lambda: gone([told["janitor"]]))
    assert not (Path(told["run"]) / "cgroups.json").exists()
    assert Path("/proc/self/mountinfo").read_text() == mounts


@pytest.mark.slow
async def test_the_next_server_sweeps_when_the_janitor_died_too(doomed, gone, tree, tmp_path, eventually):
    """With server and janitor killed, the cgroups stay until the next start in the same folder, which removes them."""
    process, told = doomed
    below = tree(told["sentinel"])
    os.kill(told["janitor"], signal.SIGKILL)
    process.send_signal(signal.SIGKILL)
    process.wait()
    await eventually(lambda: gone(below), bound_s=1.0, every_s=0.001)
    assert all(Path(group).exists() for group in told["groups"])
    assert (Path(told["run"]) / "cgroups.json").exists()
    again = await open_sandboxes(SandboxOptions(data_dir=tmp_path, run_dir=Path(told["run"])))
    await again.close()
    assert not (Path(told["run"]) / "cgroups.json").exists()
    assert not any(Path(group).exists() for group in told["groups"])


@pytest.mark.slow
async def test_a_dead_sentinel_is_replaced(box, inside, driver, gone, tree):
    """Its instances are told as ended once all of them are gone; a start meanwhile fails in words; then all works again."""
    sentinel = host_pid(box._link._handle)
    async with inside("import time; time.sleep(600)") as live, inside("import time; time.sleep(600)") as other:
        below = tree(sentinel)
        os.kill(sentinel, signal.SIGKILL)
        assert (await asyncio.wait_for(live.wait(), 5)).signal == signal.SIGKILL
        assert (await asyncio.wait_for(other.wait(), 5)).signal == signal.SIGKILL
        assert gone(below)
        with pytest.raises(StartFailed, match="restarted"):
            await driver.start(box, ("-c", "pass"))
    async with asyncio.timeout(10):
        while box._link._server is None:
            await asyncio.sleep(0.01)
    async with inside("print('back')") as live:
        assert await driver.output_until(live, lambda _: False) == b"back\n"
    assert host_pid(box._link._handle) != sentinel


def _children() -> set[str]:
    """Our own children, those of other tests' fixtures among them."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


async def test_a_sentinel_that_cannot_start_says_why():
    """Ids that may not be mapped are an error with the reason, and no process or descriptor stays behind."""
    before, children = len(list(Path("/proc/self/fd").iterdir())), _children()
    overlapping = ((0, 0, 1), (1, 0, 5))
    link = SentinelLink(IdPlan(overlapping, overlapping, 5))
    with pytest.raises(NotSupported, match=r"did not start: .*(Invalid argument|not permitted|mapped)"):
        await link.open()
    await link.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert _children() <= children


@pytest.mark.slow
async def test_starts_under_way_fail_when_the_sentinel_dies(box, driver):
    """A start that the sentinel's death interrupts raises StartFailed and leaves nothing waiting."""
    starts = [asyncio.create_task(driver.start(box, ("-c", "import time; time.sleep(600)"))) for _ in range(8)]
    await asyncio.sleep(0.01)
    os.kill(host_pid(box._link._handle), signal.SIGKILL)
    results = await asyncio.wait_for(asyncio.gather(*starts, return_exceptions=True), 10)
    assert any(isinstance(result, StartFailed) for result in results)
    for result in results:
        if isinstance(result, StartFailed):
            continue
        assert (await result.wait()).signal == signal.SIGKILL
        await result.close()


@pytest.mark.slow
async def test_commands_are_captured_bounded_and_ended(box, gone):
    """A command's output and status come back; one that takes too long is killed with all that it started."""
    env = {"PATH": os.environ["PATH"], "ONLY": "this"}
    done = await box.run(["sh", "-c", "env; echo err >&2; exit 5"], env=env, cwd="/usr", timeout_s=10)
    assert done.returncode == 5
    assert {b"ONLY=this", b"PWD=/usr", b"err"} <= set(done.output.splitlines())
    flood = await box.run(["sh", "-c", "yes | head -c 3000000; echo end"], env=env, cwd="/", timeout_s=10)
    assert len(flood.output) == 1 << 20
    assert flood.output.endswith(b"end\n")
    slow = await box.run(["sh", "-c", "echo $$; setsid sleep 600 & sleep 600"], env=env, cwd="/", timeout_s=0.3)
    assert slow.returncode == -signal.SIGKILL
    assert b"stopped after 0.3 s" in slow.output
    with pytest.raises(StartFailed, match="no program"):
        await box.run(["no-such-program"], env=env, cwd="/", timeout_s=1)
    with pytest.raises(StartFailed, match="No such file"):
        await box.run(["true"], env=env, cwd="/no/such/folder", timeout_s=1)
    assert len(host_children(box)) == 0


async def test_a_command_sees_the_servers_files_and_ends_with_its_caller(box, tmp_path):
    """It may write where the server may, as the server; cancelling its caller ends it."""
    env = {"PATH": os.environ["PATH"]}
    await box.run(["sh", "-c", "echo made > made"], env=env, cwd=tmp_path, timeout_s=10)
    assert (tmp_path / "made").stat().st_uid == os.geteuid()
    running = asyncio.create_task(box.run(["sleep", "600"], env=env, cwd="/", timeout_s=600))
    async with asyncio.timeout(10):
        while len(host_children(box)) == 0:
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert len(host_children(box)) == 0


async def test_an_untrusted_command_changes_only_what_it_may(box, driver, tmp_path):
    """A sandboxed build reads what it is shown, writes where it may, and what it wrote is the server's afterwards."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "source").write_text("text")
    (tmp_path / "out").mkdir()
    (tmp_path / "hidden").write_text("secret")
    python, _ = driver.interpreter()
    connect = f"import socket; socket.socket(socket.AF_UNIX).connect(chr(0) + 'torpor-test-{tmp_path}')"
    script = f'{python} -c "{connect}"; cat in/source > out/copy; mkdir -m 700 out/deep; touch out/deep/x in/new; cat {tmp_path}/hidden'
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f"\0torpor-test-{tmp_path}")
    listener.listen()
    done = await run_sandboxed(
        box,
        ["/bin/sh", "-c", script],
        env={"PATH": "/usr/bin:/bin"},
        cwd=str(tmp_path),
        timeout_s=20,
        writable=[tmp_path / "out"],
        readable=[tmp_path / "in"],
    )
    listener.close()
    assert done.returncode == 1, done.output
    assert b"PermissionError" in done.output  # the abstract sockets of the network that it shares
    assert b"Read-only file system" in done.output
    assert b"secret" not in done.output
    assert (tmp_path / "out" / "copy").read_text() == "text"
    owners = {path.stat().st_uid for path in (tmp_path / "out").rglob("*")}
    assert owners == {os.geteuid()}


def host_children(box):
    sentinel = host_pid(box._link._handle)
    return Path(f"/proc/{sentinel}/task/{sentinel}/children").read_text().split()
