"""The policies together: whatever arrives, no limit is broken, nobody starves, and no slot idles while work waits."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor.policy import traces
from torpor.policy.keep_alive import Patience
from torpor.policy.simulate import Modelled, Replay, Scene, replay
from torpor.policy.traces import Arrival

models = st.lists(
    st.builds(
        Modelled,
        memory_mb=st.sampled_from([64, 128, 512]),
        start_s=st.floats(0.001, 5),
        reserved=st.none() | st.integers(0, 3),
    ),
    min_size=1,
    max_size=5,
)
scenes = st.builds(
    Scene,
    patience=st.builds(Patience, freeze_after_s=st.floats(0, 1), keep_alive_s=st.floats(0, 30)),
    concurrency=st.integers(1, 6),
    memory_mb=st.none() | st.integers(512, 2048),
    queue_limit=st.integers(1, 20),
    queue_wait_s=st.floats(0.1, 30),
)
calls = st.lists(st.tuples(st.floats(0, 5), st.integers(0, 4), st.floats(0, 10)), max_size=60)


def arrivals(drawn, functions):
    times = itertools.accumulate(gap for gap, _, _ in drawn)
    return [
        Arrival(at, function % functions, duration_s)
        for at, (_, function, duration_s) in zip(times, drawn, strict=True)
    ]


@given(models, scenes, calls)
def test_no_limit_is_ever_exceeded(models, scene, drawn):
    """After each event: the overall limit (of those who wait, too), each reservation, the memory and the queue's bound hold."""

    def watch(node):
        assert node.running == sum(queue.running for queue in node.queues) <= scene.concurrency
        assert scene.memory_mb is None or node.memory_mb <= scene.memory_mb
        assert node.memory_mb == sum(queue.model.memory_mb * queue.instances for queue in node.queues)
        shared = [queue for queue in node.queues if queue.model.reserved is None]
        assert sum(queue.running + len(queue.waiting) for queue in shared) <= scene.concurrency
        for queue in node.queues:
            assert queue.model.reserved is None or queue.running + len(queue.waiting) <= queue.model.reserved
            assert len(queue.waiting) <= scene.queue_limit

    Replay(models, scene, watch).run(arrivals(drawn, len(models)))


@given(models, scenes, calls)
def test_nothing_idles_while_work_waits_for_it(models, scene, drawn):
    """Nobody waits for a function that has a free instance and may run; with room for more, one is being started."""

    def watch(node):
        for queue in node.queues:
            if queue.waiting and node.can_run(queue):
                assert not queue.free
                assert (
                    scene.memory_mb is not None
                    or queue.starting
                    or node.running + sum(one.starting for one in node.queues)
                    >= scene.concurrency - sum(one.model.reserved or 0 for one in node.queues)
                )

    Replay(models, scene, watch).run(arrivals(drawn, len(models)))


@given(models, scenes, calls)
def test_everybody_is_answered_and_nothing_is_left(models, scene, drawn):
    """Each arrival is served or throttled, within the queue's time and the starts it waited for; then all sleep."""
    node = Replay(models, scene)
    report = node.run(arrivals(drawn, len(models)))
    assert report.arrivals == report.served + report.throttled == len(drawn)
    assert report.cold <= report.starts
    assert node.running == node.memory_mb == 0
    assert not any(queue.instances or queue.waiting for queue in node.queues)
    assert report.frozen_mb_s <= report.idle_mb_s + 1e-6 <= report.memory_mb_s + 1e-3


def test_beyond_the_limit_calls_are_refused_at_once():
    """Of five at once where three are allowed, two are throttled though an instance would have been there soon."""
    report = replay([Modelled()], [Arrival(0.0, 0, 1.0) for _ in range(5)], Scene(concurrency=3))
    assert (report.served, report.throttled, report.starts) == (3, 2, 3)


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_busy_function_starves_no_other(limit):
    """Beside one whose queue is never empty, another's call waits for a few turns, and not for the queue."""
    busy = [Arrival(0.0, 0, 1.0) for _ in range(60 * limit)]
    quiet = [Arrival(5.0 + index * 8.0, 1, 0.5) for index in range(3)]
    waited = []

    def watch(node):
        if node.queues[1].waiting:
            waited.append(node.now - node.queues[1].waiting[0].at)

    scene = Scene(memory_mb=128 * limit, queue_wait_s=1000)
    report = Replay([Modelled(start_s=0.1), Modelled(start_s=0.1)], scene, watch).run(sorted([*busy, *quiet]))
    assert report.throttled == 0
    assert report.longest_wait_s > 55
    assert max(waited) < 4


