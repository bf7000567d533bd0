"""Pure decisions, held to what they promise for every state."""

import math

from hypothesis import given
from hypothesis import strategies as st

from torpor.policy import evict, keep_alive, reserve, scale
from torpor.policy.billing import billed_ms
from torpor.policy.evict import Idle
from torpor.policy.keep_alive import Patience
from torpor.policy.rate import Rate, smooth
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


idles = st.builds(
    Idle,
    memory_mb=memory,
    since=seconds,
    rate=st.floats(0, 1000),
    start_ms=st.floats(0, 10_000),
    spare=st.integers(0, 20),
)


@given(st.lists(idles, max_size=20), st.integers(1, 50_000))
def test_eviction_frees_enough_or_touches_nothing(idle, need):
    """What is ended suffices, and none of it could have been kept."""
    chosen = evict.make_room(idle, need)
    freed = sum(idle[index].memory_mb for index in chosen)
    assert len(set(chosen)) == len(chosen)
    if not chosen:
        assert sum(one.memory_mb for one in idle) < need
        return
    assert freed >= need
    assert all(freed - idle[index].memory_mb < need for index in chosen)


@given(st.lists(idles, max_size=20), st.integers(1, 50_000))
def test_nothing_is_evicted_while_something_strictly_worse_is_kept(idle, need):
    """Of what is kept, nothing is worth less than something ended and would have freed as much."""
    chosen = evict.make_room(idle, need)
    kept = [one for index, one in enumerate(idle) if index not in chosen]
    assert not [
        (idle[index], one)
        for index in chosen
        for one in kept
        if one.worth < idle[index].worth and one.memory_mb >= idle[index].memory_mb
    ]


@given(st.lists(st.builds(Idle, memory_mb=st.just(128), since=seconds), min_size=1, max_size=20), st.integers(1, 2000))
def test_among_equals_the_longest_idle_goes_first(idle, need):
    """Before anything is known of rates and costs, time decides."""
    chosen = evict.make_room(idle, need)
    spared = [one.since for index, one in enumerate(idle) if index not in chosen]
    assert all(idle[index].since <= since for index in chosen for since in spared)


@given(st.lists(idles, max_size=20), st.integers(1, 50_000))
def test_who_presses_takes_what_there_is(idle, need):
    """Where all would not do they go all the same; where some do, the same ones go as ever."""
    pressed = evict.make_room(idle, need, press=True)
    if sum(one.memory_mb for one in idle) < need:
        assert sorted(pressed) == list(range(len(idle)))
    else:
        assert pressed == evict.make_room(idle, need)


@given(memory, seconds, seconds)
def test_pressing_begins_late_and_ends(need, waited, now):
    """Memory is kept from others for the seconds between the two bounds, and not a moment longer."""
    savings = evict.press(need, waited, now)
    assert savings.kept_mb(now) == (need if evict.PRESS_AFTER_S <= waited < evict.PRESS_UNTIL_S else 0)
    assert savings.kept_mb(now + evict.PRESS_UNTIL_S) == 0
    assert evict.press(need, waited, now, has_any=True).kept_mb(now) == 0


def test_what_is_called_often_starts_slowly_and_is_small_is_kept():
    """Each of the three counts, and of one function's idle instances those go first that its calls do not reach."""
    plain = {"memory_mb": 100, "since": 0.0, "rate": 1.0, "start_ms": 100.0}
    for better in ({"rate": 2.0}, {"start_ms": 200.0}, {"memory_mb": 50}):
        assert evict.make_room([Idle(**plain), Idle(**plain | better)], 50) == [0]
    assert evict.make_room([Idle(**plain, spare=1), Idle(**plain)], 100) == [0]


@given(st.lists(seconds, max_size=30).map(sorted), seconds, st.floats(0, 100), st.floats(0, 1000))
def test_idle_ones_are_frozen_then_ended(since, now, freeze, keep):
    """Past its time each is ended; of the others, those past the freezing time are frozen; the rest is let be."""
    rest = keep_alive.rest(since, now, Patience(freeze_after_s=freeze, keep_alive_s=keep))
    assert 0 <= rest.end <= rest.frozen <= len(since)
    assert all(now - one >= keep for one in since[: rest.end])
    assert all(now - one < keep for one in since[rest.end :])
    assert all(now - one >= freeze for one in since[rest.end : rest.frozen])
    assert all(now - one < freeze for one in since[rest.frozen :])
    if rest.end == len(since):
        assert rest.next_s is None
    else:
        soonest = min(keep - (now - since[rest.end]), *(freeze - (now - one) for one in since[rest.frozen :]), math.inf)
        assert math.isclose(rest.next_s, max(0.0, soonest), abs_tol=1e-6)


