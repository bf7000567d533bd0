"""SnapStart's snapshots with real zygotes: what is restored, what differs between instances, what is refused."""

import asyncio
import json
from dataclasses import replace

import pytest

from torpor.core.invocation import Depth

PUBLISHED = "from snapshot_restore_py import register_after_restore, register_before_snapshot\n"


@pytest.fixture
def version(nursery):
    """A published version of this code."""

    def make(code, **config):
        made = nursery.revision(code, snap_start=True, **config)
        return replace(made, version="1")

    return make


async def at_once(nursery, revision, count=2):
    """So many instances answer at the same time; their answers, each with its depth."""
    return await asyncio.gather(*(nursery.answer(revision) for _ in range(count)))


@pytest.mark.slow
async def test_initialisation_runs_once_for_all(nursery, version):
    """Instances have what it made, their own invocation's world, and say that they were restored."""
    code = """
import os, time
MADE = [time.time_ns(), os.environ['AWS_LAMBDA_INITIALIZATION_TYPE'], os.environ['GREETING'], os.getcwd()]
def handler(event, context):
    time.sleep(0.3)
    return [MADE, os.environ['AWS_LAMBDA_INITIALIZATION_TYPE'], os.environ['AWS_LAMBDA_LOG_STREAM_NAME'], os.getpid()]
"""
    revision = version(code, variables={"GREETING": "hello"})
    assert await nursery.node.snapshot(revision) == ""
    (one, depth), (two, _) = await at_once(nursery, revision)
    assert depth is Depth.SNAPSHOT
    assert one[0] == two[0]
    assert one[0][1:] == ["snap-start", "hello", "/var/task"]
    assert (one[1], one[3]) == ("snap-start", 2)
    assert one[2] != two[2]
    log = nursery.log.text()
    assert "RESTORE_START" in log
    assert "RESTORE_REPORT Restore Duration" in log
    assert "Billed Restore Duration" in log


@pytest.mark.slow
async def test_hooks_run_in_their_order(nursery, version):
    """Before the snapshot the last registered is first, once; after a restore the first is, in each instance."""
    code = (
        PUBLISHED
        + """
import os, time
DONE = []
register_before_snapshot(DONE.append, 'before 1')
register_before_snapshot(DONE.append, 'before 2')
@register_after_restore
def first(): DONE.append('after 1')
register_after_restore(DONE.append, 'after 2')
def handler(event, context):
    time.sleep(0.3)
    return DONE
"""
    )
    revision = version(code)
    assert await nursery.node.snapshot(revision) == ""
    expected = ["before 2", "before 1", "after 1", "after 2"]
    assert await at_once(nursery, revision) == [(expected, Depth.SNAPSHOT)] * 2


@pytest.mark.slow
async def test_random_state_differs_between_instances(nursery, version):
    """`random`, NumPy's legacy generator, `uuid` of each kind, `secrets` and names of temporary files do."""
    code = """
import random, secrets, tempfile, uuid, time
try:
    import numpy
except ImportError:
    numpy = None
USED = [random.random(), uuid.uuid1(), uuid.uuid4(), secrets.token_hex(), tempfile.mktemp()]
if numpy: numpy.random.random()
def handler(event, context):
    time.sleep(0.3)
    first = uuid.uuid1()
    return [random.random(), first.node, first.clock_seq, str(uuid.uuid4()), secrets.token_hex(), tempfile.mktemp(),
            numpy.random.random() if numpy else secrets.token_hex()]
"""
    revision = version(code)
    assert await nursery.node.snapshot(revision) == ""
    (one, depth), (two, _) = await at_once(nursery, revision)
    assert depth is Depth.SNAPSHOT
    assert [index for index, (left, right) in enumerate(zip(one, two, strict=True)) if left == right] == []


@pytest.mark.slow
async def test_files_in_tmp_are_restored_as_the_instance_s_own(nursery, version):
    """What initialisation wrote is there, may be changed, and is nobody else's."""
    code = """
import os
os.makedirs('/tmp/cache/deep')
open('/tmp/cache/deep/model', 'w').write('weights')
os.symlink('model', '/tmp/cache/deep/latest')
def handler(event, context):
    with open('/tmp/cache/deep/latest', 'a') as file: file.write('!')
    return [open('/tmp/cache/deep/model').read(), os.stat('/tmp/cache/deep/model').st_uid == os.getuid()]
"""
    revision = version(code)
    assert await nursery.node.snapshot(revision) == ""
    assert await nursery.answer(revision) == (["weights!", True], Depth.SNAPSHOT)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()", "leaves 1 thread"),
        ("import socket; KEPT = socket.socketpair()", "leaves open socket"),
        ("import subprocess; KEPT = subprocess.Popen(['sleep', '60'])", "leaves processes"),
        ("import asyncio; KEPT = asyncio.new_event_loop()", "leaves open"),
        ("raise ValueError('no model')", "failed before the snapshot: ValueError: no model"),
        ("raise SystemExit(3)", "failed before the snapshot: SystemExit: 3"),
        ("import os; os._exit(4)", "ended with status 4"),
        ("import os; os.truncate(os.open('/tmp/big', os.O_CREAT | os.O_RDWR), 200 << 20)", "/tmp"),
    ],
)
async def test_what_cannot_be_kept_is_refused_with_its_reason(nursery, version, line, reason):
    """The next instance begins otherwise, and says why."""
    revision = version(f"{line}\ndef handler(event, context): return 1\n")
    assert reason in await nursery.node.snapshot(revision)
    outcome = await nursery.call(revision)
    assert outcome.usage.depth is Depth.SPAWN
    assert reason in nursery.node.start_of(revision.name).reason
    assert reason in nursery.log.text()


