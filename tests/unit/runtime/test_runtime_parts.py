"""The runtime's smaller parts: states, output, errors, log lines, and the handler's world."""

import asyncio
import itertools
import json
import os
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor.core.arn import Home
from torpor.core.invocation import Depth, Result, Usage
from torpor.core.limits import Limits
from torpor.runtime import faults, journal, world
from torpor.runtime.capacity import Capacity
from torpor.runtime.journal import TAIL, Tail
from torpor.runtime.output import Lines, OutputReader
from torpor.runtime.states import IllegalTransition, InstanceState, advance
from torpor.testing.revisions import make_revision

LEGAL = {
    ("starting", "idle"), ("starting", "ending"), ("idle", "busy"), ("idle", "ending"),
    ("busy", "idle"), ("busy", "ending"), ("ending", "ended"),
}  # fmt: skip


@pytest.mark.parametrize(("current", "target"), list(itertools.product(InstanceState, InstanceState)))
def test_only_legal_transitions_are_made(current, target):
    """Every pair of states is either in the table, or raises."""
    if (current.value, target.value) in LEGAL:
        assert advance(current, target) is target
    else:
        with pytest.raises(IllegalTransition, match=f"from {current} to {target}"):
            advance(current, target)


@given(st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line and not line.endswith(b"\r"))), st.data())
def test_lines_survive_any_chunking(lines, data):
    """However output is cut, the same lines come out."""
    text = b"".join(line + b"\n" for line in lines)
    splitter, seen, at = Lines(limit=1000), [], 0
    while at < len(text):
        size = data.draw(st.integers(1, 20))
        seen += splitter.feed(text[at : at + size])
        at += size
    assert seen + splitter.finish() == lines


@given(st.binary(max_size=500), st.integers(1, 50))
def test_no_line_is_longer_than_the_bound_and_nothing_is_lost(text, size):
    """Long lines are split; all bytes but line ends arrive."""
    splitter, seen = Lines(limit=16), []
    for at in range(0, len(text), size):
        seen += splitter.feed(text[at : at + size])
    seen += splitter.finish()
    assert all(len(line) <= 16 for line in seen)
    assert b"".join(seen).replace(b"\r", b"") == text.replace(b"\n", b"").replace(b"\r", b"")


async def test_a_flood_is_read_at_the_allowed_rate():
    """Beyond the burst the reader pauses, so that the writer blocks; what was written arrives in the end."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    lines = []
    reader = OutputReader(read_end, lines.append, rate=500_000, burst=1000)
    loop = asyncio.get_running_loop()
    started = loop.time()
    writing = loop.run_in_executor(None, lambda: [os.write(write_end, b"x" * 999 + b"\n") for _ in range(200)])
    await asyncio.wait_for(writing, 10)
    assert loop.time() - started > (200_000 - 1000 - 3 * 65_536) / 500_000
    os.close(write_end)
    async with asyncio.timeout(5):
        while len(lines) < 200:  # noqa: ASYNC110  # the reader tells nobody
            await asyncio.sleep(0.005)
    reader.close()
    reader.close()
    os.close(read_end)
    assert lines == [b"x" * 999] * 200


async def test_draining_takes_what_is_there_at_once():
    """Nothing that was written before the answer is left behind, an unfinished line included."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    lines = []
    reader = OutputReader(read_end, lines.append, rate=1e6, burst=1e6)
    os.write(write_end, b"one\ntwo")
    reader.drain(finish=True)
    assert lines == [b"one", b"two"]
    reader.close()
    os.close(read_end)
    os.close(write_end)


@pytest.mark.parametrize(
    ("failure", "kind", "text"),
    [
        (faults.exited(1, None, out_of_memory=False), "Runtime.ExitError", "Runtime exited with error: exit status 1"),
        (faults.exited(0, None, out_of_memory=False), "Runtime.ExitError", "Runtime exited without providing a reason"),
        (faults.exited(None, 9, out_of_memory=False), "Runtime.ExitError", "Runtime exited with error: signal: killed"),
        (
            faults.exited(None, 6, out_of_memory=False),
            "Runtime.ExitError",
            "Runtime exited with error: signal: aborted",
        ),
        (
            faults.exited(None, 9, out_of_memory=True),
            "Runtime.OutOfMemory",
            "Runtime exited with error: signal: killed",
        ),
        (faults.timed_out(1), "Sandbox.Timedout", "Task timed out after 1.00 seconds"),
    ],
)
def test_failures_are_worded_as_lambda_does(failure, kind, text):
    """Type and message of what the handler could not say itself."""
    assert json.loads(failure.payload("id-1")) == {"errorType": kind, "errorMessage": f"RequestId: id-1 Error: {text}"}


