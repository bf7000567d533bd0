"""A launcher whose guests are functions in this process: they say whatever a test wants on the control channel."""

import asyncio
import contextlib
import os
import socket
import threading

import pytest
from hypothesis import settings

from torpor.core.invocation import Depth, Invocation
from torpor.core.limits import Limits
from torpor.runtime.node import Node, NodeOptions
from torpor.runtime.prepared import NothingPrepared
from torpor.runtime.spec import Exit
from torpor.testing.logs import MemoryLog
from torpor.testing.revisions import make_revision
from torpor.wire.frames import Decoder, Frame, Kind, encode
from torpor.wire.messages import Ready, pack_ready

settings.register_profile("steady", deadline=None)  # the machine may be busy: time is no property of the code
settings.load_profile("steady")

LEFT = Exit(0, None)


class Guest:
    """The inside of a scripted instance: blocking, run in a thread."""

    def __init__(self, control, output):
        self.control = control
        self.output = output
        self._decoder = Decoder(1 << 30)
        self._frames = []

    def send(self, kind, request=0, payload=b""):
        self.control.sendall(encode(Frame(kind, request, payload)))

    def ready(self):
        self.send(Kind.READY, 0, pack_ready(Ready(1.0, ())))

    def receive(self):
        while not self._frames:
            data = self.control.recv(65536)
            if not data:
                return None
            self._frames += self._decoder.feed(data)
        return self._frames.pop(0)

    def echo(self):
        """A guest as it should be."""
        self.ready()
        while (frame := self.receive()) is not None:
            self.send(Kind.RESULT, frame.id, b'"echo"')


class ScriptedInstance:
    def __init__(self, script, exit_with):
        self.control, inside = socket.socketpair()
        self.control.setblocking(False)
        self.output, write_end = os.pipe()
        os.set_blocking(self.output, False)
        self.listeners = ()
        self.depth, self.reason = Depth.SPAWN, ""
        self.closed = self.frozen = False
        self.freezes = self.thaws = 0
        self._inside = inside
        self._exit = asyncio.get_running_loop().create_future()
        self._exit_with = exit_with
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._live, args=(script, Guest(inside, write_end), write_end))
        self._thread.start()

    def _live(self, script, guest, write_end):
        with contextlib.suppress(OSError):  # it was killed
            script(guest)
        self._inside.close()
        os.close(write_end)
        self._loop.call_soon_threadsafe(self._ended, self._exit_with)

    def _ended(self, how):
        if not self._exit.done():
            self._exit.set_result(how)

    async def wait(self):
        how = await asyncio.shield(self._exit)
        if isinstance(how, Exception):
            raise how
        return how

    def kill(self):
        self._ended(Exit(None, 9, out_of_memory=self.out_of_memory()))
        with contextlib.suppress(OSError):  # it has left already
            self._inside.shutdown(socket.SHUT_RDWR)

    def max_memory_mb(self):
        assert not self.closed
        return 10

    def cpu_ms(self):
        assert not self.closed
        return 1.0

    def out_of_memory(self):
        return isinstance(self._exit_with, Exit) and self._exit_with.out_of_memory

    def reset_peak(self):
        pass

    def freeze(self):
        assert not self.closed
        assert not self.frozen
        self.frozen = True
        self.freezes += 1
        return True

    def thaw(self):
        assert self.frozen
        self.frozen = False
        self.thaws += 1

    async def close(self):
        self.kill()
        self.closed = True
        self.control.close()
        os.close(self.output)
        await asyncio.to_thread(self._thread.join)


class ScriptedLauncher:
    """Each start takes the next script, the last one for ever; an exception in its place is raised."""

    def __init__(self, *scripts, exit_with=LEFT):
        self._scripts = list(scripts)
        self._exit_with = exit_with
        self.instances = []
        self.attempts = 0
        self.learned = []
        self.prepared = NothingPrepared()

    def learn(self, spec, modules):
        self.learned += modules

    async def start(self, spec):
        self.attempts += 1
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        if isinstance(script, Exception):
            raise script
        instance = ScriptedInstance(script, self._exit_with)
        self.instances.append(instance)
        return instance


class Door:
    """Counts what is opened and closed; `failure` is raised instead."""

    def __init__(self):
        self.opened = self.closed = 0
        self.failure = None
        self.gate = None

    async def open(self, revision, instance_id, listeners):
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        self.opened += 1
        return self

    async def close(self):
        self.closed += 1


class Stage:
    """A node over scripted guests."""

    def __init__(self, tmp_path):
        self.log = MemoryLog()
        self.door = Door()
        self.node = None
        self.launcher = None
        self.revision = make_revision(tmp_path / "code", "", timeout_s=5)

    def open(self, *scripts, exit_with=LEFT, concurrency=1000, **options):
        self.launcher = ScriptedLauncher(*scripts, exit_with=exit_with)
        limits = Limits(response_payload=1000, concurrency=concurrency)
        self.node = Node(
            self.launcher,
            options=NodeOptions(limits=limits, **options),
            open_door=self.door.open,
            log_sink=self.log,
        )
        return self.node

    async def call(self, payload=b"{}"):
        return await asyncio.wait_for(self.node.invoke(self.revision, Invocation(payload=payload)), 10)

    async def close(self):
        if self.node is not None:
            await self.node.close(grace_s=0)
            assert self.door.opened == self.door.closed
            assert all(one.closed for one in self.launcher.instances)


@pytest.fixture
async def stage(tmp_path):
    """After the test nothing may be open."""
    made = Stage(tmp_path)
    yield made
    await made.close()


@pytest.fixture
def make_stage(tmp_path):
    """For tests that run several nodes, one after the other."""
    return lambda: Stage(tmp_path)
