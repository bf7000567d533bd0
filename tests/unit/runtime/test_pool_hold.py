"""Short calls wait a moment for an instance that runs, and no longer."""

import asyncio
import threading

import pytest

from torpor.core.invocation import Invocation
from torpor.policy.hold import Pace, at_first
from torpor.runtime import brake
from torpor.wire.frames import Kind


@pytest.fixture
def gate():
    made = threading.Event()
    yield made
    made.set()


@pytest.fixture
def gated(gate):
    def script(guest):
        guest.ready()
        while (frame := guest.receive()) is not None:
            if frame.payload.endswith(b'"wait"'):
                gate.wait(10)
            guest.send(Kind.RESULT, frame.id, b"1")

    return script


def call(stage, payload):
    return asyncio.create_task(stage.node.invoke(stage.revision, Invocation(payload=payload)))


async def test_a_burst_of_short_calls_wakes_few_instances(stage, gated, monkeypatch):
    """Known to be short, forty calls at once are done by as many instances as keep the processors busy."""
    monkeypatch.setattr(brake, "PROCESSORS", 2)
    monkeypatch.setattr(Pace, "is_short", True)
    monkeypatch.setattr("torpor.runtime.line.TICK_S", 10)
    stage.open(gated)
    await asyncio.gather(*(call(stage, b"1") for _ in range(40)))
    assert len(stage.launcher.instances) == at_first(2)


async def test_who_waits_for_others_holds_nobody_up(stage, gate, gated, monkeypatch):
    """Where nothing comes to its end, the held go on, with instances of their own."""
    monkeypatch.setattr(brake, "PROCESSORS", 1)
    monkeypatch.setattr(Pace, "is_short", True)
    stage.open(gated)
    slow = [call(stage, b'"wait"') for _ in range(8)]
    assert (await asyncio.wait_for(call(stage, b"1"), 10)).payload == b"1"
    assert not any(one.done() for one in slow)
    gate.set()
    await asyncio.gather(*slow)
