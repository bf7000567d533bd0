"""Instances whose guest says what it should not, and launches that fail: the node answers, and leaves nothing open."""

import asyncio
import json
import socket
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from torpor.core.errors import NotSupported, PlatformFault, StartFailed
from torpor.core.invocation import Invocation, Result
from torpor.runtime.spec import Exit
from torpor.wire.frames import Kind


def echo(guest):
    guest.echo()


def after_ready(act):
    """A guest that is ready, takes one invocation, and then does `act(guest, frame)`."""

    def script(guest):
        guest.ready()
        act(guest, guest.receive())
        guest.receive()

    return script


async def test_a_well_behaved_guest_answers(stage):
    """The stage itself works."""
    stage.open(echo)
    outcome = await stage.call()
    assert outcome.payload == b'"echo"'
    assert outcome.usage.max_memory_mb == 10


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda guest, frame: guest.control.sendall(b"\xff" * 64), "a frame of unknown kind 255"),
        (lambda guest, frame: guest.send(Kind.INVOKE, frame.id), "a frame of unknown kind 1"),
        (
            lambda guest, frame: guest.send(Kind.RESULT, frame.id + 1, b"1"),
            "an answer to request 2, which is not open,",
        ),
        (lambda guest, frame: guest.ready(), "a second report of initialisation"),
        (
            lambda guest, frame: guest.send(Kind.RESULT, frame.id, b"x" * 300_000),
            "a frame of 300000 bytes where 263144 are allowed",
        ),
    ],
    ids=["garbage", "wrong-direction", "unknown-request", "ready-twice", "oversize"],
)
async def test_a_breach_of_the_protocol_fails_the_open_invocation(stage, act, message):
    """The instance is killed, the error names the breach, and the next call gets another instance."""
    stage.open(after_ready(act), echo)
    outcome = await stage.call()
    error = json.loads(outcome.payload)
    assert error["errorType"] == "Runtime.ExitError"
    assert f"{message} on torpor's control channel" in error["errorMessage"]
    assert outcome.result is Result.EXIT
    assert (await stage.call()).payload == b'"echo"'


async def test_a_result_after_the_answer_ends_an_idle_instance(stage):
    """A second answer fails nobody, but the instance is not used again."""

    def twice(guest, frame):
        guest.send(Kind.RESULT, frame.id, b"1")
        guest.send(Kind.RESULT, frame.id, b"2")

    stage.open(after_ready(twice), echo)
    assert (await stage.call()).payload == b"1"
    async with asyncio.timeout(5):
        while not stage.launcher.instances[0].closed:  # noqa: ASYNC110  # seen from outside only
            await asyncio.sleep(0.001)
    assert (await stage.call()).payload == b'"echo"'


async def test_an_unreadable_report_of_initialisation_is_a_breach(stage):
    """READY with nonsense inside fails whoever waited."""
    stage.open(lambda guest: guest.send(Kind.READY, 0, b"nonsense") or guest.receive())
    error = json.loads((await stage.call()).payload)
    assert "unreadable report of initialisation" in error["errorMessage"]


async def test_a_guest_that_leaves_right_after_ready_fails_the_call(stage):
    """There is no endless loop of instances that are ready and gone."""
    stage.open(lambda guest: guest.ready())
    outcome = await stage.call()
    assert json.loads(outcome.payload)["errorType"] == "Runtime.ExitError"
    assert stage.launcher.attempts == 1


async def test_a_guest_that_leaves_while_its_door_is_opened_is_told_by_its_exit(stage):
    """The reason is how the process ended, and a door that opens too late is closed."""
    stage.door.gate = asyncio.Event()
    stage.open(lambda guest: None, exit_with=Exit(3, None))
    call = asyncio.create_task(stage.call())
    async with asyncio.timeout(5):
        while not (stage.launcher.instances and stage.launcher.instances[0].closed):  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    stage.door.gate.set()
    assert "exit status 3" in json.loads((await call).payload)["errorMessage"]


async def test_a_failed_start_is_tried_once_more(stage):
    """One failure of ours is not the caller's."""
    stage.open(StartFailed("no luck"), echo)
    assert (await stage.call()).payload == b'"echo"'
    assert stage.launcher.attempts == 2


async def test_a_start_that_fails_twice_is_raised(stage):
    """The caller learns why, after two attempts and no more."""
    stage.open(StartFailed("no luck"))
    with pytest.raises(StartFailed, match="no luck"):
        await stage.call()
    assert stage.launcher.attempts == 2
    assert stage.node.statistics().pools == ()


async def test_what_this_machine_does_not_allow_is_not_tried_again(stage):
    """NotSupported is final."""
    stage.open(NotSupported("no namespaces"))
    with pytest.raises(NotSupported, match="no namespaces"):
        await stage.call()
    assert stage.launcher.attempts == 1


async def test_a_door_that_cannot_be_opened_is_a_failed_start(stage):
    """The sandbox is ended, and the caller hears of it."""
    stage.door.failure = OSError("no door")
    stage.open(echo)
    with pytest.raises(StartFailed, match="no door"):
        await stage.call()
    assert stage.launcher.attempts == 2


