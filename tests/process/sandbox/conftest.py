"""A real launcher, and scripts that run in real sandboxes."""

import asyncio
import importlib.util
import os
import shutil
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from torpor.core.errors import NotSupported
from torpor.runtime.launch import SandboxOptions, open_sandboxes

HERE = Path(__file__).parent
SOURCE = HERE.parents[2] / "src"
STRANGER = 12345  # an id that owns nothing


@pytest.fixture(scope="session")
def driver():
    """The module driver.py, which also runs as a program of its own."""
    spec = importlib.util.spec_from_file_location("sandbox_driver", HERE / "driver.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
async def box(tmp_path):
    """Sandboxes of this machine, opened and, whatever happens, closed."""
    try:
        options = SandboxOptions(data_dir=tmp_path / "data", run_dir=tmp_path / "run", blanks=0)
        opened = await open_sandboxes(options)
    except NotSupported as error:
        pytest.skip(f"no sandboxes here: {error}")
    yield opened
    await opened.close()


@pytest.fixture(params=["spawned", "forked"])
def born(request):
    """How instances come to be."""
    return request.param


@pytest.fixture
def inside(box, driver, born):
    """Starts Python code in an instance, closed at the end of the block."""

    @asynccontextmanager
    async def start(code, *arguments, **changes):
        if born == "forked":
            await driver.prepare(box)
            changes = {"zygote": driver.zygote(), **changes}
        live = await driver.start(box, ("-c", code), *arguments, **changes)
        try:
            yield live
        finally:
            await live.close()

    return start


@pytest.fixture
def outcome(inside, driver):
    """Runs Python code in an instance to its end: (how it ended, what it printed)."""

    async def run(code, *arguments, **changes):
        async with inside(code, *arguments, **changes) as live:
            text = await driver.output_until(live, lambda _: False)
            return await live.wait(), text.decode(errors="replace")

    return run


@pytest.fixture
def eventually():
    """Waits until a condition holds, with a bound."""

    async def wait(condition, bound_s=10.0, every_s=0.005):
        deadline = asyncio.get_running_loop().time() + bound_s
        while not (value := condition()):
            assert asyncio.get_running_loop().time() < deadline, f"not within {bound_s} s"
            await asyncio.sleep(every_s)
        return value

    return wait


def as_stranger(script, *arguments, timeout=120):
    """Run one of our scripts as a user without any rights, with an interpreter which that user can reach."""
    words, options = strangers_command(script, *arguments)
    return subprocess.run(words, **options, stderr=subprocess.PIPE, check=False, timeout=timeout)


def strangers_command(script, *arguments):
    """(words, options) for subprocess, to run one of our scripts as that user."""
    python = reachable_python()
    if python is None:
        pytest.skip("no Python 3.11 or later that an ordinary user can reach")
    env = {"PYTHONPATH": str(SOURCE), "PATH": "/usr/bin:/bin"}
    options = {**_stranger(), "env": env, "cwd": "/", "stdout": subprocess.PIPE, "text": True}
    return [python, "-B", str(script), *arguments], options


def _stranger():
    return {"user": STRANGER, "group": STRANGER, "extra_groups": []} if os.geteuid() == 0 else {}


def reachable_python():
    """An interpreter, 3.11 or later, which an ordinary user may execute, and which may read our sources."""
    check = (
        f"import sys, os; sys.exit(sys.version_info < (3, 11) or not os.access({str(SOURCE / 'torpor')!r}, os.R_OK))"
    )
    for python in dict.fromkeys(("/usr/bin/python3", shutil.which("python3"), sys.executable)):
        try:
            if python and subprocess.run([python, "-c", check], **_stranger(), cwd="/", check=False).returncode == 0:
                return python
        except PermissionError:
            continue
    return None


@pytest.fixture(scope="session")
def run_as_stranger():
    return as_stranger


@pytest.fixture(scope="session")
def command_as_stranger():
    return strangers_command


@pytest.fixture(scope="session")
def strangers_folder(tmp_path_factory):
    """Makes empty folders that the user without rights owns and can reach."""
    made = []

    def make():
        folder = Path("/tmp") / f"torpor-stranger-{os.getpid()}-{len(made)}"  # pytest's own are closed to others
        folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(folder, STRANGER, STRANGER)
        made.append(folder)
        return folder

    yield make
    for folder in made:
        shutil.rmtree(folder)
