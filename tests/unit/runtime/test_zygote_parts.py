"""The small parts of zygotes that need none: states, what was learned, how starts are told, orders."""

import itertools
import json

import pytest

from torpor.core.invocation import Depth
from torpor.runtime import hatching
from torpor.runtime.learned import FolderModules
from torpor.runtime.spec import ZygoteSpec
from torpor.runtime.starts import Start, Starts
from torpor.runtime.states import IllegalTransition
from torpor.runtime.unfit import FileOfReasons
from torpor.runtime.zygote_states import ZygoteState, advance
from torpor.sandbox.ids import BLOCK, IdPlan
from torpor.testing.revisions import make_revision

LEGAL = {("building", "ready"), ("building", "retired"), ("ready", "retired"), ("retired", "ended")}


@pytest.mark.parametrize(("current", "target"), list(itertools.product(ZygoteState, repeat=2)))
def test_a_zygote_goes_forward_only(current, target):
    """What is not in the table is a defect, and raises."""
    if (current, target) in LEGAL:
        assert advance(current, target) is target
    else:
        with pytest.raises(IllegalTransition, match=current):
            advance(current, target)


def test_what_was_learned_is_kept_for_each_environment(tmp_path):
    """It is read back by another store in the same folder; nothing is known of others."""
    FolderModules(tmp_path / "preload").save("one", ["json", "csv"])
    store = FolderModules(tmp_path / "preload")
    assert store.load("one") == ("json", "csv")
    assert store.load("two") == ()


@pytest.mark.parametrize("text", ["", "{}", "[1, 2]", '["../x"]', "nonsense"])
def test_what_is_not_readable_was_never_learned(tmp_path, text):
    """A damaged file costs a slower start, nothing else."""
    (tmp_path / "one.json").write_text(text)
    assert FolderModules(tmp_path).load("one") == ()


def test_the_latest_start_of_a_function_is_told(tmp_path):
    """Of all its revisions, the one that started last; what is retired is forgotten."""
    starts = Starts()
    old, new = (make_revision(tmp_path / name, f"# {name}", name="f") for name in ("old", "new"))
    starts.note(new, Start(Depth.ZYGOTE))
    starts.note(old, Start(Depth.SPAWN, "because"))
    assert starts.of("f") == Start(Depth.SPAWN, "because")
    starts.note(new, Start(Depth.ZYGOTE))
    assert starts.of("f") == Start(Depth.ZYGOTE)
    starts.declare_unfit(new, "it hangs")
    assert starts.unfit(new) == "it hangs"
    starts.forget(new.key)
    assert (starts.of("f"), starts.unfit(new)) == (Start(Depth.SPAWN, "because"), "")
    assert starts.of("g") is None


def test_a_zygote_is_told_to_be_single_threaded_and_gets_ids_of_its_own():
    """Its block of ids is nobody else's, and its libraries make no pool of threads."""
    ids = ((0, 0, 1), (1, 100_000, 65_535))
    plan = IdPlan(ids, ids, 65_535)
    spec = ZygoteSpec(
        key="k", python="/usr/bin/python3", site_packages="/e", env={"LANG": "C"}, mounts=(), always=("a",)
    )
    orders = hatching.nest_orders(spec, ["b"], plan, plan.blocks[3], "/root")
    assert orders["users"] == [[0, plan.blocks[3], BLOCK]]
    assert orders["setup"]["modules"] == ["a", "b"]
    assert orders["env"] == {"LANG": "C", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    assert json.loads(json.dumps(orders)) == orders


def test_blocks_of_ids_are_apart_from_each_other_and_from_single_instances():
    """No id is given away twice, and init's is not among them; a small range is not divided."""
    ids = ((0, 0, 1), (1, 100_000, 65_535))
    plan = IdPlan(ids, ids, 65_535)
    taken = [*plan.worker_ids, *(first + offset for first in plan.blocks for offset in range(BLOCK)), plan.init_id]
    assert len(taken) == len(set(taken))
    assert max(taken) <= plan.count
    assert len(plan.blocks) >= 50
    assert len(plan.worker_ids) > 8000
    assert [len(IdPlan(ids, ids, count).blocks) for count in (2048, 4096, 8192)] == [0, 1, 5]
    assert not IdPlan(ids, ids, 900).blocks
    assert len(IdPlan(ids, ids, 900).worker_ids) == 899


async def test_reasons_not_to_fork_outlive_the_server(tmp_path):
    """They are stored as they come and go, and read by the next server."""
    file = tmp_path / "preload" / "unfit.json"
    kept = FileOfReasons(file)
    starts = Starts(kept)
    one, two = (make_revision(tmp_path / name, f"# {name}", name=name) for name in ("one", "two"))
    starts.declare_unfit(one, "it hangs")
    starts.declare_unfit(two, "it fails")
    starts.acquit(two)
    await kept.close()
    again = Starts(FileOfReasons(file))
    assert (again.unfit(one), again.unfit(two)) == ("it hangs", "")


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', "nonsense"])
def test_reasons_that_cannot_be_read_are_none(tmp_path, text):
    """A damaged file costs a check, nothing else."""
    (tmp_path / "unfit.json").write_text(text)
    assert FileOfReasons(tmp_path / "unfit.json").load() == {}


async def test_reasons_that_cannot_be_written_stop_nothing(tmp_path):
    """A full disk is told in the server's log, and the reason holds as long as the server."""
    (tmp_path / "file").write_text("")
    kept = FileOfReasons(tmp_path / "file" / "unfit.json")
    starts = Starts(kept)
    one = make_revision(tmp_path / "one", "", name="one")
    starts.declare_unfit(one, "it hangs")
    await kept.close()
    assert starts.unfit(one) == "it hangs"