def test_a_large_function_gets_its_room_beside_small_ones_that_are_never_idle_together():
    """It waits for a few seconds, and the small ones' queues bear it; nobody is refused."""
    small = [Arrival(index * 0.05 + function * 0.01, function, 0.045) for function in range(4) for index in range(800)]
    models = [*(Modelled(memory_mb=100, start_s=0.01) for _ in range(4)), Modelled(memory_mb=400, start_s=0.1)]
    done = []

    def watch(node):
        if node.queues[4].running:
            done.append(node.now)

    report = Replay(models, Scene(memory_mb=400), watch).run(sorted([*small, Arrival(10.0, 4, 0.1)]))
    assert report.throttled == 0
    assert 11 < done[0] < 13
    assert report.most_memory_mb <= 400


def test_a_burst_starts_one_instance_for_each_call_and_no_more():
    """Two hundred first calls of one sleeping function, and then the same again, warm."""
    burst = [Arrival(at, 0, 1.0) for at in (0.0, 10.0) for _ in range(200)]
    report = replay([Modelled(start_s=0.1)], burst)
    assert (report.starts, report.cold, report.throttled, report.most_running) == (200, 200, 0, 200)


def test_keeping_longer_costs_memory_and_saves_starts():
    """Over a made-up day each longer keep-alive has no more cold starts, and more megabyte-seconds."""
    day = list(
        traces.together([
            traces.diurnal(0, 0.02, 0.05, seed=1),
            traces.bursty(1, 2.0, 0.2, seed=2),
            *(traces.poisson(function, 1 / 1800, 0.1, seed=function) for function in range(2, 22)),
        ])
    )  # fmt: skip
    functions = [Modelled() for _ in range(22)]
    reports = [
        replay(functions, day, Scene(patience=Patience(freeze_after_s=0.1, keep_alive_s=keep)))
        for keep in (0, 60, 1800)
    ]
    assert [one.arrivals for one in reports] == [len(day)] * 3
    assert len(day) > 1000
    assert reports[0].cold > reports[1].cold > reports[2].cold
    assert reports[0].memory_mb_s < reports[1].memory_mb_s < reports[2].memory_mb_s


def test_under_pressure_what_is_worth_more_is_kept():
    """With room for one of two rarely called functions, the one that starts slowly stays when both could make room."""
    slow, quick, other = (
        Modelled(memory_mb=100, start_s=5.0),
        Modelled(memory_mb=100, start_s=0.01),
        Modelled(memory_mb=100),
    )
    scene = Scene(memory_mb=200, patience=Patience(freeze_after_s=0.1, keep_alive_s=1000))
    calls = [Arrival(0.0, 0, 0.1), Arrival(10.0, 1, 0.1), Arrival(20.0, 2, 0.1), Arrival(30.0, 0, 0.1)]
    node = Replay([slow, quick, other], scene)
    report = node.run(calls)
    assert (report.evicted, report.starts, report.cold) == (1, 3, 3)


@pytest.mark.parametrize("make", [traces.poisson, traces.diurnal, traces.bursty])
def test_a_trace_is_the_same_for_the_same_seed(make):
    """In order, within its day, of its function, and another for another seed."""
    first = list(make(3, 0.5, 0.1, seed=7, until_s=20_000))
    assert first == list(make(3, 0.5, 0.1, seed=7, until_s=20_000)) != list(make(3, 0.5, 0.1, seed=8, until_s=20_000))
    assert first == sorted(first)
    assert all(0 <= one.at < 20_000 and one.function == 3 and one.duration_s >= 0 for one in first)
    assert 50 < len(first) < 20_000
