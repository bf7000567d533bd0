"""The ledger: nothing waits, nothing is lost, sums are always right."""

import threading
import time
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from torpor.core.invocation import Depth, Result
from torpor.store.ledger import Ledger, LedgerIncomplete, LedgerOptions
from torpor.store.usage_table import UsageTable

QUICK = LedgerOptions(group_s=0, retry_s=0.001)
NOW = 1_700_000_000.0
NEVER = LedgerOptions(group_s=3600)  # rows stay in memory until the ledger closes


@pytest.fixture
def open_ledger(database):
    opened = []

    def make(options=QUICK) -> Ledger:
        opened.append(Ledger(database, options, clock=lambda: NOW))
        return opened[-1]

    yield make
    for ledger in opened:
        ledger.close()


def stored(database, table="usage") -> int:
    with database.begin() as connection:
        return connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()  # noqa: S608 - our own table names


def break_writes(ledger) -> threading.Event:
    """Make every write fail until the event is set."""
    append, mended = ledger._table.append, threading.Event()

    def fail(rows, folded):
        if not mended.is_set():
            raise OSError("disk full")
        append(rows, folded)

    ledger._table.append = fail
    return mended


def test_rows_reach_the_disk_by_themselves(database, open_ledger, usage, eventually):
    """Without any further call a recorded row is written."""
    open_ledger().record(usage())
    eventually(lambda: stored(database) == 1)


def test_the_default_is_at_most_half_a_second_behind():
    """What a kill may lose is bounded by how long rows are gathered."""
    assert LedgerOptions().group_s <= 0.5


def test_a_sum_includes_what_is_not_written_yet(open_ledger, usage, database):
    """The bill is up to date at once."""
    ledger = open_ledger(NEVER)
    ledger.record(usage())
    ledger.record(usage(function="g", depth=Depth.SPAWN, result=Result.TIMEOUT, init_ms=50.0, max_memory_mb=99))
    assert stored(database) == 0
    sums = ledger.summary()
    assert sums["f"].invocations == 1
    other = sums["g"]
    assert (other.errors, other.cold_starts, other.init_ms, other.max_memory_mb) == (1, 1, 50.0, 99)
    assert other.gb_seconds == pytest.approx(2 * 512 / 1024 / 1000)
    assert set(ledger.summary(function="g")) == {"g"}
    assert ledger.summary(since=NOW + 1) == {}


def test_rows_that_come_while_others_are_written_are_gathered_too(open_ledger, usage, eventually):
    """Under steady load the disk is synced a few times a second, and not as often as it can be."""
    ledger = open_ledger()
    append, groups = ledger._table.append, []

    def append_while_others_come(rows, folded):
        groups.append(len(rows))
        append(rows, folded)
        if len(groups) == 1:
            ledger._stop.wait = lambda _seconds: ledger.record(usage())
            ledger.record(usage())

    ledger._table.append = append_while_others_come
    ledger.record(usage())
    eventually(lambda: len(groups) > 1)
    del ledger._stop.wait
    assert groups[1] == 2


def test_many_rows_are_stored_as_a_few_are(database, open_ledger, usage):
    """Rows that go by hundreds come back as they were, in their order."""
    rows = [usage(request_id=str(number), at=NOW + number / 7, duration_ms=number / 3) for number in range(250)]
    UsageTable(database).append(rows, {})
    assert open_ledger().recent("f", 300)[::-1] == rows


def test_closing_writes_everything(database, usage):
    """An orderly stop loses nothing, however much waits."""
    ledger = Ledger(database, LedgerOptions(group_s=3600, group_rows=7))
    for _ in range(100):
        ledger.record(usage())
    ledger.close()
    assert stored(database) == 100


def test_a_write_that_fails_is_tried_again_in_order(database, open_ledger, usage, eventually):
    """When the disk recovers every row is there, once and in order, and sums were right all the time."""
    ledger = open_ledger()
    mended = break_writes(ledger)
    for number in range(10):
        ledger.record(usage(request_id=str(number)))
    eventually(lambda: ledger._failing)
    assert ledger.summary()["f"].invocations == 10
    assert stored(database) == 0
    mended.set()
    eventually(lambda: not ledger._failing)
    assert [row.request_id for row in ledger.recent("f")][::-1] == [str(number) for number in range(10)]


def test_a_stuck_disk_does_not_fill_the_memory_and_the_bill_stays_right(database, open_ledger, usage, eventually):
    """Beyond the bound the oldest rows wait as sums, so that nothing is missing from the bill in the end."""
    ledger = open_ledger(replace(QUICK, backlog_rows=20))
    mended = break_writes(ledger)
    for number in range(500):
        ledger.record(usage(at=NOW + number))
    eventually(lambda: ledger.backlog() <= 20)
    assert ledger.summary()["f"].invocations == 500
    mended.set()
    eventually(lambda: ledger.backlog() == 0 and stored(database) > 0)
    totals = ledger.summary()["f"]
    assert (totals.invocations, totals.billed_ms) == (500, 1000)
    assert stored(database) == 20


