"""Real instances: how they end, what works in them, what bounds them, and what is left afterwards."""

# Files of /proc and of tmpfs do not block, and what is waited for there sends no events.
# ruff: noqa: ASYNC240

import asyncio
import os
import signal
from pathlib import Path

import pytest

from torpor.core.errors import NotSupported, StartFailed
from torpor.core.function import Isolation
from torpor.runtime.accounts import host_pid
from torpor.runtime.launch import Exit, LaunchSpec, Mount

LIVELY = """
import asyncio, concurrent.futures, multiprocessing, os, pwd, socket, ssl, subprocess, sys, tempfile, threading, time
assert pwd.getpwuid(os.getuid()).pw_name == "sbx_user1051"
assert os.cpu_count() >= 1
found = []
threads = [threading.Thread(target=lambda: found.append(1)) for _ in range(20)]
[t.start() for t in threads]; [t.join() for t in threads]
assert len(found) == 20
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(abs, [-1, -2, -3]) == [1, 2, 3]
with multiprocessing.Lock(): pass
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    assert list(pool.map(abs, [-1, -2])) == [1, 2]
assert subprocess.run(["sh", "-c", "exit 3"], stdout=subprocess.DEVNULL).returncode == 3
async def child():
    return await (await asyncio.create_subprocess_exec("false")).wait()
assert asyncio.run(child()) == 1
with tempfile.NamedTemporaryFile() as file: file.write(b"x" * 100000)
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname()); client.close()
assert socket.gethostbyname("localhost") == "127.0.0.1"
assert os.path.exists("/etc/os-release") and time.localtime()
with open("/dev/stdout", "w") as out: out.write("by path\\n")
with open("/dev/shm/x", "wb") as file: file.write(b"x")
assert len(os.urandom(4)) == 4 and open("/dev/zero", "rb").read(3) == b"\\0\\0\\0"
child = subprocess.run([sys.executable, "-c", "import os; print(os.getppid())"], capture_output=True, text=True)
assert child.stdout.strip() == str(os.getpid()) == "2", child
print("all well")
"""


@pytest.mark.parametrize(
    ("code", "exit_"),
    [
        ("pass", Exit(0, None)),
        ("import os; os._exit(7)", Exit(7, None)),
        ("import os; os.abort()", Exit(None, signal.SIGABRT)),
        ("import os; os.kill(os.getpid(), 9)", Exit(None, signal.SIGKILL)),
        ("import os; os.kill(os.getpid(), 15)", Exit(None, signal.SIGTERM)),
        ("import ctypes; ctypes.string_at(0)", Exit(None, signal.SIGSEGV)),
        ("raise SystemExit(255)", Exit(255, None)),
    ],
)
async def test_how_a_worker_ended_is_told_exactly(outcome, code, exit_):
    """A status or a signal arrives as the worker left, also one that the init of a namespace would have ignored."""
    assert (await outcome(code))[0] == exit_


@pytest.mark.slow
async def test_ordinary_programs_work_inside(outcome):
    """Threads, pools, locks, subprocesses, sockets, temporary files, devices and names are as on any machine."""
    exit_, text = await outcome(LIVELY)
    assert exit_ == Exit(0, None), text
    assert text.splitlines() == ["by path", "all well"]


async def test_the_end_of_the_worker_is_the_end_of_everything_inside(inside, driver, eventually):
    """What the worker leaves running, in whatever session and with whatever signals ignored, ends with it."""
    code = """
import os, signal, time
for number in range(1, 32):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
if os.fork() == 0:
    os.setsid()
    if os.fork(): os._exit(0)
    print("stray", flush=True)
    time.sleep(600)
time.sleep(0.2)
"""
    async with inside(code) as live:
        await driver.output_until(live, lambda text: b"stray" in text)
        below = [*tree(host_pid(live._birth.handle)), *tree(worker_of(live))]
        assert len(set(below)) >= 3  # init, the worker, the stray
        assert await live.wait() == Exit(0, None)
        assert not [pid for pid in below if exists(pid)]


async def test_kill_ends_what_ignores_signals(inside, driver):
    """kill() may come at any time, more than once, and ends an instance that ignores every signal."""
    code = "import signal, time\nfor n in (1, 2, 3, 15): signal.signal(n, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(600)"
    async with inside(code) as live:
        await driver.output_until(live, lambda text: b"up" in text)
        live.kill()
        live.kill()
        assert (await live.wait()).signal == signal.SIGKILL
        live.kill()


async def test_the_door_opens_before_the_code_runs(inside, driver):
    """The server accepts on a listener of the instance's own loopback; the instance reaches it by its address."""
    code = "import socket; print(socket.create_connection(('127.0.0.1', 9001)).recv(99).decode(), flush=True)"
    async with inside(code, doors=(("127.0.0.1", 9001), ("127.0.0.1", 80))) as live:
        door, low = live.listeners
        assert low.getsockname() == ("127.0.0.1", 80)
        door.setblocking(False)
        connection, _ = await asyncio.get_running_loop().sock_accept(door)
        with connection:
            connection.send(b"hello from the platform")
        assert b"hello" in await driver.output_until(live, lambda text: b"platform" in text)