def usage(**changes):
    values = {
        "function": "f", "version": "$LATEST", "request_id": "id-1", "at": 0.0, "depth": Depth.WARM, "init_ms": 0.0,
        "duration_ms": 1.234, "billed_ms": 2, "memory_mb": 128, "max_memory_mb": 40, "cpu_ms": 1.0, "result": Result.OK,
    }  # fmt: skip
    return Usage(**{**values, **changes})


def test_the_log_lines_are_lambdas():
    """START, END and REPORT, the last with initialisation on a cold start only."""
    warm = (
        "REPORT RequestId: id-1\tDuration: 1.23 ms\tBilled Duration: 2 ms\tMemory Size: 128 MB\tMax Memory Used: 40 MB"
    )
    assert journal.start("id-1", "7") == "START RequestId: id-1 Version: 7"
    assert journal.end("id-1") == "END RequestId: id-1"
    assert journal.report(usage()) == warm
    assert journal.report(usage(init_ms=80.0)) == warm + "\tInit Duration: 80.00 ms"


@given(st.lists(st.binary(max_size=6000), max_size=10))
def test_the_tail_is_the_end_of_everything(lines):
    """At most four kilobytes, and always the last ones."""
    tail = Tail()
    for line in lines:
        tail.add(line)
    whole = b"".join(line + b"\n" for line in lines)
    assert len(tail.bytes()) == min(len(whole), TAIL)
    assert whole.endswith(tail.bytes())


def test_reserved_variables_cannot_be_overridden(tmp_path):
    """A function's own variables win over defaults, never over what is reserved."""
    own = dict.fromkeys(world.RESERVED, "mine") | {"LANG": "C", "PATH": "/mine", "OTHER": "1"}
    revision = make_revision(tmp_path, "", variables=own)
    made = world.variables(revision, home=Home(), limits=Limits(), log_stream="s")
    assert not [name for name in world.RESERVED if made.get(name) == "mine"]
    assert (made["LANG"], made["PATH"], made["OTHER"]) == ("C", "/mine", "1")


def test_every_instance_has_its_own_identity(tmp_path):
    """Names, log streams and credentials are fresh; the stream's name is Lambda's."""
    revision = make_revision(tmp_path, "")
    day = datetime(2026, 1, 2, tzinfo=UTC)
    one, two = (world.build_world(revision, home=Home(), limits=Limits(), now=day) for _ in range(2))
    assert one.log_stream == f"2026/01/02/[$LATEST]{one.instance_id}"
    assert one.instance_id != two.instance_id
    token = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
    assert one.spec.env[token] != two.spec.env[token]
    # SDKs would use these for ever, and never ask the door for new ones.
    assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} & set(one.spec.env)


def test_code_and_guest_are_mounted_read_only(tmp_path):
    """Nothing of the host is writable inside."""
    spec = world.build_world(make_revision(tmp_path, ""), home=Home(), limits=Limits()).spec
    assert all(mount.read_only for mount in spec.mounts)
    assert spec.mounts[0].source == str(tmp_path)
    assert spec.mounts[0].target == "/var/task"


class Eater:
    """A consumer that takes one unit at a time, and always wants more."""

    def __init__(self, name, capacity, order, wants=10**9):
        self.name, self.capacity, self.order, self.wants = name, capacity, order, wants
        self.waiting = 0
        self.share = capacity.join(self, name)

    def expected_total_mb(self):
        return 0

    def pump(self):
        took = bool(self.wants) and self.capacity.can_run(self.share)
        if took:
            self.capacity.begin(self.share)
            self.wants -= 1
            self.order.append(self.name)
        if self.wants:
            self.capacity.wait(self)
        return took


def test_released_capacity_goes_round():
    """Three functions that always want more get equal turns of one slot, the first to ask first."""
    capacity, order = Capacity(1, None), []
    eaters = {name: Eater(name, capacity, order) for name in "abc"}
    for eater in eaters.values():
        eater.pump()
    for _ in range(8):
        capacity.finish(eaters[order[-1]].share)
        capacity.feed_hungry()
    assert order == list("aabcabcab")