@pytest.mark.slow
def test_closing_on_a_dead_disk_says_what_is_lost(database, usage):
    """When nothing can be written to the end, closing gives up in time and tells."""
    ledger = Ledger(database, replace(NEVER, close_s=2))
    break_writes(ledger)
    ledger.record(usage())
    with pytest.raises(LedgerIncomplete, match="1 rows"):
        ledger.close()


def test_closing_on_a_hanging_disk_does_not_hang(database, usage, eventually):
    """A disk that does not answer cannot keep the server from stopping."""
    ledger = Ledger(database, replace(QUICK, close_s=0.01))
    entered, release = threading.Event(), threading.Event()
    append = ledger._table.append

    def hang(rows, folded):
        entered.set()
        assert release.wait(10)
        append(rows, folded)

    ledger._table.append = hang
    ledger.record(usage())
    assert entered.wait(10)
    with pytest.raises(LedgerIncomplete, match="did not answer"):
        ledger.close()
    release.set()
    eventually(lambda: not ledger._thread.is_alive())
    ledger.close()
    assert stored(database) == 1


def test_too_many_rows_live_on_as_sums(database, open_ledger, usage, eventually):
    """Old rows beyond the bound are folded by the hour; every sum stays what it was."""
    ledger = open_ledger(replace(QUICK, keep_rows=10, fold_rows=16))
    for number in range(100):
        ledger.record(usage(at=NOW + 100 * number, function="fg"[number % 2], billed_ms=number))
    eventually(lambda: ledger.backlog() == 0 and stored(database) == 10)
    assert stored(database, "usage_hours") > 2
    sums = ledger.summary()
    assert {name: totals.invocations for name, totals in sums.items()} == {"f": 50, "g": 50}
    assert sums["f"].billed_ms + sums["g"].billed_ms == sum(range(100))
    assert sums["f"].megabyte_ms == 512 * sum(range(0, 100, 2))


def test_old_rows_are_folded_and_young_ones_kept(database, open_ledger, usage, eventually):
    """Age alone folds a row, and only rows of that age."""
    ledger = open_ledger(replace(QUICK, keep_days=1))
    for age_h in (50, 40, 30, 10, 1):
        ledger.record(usage(at=NOW - age_h * 3600))
    eventually(lambda: ledger.backlog() == 0 and stored(database, "usage_hours") == 3)
    assert stored(database) == 2
    assert ledger.summary()["f"].invocations == 5
    assert ledger.summary(since=NOW - 35 * 3600)["f"].invocations == 3


def test_recording_is_quick(open_ledger, usage):
    """Recording costs microseconds, since it happens on the path of every invocation."""
    ledger = open_ledger(NEVER)
    row = usage()
    start = time.perf_counter()
    for _ in range(10_000):
        ledger.record(row)
    assert time.perf_counter() - start < 0.5  # 50 µs each, on a machine that is busy


def test_sums_are_right_while_rows_are_being_written(open_ledger, usage):
    """A row is never counted twice nor missed, however recording, writing and summing interleave."""
    ledger = open_ledger(replace(QUICK, group_rows=3))
    row = usage()
    for count in range(1, 201):
        ledger.record(row)
        if count % 10 == 0:
            assert ledger.summary()["f"].invocations == count


rows = st.fixed_dictionaries(
    {
        "function": st.sampled_from("fgh"),
        "at": st.floats(1_700_000_000, 1_700_020_000),
        "depth": st.sampled_from(Depth),
        "result": st.sampled_from(Result),
        "billed_ms": st.integers(0, 10_000),
        "memory_mb": st.sampled_from([128, 1024]),
        "max_memory_mb": st.integers(0, 1024),
    }
)


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(rows, max_size=40), st.integers(0, 10))
def test_sums_do_not_depend_on_where_the_rows_are(database, usage, changes, keep):
    """In memory, as rows or folded into hours: the same invocations have the same sums."""
    with database.begin() as connection:
        connection.execute(text("DELETE FROM usage"))
        connection.execute(text("DELETE FROM usage_hours"))
    ledger = Ledger(database, replace(NEVER, keep_rows=keep), clock=lambda: NOW)
    for change in changes:
        ledger.record(usage(**change))
    in_memory = ledger.summary()
    ledger._flush()
    as_rows = ledger.summary()
    ledger._keep_bounds()
    folded = ledger.summary()
    ledger.close()
    for sums in (as_rows, folded):
        assert set(sums) == set(in_memory)
        for name, totals in sums.items():
            assert totals.as_row() == pytest.approx(in_memory[name].as_row())