async def test_declared_names_resolve_to_the_door(outcome):
    """Extra hosts stand in the instance's own /etc/hosts."""
    code = "import socket; print(socket.gethostbyname('api.example.com'))"
    assert (await outcome(code, hosts={"api.example.com": "127.0.0.2"}))[1].strip() == "127.0.0.2"


async def test_the_control_socket_is_descriptor_three(inside):
    """What the worker writes to descriptor 3 arrives at our end, and back."""
    code = "import socket; s = socket.socket(fileno=3); s.sendall(s.recv(9)[::-1])"
    async with inside(code) as live:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(live.control, b"abc")
        assert await loop.sock_recv(live.control, 9) == b"cba"


async def test_a_full_tmp_says_so(outcome):
    """/tmp has its own size: overfilling it is an error to the writer, no kill; it has an end to its files too."""
    code = """
import errno, os
try:
    with open("/tmp/big", "wb") as file:
        while True: file.write(b"x" * (1 << 20))
except OSError as error:
    print(errno.errorcode[error.errno], os.path.getsize("/tmp/big") >> 20)
os.unlink("/tmp/big")
try:
    for number in range(100000): os.mkdir(f"/tmp/{number}")
except OSError as error:
    print(errno.errorcode[error.errno])
"""
    exit_, text = await outcome(code, tmp_mb=16, memory_mb=64)
    assert text.splitlines() == ["ENOSPC 16", "ENOSPC"]
    assert exit_ == Exit(0, None)


@pytest.mark.slow
async def test_memory_without_end_ends_the_instance(outcome):
    """An instance that allocates without end is ended, and it is said that it ran out of memory."""
    exit_, _ = await outcome("x = []\nwhile True: x.append(bytearray(1 << 20))", memory_mb=64, tmp_mb=16)
    assert exit_.out_of_memory
    assert exit_.signal == signal.SIGKILL


@pytest.mark.slow
async def test_a_child_without_memory_ends_the_instance_too(inside):
    """When the kernel's victim is a grandchild, the instance does not go on half alive."""
    code = """
import os, time
if os.fork() == 0:
    x = []
    while True: x.append(bytearray(1 << 20))
time.sleep(600)
"""
    async with inside(code, memory_mb=64, tmp_mb=16) as live:
        exit_ = await asyncio.wait_for(live.wait(), 20)
        assert exit_.out_of_memory


@pytest.mark.slow
async def test_a_fork_bomb_is_bounded(outcome):
    """Processes without end meet the limit inside; the instance still ends by one kill."""
    code = """
import os, time
made = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(600)
        made += 1
except OSError as error:
    print(error.errno, made)
"""
    exit_, text = await outcome(code, processes=40)
    errno_, made = map(int, text.split())
    assert errno_ == 11
    assert 30 <= made <= 40
    assert exit_ == Exit(0, None)


async def test_what_it_used_is_measured(box, inside, driver):
    """The most memory and the processor time, of all its processes; and the peak can be measured anew."""
    if not box.limits_memory:
        pytest.skip("memory is only sampled here: a peak between two samples is not seen")
    code = """
import time
x = bytearray(60 << 20); del x
end = time.process_time() + 0.1
while time.process_time() < end: pass
print("done", flush=True); time.sleep(600)
"""
    async with inside(code, memory_mb=128) as live:
        await driver.output_until(live, lambda text: b"done" in text)
        assert 60 <= live.max_memory_mb() < 128
        assert 100 <= live.cpu_ms() < 5000
        live.reset_peak()
        assert live.max_memory_mb() < 60


async def test_resource_limits_hold_inside(outcome):
    """Open files end at their number, and no core file is ever written or handed on."""
    code = """
import os, resource
print(*(resource.getrlimit(getattr(resource, "RLIMIT_" + n))[1] for n in ("NOFILE", "NPROC", "CORE")))
held = []
try:
    while True: held.append(os.dup(0))
except OSError as error: print(error.errno, len(held) + 4)
"""
    assert (await outcome(code, open_files=64, processes=50))[1].splitlines() == ["64 50 1", "24 64"]


async def test_mounts_are_where_they_should_be_and_sealed(outcome, tmp_path):
    """A mount is read-only with everything below it, unless it is asked to be writable."""
    (tmp_path / "code" / "deep").mkdir(parents=True)
    (tmp_path / "code" / "app.py").write_text("x = 1")
    (tmp_path / "out").mkdir()
    code = """
import os
print(open("/var/task/app.py").read(), os.listdir("/a/b/c"))
for path in ("/var/task/new", "/var/task/deep/new", "/a/b/c/new"):
    try:
        open(path, "w").write("made")
    except OSError as error:
        print(path, error.errno)
"""
    mounts = (
        Mount(source=str(tmp_path / "code"), target="/var/task"),
        Mount(source=str(tmp_path / "out"), target="/a/b/c", read_only=False),
    )
    exit_, text = await outcome(code, mounts=mounts, cwd="/var/task")  # it is closed now: what it wrote is ours
    assert text.splitlines() == ["x = 1 []", "/var/task/new 30", "/var/task/deep/new 30"]
    made = tmp_path / "out" / "new"
    assert made.read_text() == "made"
    assert (made.stat().st_uid, (tmp_path / "out").stat().st_uid) == (os.getuid(), os.getuid())
    assert exit_.status == 0