async def test_losing_the_sentinel_fails_the_open_invocation(stage):
    """When nobody can say how an instance ended, its invocation still fails, as an exit."""
    stage.open(after_ready(lambda guest, frame: guest.control.close()), exit_with=PlatformFault("the sentinel is gone"))
    error = json.loads((await stage.call()).payload)
    assert error["errorType"] == "Runtime.ExitError"
    assert "the sentinel is gone" in error["errorMessage"]


@pytest.mark.slow
async def test_a_killed_guest_that_takes_its_time_to_die_is_not_blamed_for_hanging_up(stage):
    """The kernel closes its channel long before the process is gone: then its exit tells, not the channel's end."""

    def die_slowly(guest, frame):
        guest.control.shutdown(socket.SHUT_RDWR)
        threading.Event().wait(0.4)

    stage.open(after_ready(die_slowly), echo, exit_with=Exit(None, 9))
    error = json.loads((await stage.call()).payload)
    assert error["errorMessage"].endswith("Runtime exited with error: signal: killed")


async def test_an_idle_instance_that_dies_is_forgotten(stage):
    """Its death fails nobody; the next call gets another."""

    def answer_and_leave(guest, frame):
        guest.send(Kind.RESULT, frame.id, b"1")
        guest.control.close()

    stage.open(after_ready(answer_and_leave), echo)
    await stage.call()
    async with asyncio.timeout(5):
        while stage.node.statistics().pools:  # noqa: ASYNC110  # seen from outside only
            await asyncio.sleep(0.001)
    assert (await stage.call()).payload == b'"echo"'


async def test_out_of_memory_has_its_own_error(stage):
    """What the launcher says of memory decides, whoever was killed."""
    stage.open(after_ready(lambda guest, frame: guest.control.close()), exit_with=Exit(None, 9, out_of_memory=True))
    outcome = await stage.call()
    assert outcome.result is Result.OUT_OF_MEMORY
    assert json.loads(outcome.payload)["errorType"] == "Runtime.OutOfMemory"


async def test_an_answer_after_a_child_met_the_limit_is_not_believed(stage):
    """A handler whose child was killed for want of memory may answer before the alarm is heard: it is told all the same."""
    stage.open(echo, exit_with=Exit(None, 9, out_of_memory=True))
    outcome = await stage.call()
    assert outcome.result is Result.OUT_OF_MEMORY
    assert json.loads(outcome.payload)["errorType"] == "Runtime.OutOfMemory"


async def test_every_caller_of_a_burst_hears_of_a_failing_initialisation(stage):
    """Each start answers one; all are answered."""
    stage.open(lambda guest: guest.send(Kind.INIT_ERROR, 0, b'{"errorType": "E"}') or guest.receive())
    outcomes = await asyncio.gather(*(stage.call() for _ in range(20)))
    assert {one.payload for one in outcomes} == {b'{"errorType": "E"}'}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=60), max_size=5), st.booleans())
def test_whatever_a_guest_says_the_call_is_answered_and_everything_closed(make_stage, chunks, ready):
    """Arbitrary bytes before or after READY never hang a call, and never leave anything open."""

    def babble(guest):
        if ready:
            guest.ready()
        for chunk in chunks:
            guest.control.sendall(chunk)

    async def once():
        stage = make_stage()
        stage.open(babble, start_timeout_s=0.1)
        outcome = await stage.call()
        assert outcome.function_error == "Unhandled"
        await stage.close()

    started = time.monotonic()
    asyncio.run(once())
    assert time.monotonic() - started < 5


async def test_an_outcome_that_meets_its_leaving_caller_is_not_lost(stage):
    """Cancelled in the moment of the answer, an invocation is still billed."""
    stage.open(echo)
    await stage.call()
    lost = []
    stage.node._host.abandoned = lost.append
    call = asyncio.ensure_future(stage.node.invoke(stage.revision, Invocation(payload=b"{}")))
    await asyncio.sleep(0)
    (pool,) = stage.node._pools.values()
    answer = pool.on_outcome
    pool.on_outcome = lambda *told: (answer(*told), call.cancel())
    with pytest.raises(asyncio.CancelledError):
        await call
    assert [one.payload for one in lost] == [b'"echo"']


async def test_starts_that_fail_together_refuse_nobody(stage):
    """Ten that were under way when the machine had a bad moment count once for each of the ten that wait, not ten
    times for the first: all are answered by the starts after them.
    """
    stage.open(*[StartFailed("the machine had a bad moment")] * 10, echo)
    outcomes = await asyncio.gather(*(stage.call() for _ in range(10)))
    assert [outcome.payload for outcome in outcomes] == [b'"echo"'] * 10


async def test_starts_that_go_on_failing_refuse_everybody(stage):
    """Each of those that wait hears of two, and none waits for ever."""
    stage.open(StartFailed("no luck"))
    outcomes = await asyncio.gather(*(stage.call() for _ in range(10)), return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["no luck"] * 10
    assert stage.launcher.attempts == 20
