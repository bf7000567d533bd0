"""A node whose instances are forked, with real zygotes, and short ways to see what becomes of them."""

import asyncio
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from torpor.core.errors import NotSupported
from torpor.core.invocation import Depth, Invocation
from torpor.runtime.accounts import host_pid
from torpor.runtime.launch import SandboxOptions, open_sandboxes
from torpor.runtime.node import Node, NodeOptions
from torpor.runtime.ports import open_no_door
from torpor.testing.logs import MemoryLog
from torpor.testing.revisions import make_revision


def pytest_asyncio_loop_factories(config, item):
    """The server's own loop."""
    return {"uvloop": uvloop.new_event_loop}


class Nursery:
    """A node over sandboxes. `libraries` is a folder that its environment has on its path, for modules made here."""

    def __init__(self, sandboxes, folder):
        self.sandboxes = sandboxes
        self.libraries = folder / "libraries"
        self.libraries.mkdir(mode=0o755)
        self.log = MemoryLog()
        self.notes = []
        self._folder = folder
        self.node = Node(sandboxes, options=NodeOptions(), open_door=open_no_door, log_sink=self.log)

    def module(self, name, text):
        (self.libraries / f"{name}.py").write_text(text)

    def revision(self, code, **config):
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        folder.chmod(0o755)
        made = make_revision(folder, code, **{"timeout_s": 10, "name": folder.name, **config})
        environment = made.environment
        mounts = (*environment.mounts, str(self.libraries))
        made = replace(made, environment=replace(environment, mounts=mounts, site_packages=str(self.libraries)))
        return replace(made, key=f"{made.key}-{folder.name}")

    async def call(self, revision, event=None):
        return await self.node.invoke(revision, Invocation(payload=json.dumps(event).encode()))

    async def answer(self, revision, event=None):
        """What the handler returned, and the depth that it started from."""
        outcome = await self.call(revision, event)
        assert outcome.function_error is None, outcome.payload
        return json.loads(outcome.payload), outcome.usage.depth

    @property
    def place(self):
        """What the registry has for the environment of these tests."""
        return self.sandboxes._zygotes._places.get("own")

    @property
    def start(self):
        return self.sandboxes.zygote_state("own")

    async def until(self, condition, within_s=20.0):
        async with asyncio.timeout(within_s):
            while not (value := condition()):  # noqa: ASYNC110 -- what is waited for is seen from outside only
                await asyncio.sleep(0.005)
            return value

    async def warm(self, code="def handler(event, context): return 1", **config):
        """Let a zygote be built by a first start of this code; returns the zygote."""
        await self.call(self.revision(code, **config))
        await self.settled()
        assert self.start[0] is Depth.ZYGOTE, self.start
        return self.place.zygote

    async def settled(self):
        """Nothing is being built or prepared any more."""
        await self.until(lambda: self.place and not (self.place.building or self.place.filling))

    def zygote_process(self):
        """The zygote as the host sees it: of those that run its program, the one that is no worker (process 2 inside)."""
        found = [pid for pid in below(host_pid(self.sandboxes._link._handle)) if _runs_zygote(pid)]
        assert len(found) == 1, found
        return found[0]

    def processes(self):
        """The sentinel and all below it, as the host sees them."""
        return below(host_pid(self.sandboxes._link._handle))

    def traces(self):
        """What could be left: our descriptors, processes below the sentinel, control groups."""
        sentinel = host_pid(self.sandboxes._link._handle)
        groups = sorted(str(p) for _, root in self.sandboxes._cgroups.roots for p in root.iterdir() if p.is_dir())
        return len(list(Path("/proc/self/fd").iterdir())), len(below(sentinel)), len(groups)


def below(pid):
    children = [int(c) for t in Path(f"/proc/{pid}/task").iterdir() for c in (t / "children").read_text().split()]
    return [pid, *(one for child in children for one in below(child))]


def _runs_zygote(pid):
    inner = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("NSpid"))
    return b"runtime.zygote" in Path(f"/proc/{pid}/cmdline").read_bytes() and inner.split()[-1] != "2"


@pytest.fixture
def blanks():
    """How many blanks are held ready; a test may say otherwise."""
    return 2


@pytest.fixture
async def nursery(tmp_path, blanks):
    if os.geteuid() != 0:
        pytest.skip("as root here; without rights the escape suite forks, too")
    tmp_path.chmod(0o755)
    options = SandboxOptions(data_dir=tmp_path / "data", run_dir=tmp_path / "run", blanks=blanks)
    try:
        sandboxes = await open_sandboxes(options)
    except NotSupported as error:
        pytest.skip(f"this machine allows no sandboxes: {error}")
    made = Nursery(sandboxes, tmp_path)
    yield made
    await made.node.close(grace_s=0)
    await sandboxes.close()
