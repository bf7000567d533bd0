"""Pure decisions, held to what they promise for every state."""

import math

from hypothesis import given
from hypothesis import strategies as st

from torpor.policy import evict, keep_alive, scale
from torpor.policy.billing import billed_ms
from torpor.policy.evict import Idle
from torpor.policy.scale import Load, Room
from torpor.policy.throttle import Bucket

counts = st.integers(0, 2000)
loads = st.builds(Load, waiting=counts, free_slots=counts, starting=counts, slots_each=st.integers(1, 64))
rooms = st.builds(Room, concurrency=st.integers(-10, 2000), memory_mb=st.none() | st.integers(-100, 100_000))
memory = st.integers(1, 10_240)
seconds = st.floats(0, 1e6)


@given(loads, rooms, memory)
def test_starts_never_exceed_the_room_or_the_need(load, room, each):
    """No more instances than fit, and none for which nobody waits."""
    n = scale.starts(load, room, each)
    assert n >= 0
    assert n <= max(0, room.concurrency)
    assert room.memory_mb is None or n * each <= max(0, room.memory_mb)
    assert n <= max(0, load.waiting - load.free_slots - load.starting)


@given(loads, memory)
def test_with_room_enough_everyone_who_waits_is_served(load, each):
    """Given room, the slots free, starting and to be started cover all who wait."""
    n = scale.starts(load, Room(concurrency=10**6), each)
    assert load.free_slots + (load.starting + n) * load.slots_each >= load.waiting


@given(loads, rooms, memory)
def test_a_second_look_starts_nothing_more(load, room, each):
    """What is starting is counted: asking again right away, with ample room, never starts a second instance for one."""
    n = scale.starts(load, Room(concurrency=10**6), each)
    again = Load(
        waiting=load.waiting, free_slots=load.free_slots, starting=load.starting + n, slots_each=load.slots_each
    )
    assert scale.starts(again, room, each) == 0


@given(counts, loads)
def test_only_those_covered_by_a_start_are_told_to_wait_on(position, load):
    """Whoever stands behind what the starts under way can serve has nothing to wait for."""
    assert scale.worth_waiting(position, load) == (position < load.starting * load.slots_each)


def test_the_queue_is_bounded():
    """As many may wait as the limit says."""
    assert scale.admits(9, 10)
    assert not scale.admits(10, 10)


@given(st.lists(seconds, max_size=30).map(sorted), seconds, st.floats(0, 1000))
def test_exactly_those_idle_for_long_enough_expire(since, now, keep):
    """The longest idle expire first, and everyone past the time does."""
    n = keep_alive.expired(since, now, keep)
    assert all(now - one >= keep for one in since[:n])
    assert all(now - one < keep for one in since[n:])


@given(st.lists(seconds, max_size=30).map(sorted), seconds, st.floats(0, 1000))
def test_the_next_check_is_when_the_first_expires(since, now, keep):
    """Checking then ends at least one; with nothing idle there is no check."""
    delay = keep_alive.next_check_s(since, now, keep)
    if not since:
        assert delay is None
    else:
        assert delay >= 0
        assert delay == 0 or math.isclose(since[0] + keep, now + delay)


@given(st.lists(st.builds(Idle, memory, seconds), max_size=20), st.integers(1, 50_000))
def test_eviction_frees_enough_or_touches_nothing(idle, need):
    """What is ended suffices, is never more than needed, and is the longest idle."""
    chosen = evict.make_room(idle, need)
    freed = sum(idle[index].memory_mb for index in chosen)
    if not chosen:
        assert sum(one.memory_mb for one in idle) < need
        return
    assert freed >= need
    assert freed - idle[chosen[-1]].memory_mb < need
    spared = [one.since for index, one in enumerate(idle) if index not in chosen]
    assert all(idle[index].since <= since for index in chosen for since in spared)


@given(st.floats(0, 1e7), st.floats(0, 1e6))
def test_whole_milliseconds_are_billed_and_never_less_than_used(duration, init):
    """Duration and initialisation, rounded up, at least one."""
    billed = billed_ms(duration, init)
    assert billed >= 1
    assert billed >= duration + init
    assert billed - (duration + init) < 1 or billed == 1


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(0, 10_000)), max_size=30))
def test_a_writer_never_gets_more_than_burst_and_rate(steps):
    """Whoever keeps to the pauses has taken no more than the burst, the refill, and one last chunk."""
    bucket, now, taken, last = Bucket.full(rate=100, burst=1000, now=0.0), 0.0, 0, 0
    for wait, amount in steps:
        now += max(wait, bucket.pause_s)
        bucket, taken, last = bucket.spend(amount, now), taken + amount, amount
    assert taken <= 1000 + 100 * now + last + 1e-6 * (1 + taken)


def test_a_clock_that_goes_back_refills_nothing():
    """Time running backwards never adds tokens."""
    bucket = Bucket.full(rate=100, burst=1000, now=10.0).spend(1000, 10.0)
    assert bucket.spend(0, 5.0).level == 0