@pytest.mark.slow
async def test_a_failing_hook_is_the_invocation_s_error(nursery, version):
    """As Lambda words it, with the hook's own lines; the next instance tries again."""
    code = (
        PUBLISHED
        + """
@register_after_restore
def connect(): raise ConnectionError('no database')
def handler(event, context): return 1
"""
    )
    revision = version(code)
    assert await nursery.node.snapshot(revision) == ""
    outcome = await nursery.call(revision)
    told = json.loads(outcome.payload)
    assert (told["errorType"], told["errorMessage"]) == ("Runtime.AfterRestoreError", "ConnectionError: no database")
    assert "connect" in told["stackTrace"][-1]
    assert (await nursery.call(revision)).usage.depth is Depth.SNAPSHOT


@pytest.mark.slow
async def test_a_hook_has_its_time(nursery, version, monkeypatch):
    """What takes longer is ended, and the invocation told."""
    monkeypatch.setattr("torpor.runtime.instance._RESTORE_S", 0.5)
    code = PUBLISHED + "import time\nregister_after_restore(time.sleep, 60)\ndef handler(event, context): return 1\n"
    revision = version(code)
    assert await nursery.node.snapshot(revision) == ""
    told = json.loads((await nursery.call(revision)).payload)
    assert told["errorType"] == "Runtime.RestoreTimeout"
    assert "Restore timed out after 0.50 seconds" in told["errorMessage"]


@pytest.mark.slow
async def test_a_snapshot_that_dies_is_made_again(nursery, version):
    """Who is called meanwhile begins otherwise; and a deleted version has none any more."""
    revision = version("def handler(event, context): return 1\n")
    assert await nursery.node.snapshot(revision) == ""
    places = nursery.sandboxes._zygotes._places
    place = places[f"snapshot-{revision.key}"]
    assert await nursery.answer(revision) == (1, Depth.SNAPSHOT)
    first = place.zygote
    first.on_end()
    await nursery.until(lambda: place.zygote is not None and place.zygote is not first)
    await nursery.node.retire(revision.key)
    await nursery.until(lambda: place.zygote is None and not place.building)


@pytest.mark.slow
async def test_a_sleeping_snapshot_is_made_again_when_it_is_called_for(nursery, version):
    """The first call begins otherwise, a later one is restored."""
    revision = version("def handler(event, context): return 1\n", keep_alive_s=0.0)
    _, depth = await nursery.answer(revision)
    assert depth is Depth.SPAWN
    place = nursery.sandboxes._zygotes._places[f"snapshot-{revision.key}"]
    await nursery.until(lambda: place.zygote)

    await nursery.until(lambda: not nursery.node.statistics().pools)
    assert (await nursery.answer(revision))[1] is Depth.SNAPSHOT


@pytest.mark.slow
async def test_the_snapshot_is_confined_before_it_initialises(nursery, version):
    """No network, nobody else's processes, no right to mount: the same walls as any instance's."""
    code = """
import os, socket, ctypes
def attempt(what):
    try:
        what()
        return 'done'
    except OSError as error:
        return type(error).__name__
def connect():
    with socket.socket() as one:
        one.settimeout(1)
        one.connect(('192.0.2.1', 80))
LIBC = ctypes.CDLL(None, use_errno=True)
FOUND = [attempt(connect), LIBC.mount(b'x', b'/tmp', b'tmpfs', 0, None), sorted(os.listdir('/sys/class/net')) if
         os.path.exists('/sys/class/net') else [], attempt(lambda: open('/etc/shadow')),
         attempt(lambda: open('/var/task/x', 'w'))]
def handler(event, context): return FOUND
"""
    revision = version(code)
    assert await nursery.node.snapshot(revision) == ""
    found, depth = await nursery.answer(revision)
    assert depth is Depth.SNAPSHOT
    assert found[0] == "OSError"
    assert found[1] == -1
    assert found[3:] == ["FileNotFoundError", "OSError"]


@pytest.mark.slow
async def test_names_of_hosts_do_not_hinder_a_fork(nursery, version):
    """What `reach` declares is known by its names in instances that are forked, from a snapshot or a zygote."""
    code = "def handler(event, context): return 'db.example' in open('/etc/hosts').read()\n"
    await nursery.warm()
    assert await nursery.answer(nursery.revision(code, reach=("db.example:5432",))) == (True, Depth.ZYGOTE)
    revision = version(code, reach=("db.example:5432",))
    assert await nursery.node.snapshot(revision) == ""
    assert await nursery.answer(revision) == (True, Depth.SNAPSHOT)