async def test_instances_have_user_ids_of_their_own(box, inside):
    """Two instances that live at once never share a user id, where this machine has ids to give."""
    if not box.own_ids:
        pytest.skip("this user has no range of ids (see /etc/subuid): all instances share one")
    code = "import time; time.sleep(600)"
    async with inside(code) as one, inside(code) as other:
        workers = [worker_of(live) for live in (one, other)]
        owners = {Path(f"/proc/{pid}").stat().st_uid for pid in workers}
        assert len(owners) == 2
        assert os.getuid() not in owners


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"argv": ("/no/such/program",)}, "No such file"),
        ({"cwd": "/no/such/folder"}, "No such file"),
        ({"mounts": (Mount(source="/no/such/source", target="/x"),)}, "open_tree"),
        ({"mounts": (Mount(source="/usr", target="/usr/inside"),)}, "/usr/inside"),
        ({"doors": (("127.0.0.1", 9001), ("127.0.0.1", 9001))}, "Address already in use"),
    ],
)
async def test_a_start_that_fails_says_why_and_leaves_nothing(box, driver, changes, words):
    """What stood in the way is in the error, and descriptors and control groups are as before."""
    await (await driver.start(box, ("-c", "pass"))).close()
    before = traces(box)
    python, needed = driver.interpreter()
    spec = {"instance_id": "x", "argv": (python, "-c", "pass"), "env": {}, "cwd": "/tmp", "mounts": needed}
    with pytest.raises(StartFailed, match=words):
        await box.start(LaunchSpec(**(spec | changes)))
    assert traces(box) == before


async def test_nothing_is_left_of_many_instances(box, driver):
    """After starts and stops, some of them cancelled half-way, there is no descriptor, process or cgroup more."""
    await (await driver.start(box, ("-c", "pass"))).close()
    before = traces(box)
    for round_ in range(6):
        live = [await driver.start(box, ("-c", "import time; time.sleep(600)")) for _ in range(2)]
        started = asyncio.create_task(driver.start(box, ("-c", "pass")))
        await asyncio.sleep(0.003 * round_)
        started.cancel()
        await asyncio.gather(started, return_exceptions=True)
        if not started.cancelled() and not started.exception():
            await started.result().close()
        await asyncio.gather(*(one.close() for one in live), *(one.close() for one in live))
    assert traces(box) == before


async def test_process_isolation_is_refused_in_words(box, driver):
    """What is not built is said, not silently replaced by something weaker."""
    with pytest.raises(NotSupported, match="sandbox"):
        await driver.start(box, ("-c", "pass"), isolation=Isolation.PROCESS)


def worker_of(live):
    """The worker as the host sees it: a child of init, or of the nest that it was forked in."""
    if os.geteuid() != 0:
        pytest.skip("only root may see which namespace a process of an instance is in")
    init = host_pid(live._birth.handle)
    numbers = [(folder, status(folder)) for folder in Path("/proc").iterdir() if folder.name.isdigit()]
    space = Path(f"/proc/{init}/ns/pid").readlink()
    return next(int(folder.name) for folder, inner in numbers if inner[-1:] == ["2"] and same_space(folder, space))


def status(folder):
    try:
        lines = (folder / "status").read_text().splitlines()
    except OSError:
        return []
    return next((line.split()[1:] for line in lines if line.startswith("NSpid:")), [])


def same_space(folder, space):
    try:
        return (folder / "ns" / "pid").readlink() == space
    except OSError:
        return False


def exists(pid):
    return Path(f"/proc/{pid}").exists()


def tree(pid):
    children = [int(c) for t in Path(f"/proc/{pid}/task").iterdir() for c in (t / "children").read_text().split()]
    return [pid, *(below for child in children for below in tree(child))]


def traces(box):
    """What an instance could leave: our descriptors, the sentinel's children, control groups, mounts."""
    sentinel = host_pid(box._link._handle)
    groups = sorted(str(p) for _, root in box._cgroups.roots for p in root.iterdir() if p.is_dir())
    held = Path(f"/proc/{sentinel}/fd")
    return (
        len(list(Path("/proc/self/fd").iterdir())),
        len(list(held.iterdir())) if os.access(held, os.R_OK) else 0,
        len(tree(sentinel)),
        groups,
        Path("/proc/self/mountinfo").read_text(),
    )
