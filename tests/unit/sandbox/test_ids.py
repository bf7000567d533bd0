"""Which ids are taken for instances."""

import pytest

from torpor.sandbox import ids

WHOLE = "         0          0 4294967295\n"


def test_root_takes_a_range_that_is_set_aside_for_containers():
    """On a machine of one's own the range is high, aligned and full."""
    assert ids.available(WHOLE, None) == (ids.DEFAULT_BASE, ids.WANTED)
    assert ids.DEFAULT_BASE % 65536 == 0


def test_a_wanted_range_is_taken():
    """`uid_base` decides where it is possible."""
    assert ids.available(WHOLE, 300_000) == (300_000, ids.WANTED)


@pytest.mark.parametrize(
    ("own_map", "expected"),
    [
        ("0 100000 65536\n", (32768, 32768)),  # in a container: the upper half of what it has
        ("0 1000 1\n1 100000 65536\n", (32769, 32768)),  # in a rootless one
        ("0 1000 1\n", (1, 0)),
        ("", (0, 0)),
    ],
)
def test_a_smaller_world_gives_less(own_map, expected):
    """Inside a container the ids come out of the container's own, and none where it has one only."""
    assert ids.available(own_map, None) == expected
    assert ids.available(own_map, 300_000) == expected


def test_subordinate_ids_are_read_by_name_or_number():
    """The largest range that /etc/subuid gives to this user counts, at most as many as are wanted."""
    text = "other:100000:65536\nme:200000:1000\n1000:300000:65536\nbroken\n"
    assert ids.subordinate(text, {"me"}) == (200000, 1000)
    assert ids.subordinate(text, {"me", "1000"}) == (300000, ids.WANTED)
    assert ids.subordinate(text, {"nobody"}) == (0, 0)


def test_without_a_range_all_share_the_servers_own_id():
    """The plan then has one id, and none to give."""
    plan = ids.single(1000, 1000)
    assert (plan.users, plan.count, list(plan.worker_ids), plan.init_id) == (((0, 1000, 1),), 0, [], 0)


def test_init_has_an_id_that_no_worker_gets():
    """Workers get the ids from 1 on, init the last one."""
    plan = ids.IdPlan(((0, 0, 1), (1, 5000, 10)), ((0, 0, 1), (1, 5000, 10)), 10)
    assert list(plan.worker_ids) == list(range(1, 10))
    assert plan.init_id == 10
