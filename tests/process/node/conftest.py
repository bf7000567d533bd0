"""A node over each launcher there is: plain processes, and real sandboxes where the machine allows them."""

import asyncio
import json
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import uvloop

from torpor.core.errors import NotSupported
from torpor.core.invocation import Invocation
from torpor.core.limits import Limits
from torpor.runtime.launch import SandboxOptions, open_sandboxes
from torpor.runtime.node import Node, NodeOptions
from torpor.runtime.ports import open_no_door
from torpor.testing.logs import MemoryLog
from torpor.testing.processes import PlainProcesses
from torpor.testing.revisions import make_revision


def pytest_asyncio_loop_factories(config, item):
    """The server's own loop."""
    return {"uvloop": uvloop.new_event_loop}


async def _sandboxes(folder):
    if os.geteuid() != 0:
        pytest.skip("sandboxes are tried as root here; the rootless acceptance test has its own run")
    try:
        return await open_sandboxes(SandboxOptions(data_dir=folder / "data", run_dir=folder / "run"))
    except NotSupported as error:
        pytest.skip(f"this machine allows no sandboxes: {error}")


@pytest.fixture(params=["plain", "sandbox"])
async def launcher(request, tmp_path):
    """Closed after the test, when nothing of it may be left."""
    made = PlainProcesses() if request.param == "plain" else await _sandboxes(tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def sandboxes(tmp_path):
    """Real sandboxes only, for what needs walls."""
    made = await _sandboxes(tmp_path)
    yield made
    await made.close()


class Bench:
    """A node with its log, and short ways to call it."""

    def __init__(self, launcher, folder):
        self._folder = folder
        self._launcher = launcher
        self._nodes = []
        self.log = MemoryLog()
        self.abandoned = []

    def open(self, **options):
        """Another node with these options; `limits` are merged into the defaults."""
        limits = replace(Limits(), **options.pop("limits", {}))
        node = Node(
            self._launcher,
            options=NodeOptions(limits=limits, **options),
            open_door=open_no_door,
            log_sink=self.log,
            abandoned=self.abandoned.append,
        )
        self._nodes.append(node)
        return node

    def revision(self, code, **config):
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        folder.chmod(0o755)
        return make_revision(folder, code, **{"timeout_s": 10, **config})

    async def call(self, node, revision, event=None, **invocation):
        return await node.invoke(revision, Invocation(payload=json.dumps(event).encode(), **invocation))

    async def until(self, condition, within_s=10.0):
        """Wait for a condition, with a bound."""
        async with asyncio.timeout(within_s):
            while not condition():  # noqa: ASYNC110  # what is waited for is seen from outside only
                await asyncio.sleep(0.005)

    async def close(self):
        for node in self._nodes:
            await node.close(grace_s=0)


@pytest.fixture
async def bench(launcher, tmp_path):
    tmp_path.chmod(0o755)
    made = Bench(launcher, tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def walled(sandboxes, tmp_path):
    """The same over real sandboxes only."""
    tmp_path.chmod(0o755)
    made = Bench(sandboxes, tmp_path)
    yield made
    await made.close()