def test_what_is_never_frozen_is_ended_all_the_same():
    """An infinite freezing time sets no timer of its own."""
    patience = Patience(freeze_after_s=math.inf, keep_alive_s=60)
    assert keep_alive.rest([0.0], 10.0, patience) == keep_alive.Rest(0, 0, 50.0)
    assert keep_alive.rest([0.0], 60.0, patience) == keep_alive.Rest(1, 1, None)
    assert patience.soonest_s == 60


@given(st.lists(st.tuples(st.none() | st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=10), counts)
def test_whoever_finds_room_breaks_no_limit(functions, limit):
    """Neither the overall limit nor a reservation, and where reservations fit none is taken by another."""
    held = sum(reserve.held(busy, reserved) for reserved, busy in functions)
    total = sum(busy for _, busy in functions)
    for reserved, busy in functions:
        room = reserve.room(limit=limit, held_by_all=held, busy_of_all=total, busy=busy, reserved=reserved)
        if room <= 0:
            continue
        assert total + room <= limit
        assert reserved is None or busy + room <= reserved
        if held <= limit:
            own = reserve.held(busy, reserved)
            assert held - own + reserve.held(busy + room, reserved) <= limit


@given(st.lists(st.integers(0, 50), min_size=1, max_size=10), st.integers(500, 2000))
def test_what_is_reserved_can_always_be_used(reserved, limit):
    """A function that runs less than it reserved has room, whatever the others run that was let run."""
    free = limit - sum(reserved)
    total, held = free, free + sum(reserved)
    for mine in reserved:
        room = reserve.room(limit=limit, held_by_all=held, busy_of_all=total, busy=0, reserved=mine)
        assert room == mine


@given(st.integers(0, 2000), st.integers(0, 3000))
def test_reservations_leave_a_hundred_or_all_there_is(limit, others):
    """Whatever is granted, those without a reservation keep their hundred, where there are as many."""
    granted = reserve.reservable(limit, others)
    assert granted >= 0
    assert granted == 0 or limit - others - granted == 100
    assert reserve.least_unreserved(limit) == min(limit, 100)


@given(st.lists(st.floats(0, 100), max_size=50), st.floats(0, 1000))
def test_a_rate_counts_calls_and_forgets_them(gaps, silence):
    """It never falls by a call, never rises by silence, and is what a steady caller does."""
    rate, now = Rate(), 0.0
    for gap in gaps:
        now += gap
        before = rate.read(now)
        rate = rate.hit(now)
        assert rate.read(now) > before
    assert rate.read(now + silence) <= rate.read(now)
    assert rate.read(now + 10_000) < 1e-6


def test_a_steady_caller_is_seen_at_its_rate():
    """Five calls a second, for long enough, are five calls a second."""
    rate = Rate()
    for call in range(5000):
        rate = rate.hit(call / 5)
    assert math.isclose(rate.read(1000), 5, rel_tol=0.01)


@given(st.floats(0, 1e6), st.lists(st.floats(0, 1e6), max_size=20))
def test_an_estimate_stays_among_what_was_seen(first, others):
    """The first sighting is taken as it is, and later ones move it towards them."""
    estimate = smooth(None, first)
    assert estimate == first
    for seen in others:
        before, estimate = estimate, smooth(estimate, seen)
        assert min(before, seen) - 1e-6 <= estimate <= max(before, seen) + 1e-6


@given(st.lists(st.integers(0, 9), unique=True), st.sets(st.integers(0, 9)), st.lists(st.integers(0, 9), unique=True))
def test_who_got_nothing_is_before_who_got_something(asked, unserved, again):
    """The order among those that got nothing stays, nobody is there twice, and nobody who wants more is forgotten."""
    order = scale.turns(asked, unserved, again)
    first = [one for one in asked if one in unserved]
    assert order[: len(first)] == first
    assert set(order) - unserved == set(again) - unserved


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
