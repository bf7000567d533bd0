"""Deploying: Lambda's two state machines, builds in the background, and the old serving until the new is ready."""

import asyncio
from uuid import UUID

import pytest

from torpor.core.arn import FunctionRef
from torpor.core.errors import (
    BuildFailed,
    Conflict,
    FunctionNotFound,
    InterpreterMissing,
    InvalidBundle,
    InvalidValue,
    PreconditionFailed,
)
from torpor.core.function import State, UpdateStatus
from torpor.store.database import DatabaseFailed
from torpor.store.function_table import FunctionTable

ARN = "arn:aws:lambda:us-east-1:000000000000:function:echo"


async def invoked_revision(world, owner, name="echo"):
    await world.invoker.invoke(FunctionRef(name), b"{}", principal=owner, request_id="r")
    return world.node.calls[-1][0]


async def test_create_answers_pending_and_becomes_active(world, config):
    """A new function is Pending with Lambda's reason, then Active with an environment and another RevisionId."""
    created = await world.deployer.create(config(), b"zip")
    assert (created.state, created.state_reason, created.state_reason_code) == (
        State.PENDING,
        "The function is being created.",
        "Creating",
    )
    settled = await world.deployer.wait_settled("echo")
    assert (settled.state, settled.update_status, settled.state_reason_code) == (
        State.ACTIVE,
        UpdateStatus.SUCCESSFUL,
        "",
    )
    assert settled.environment is not None
    assert settled.revision_id != created.revision_id
    assert UUID(settled.revision_id)
    assert settled.modified == created.modified


async def test_create_twice_conflicts(world, config):
    """A taken name is refused in Lambda's words, also when both creations run at once."""
    results = await asyncio.gather(
        world.deployer.create(config(), b"1"), world.deployer.create(config(), b"2"), return_exceptions=True
    )
    conflict = next(result for result in results if isinstance(result, Exception))
    assert isinstance(conflict, Conflict)
    assert conflict.message == "Function already exist: echo"
    with pytest.raises(Conflict, match=r"^Function already exist: echo$"):
        await world.deployer.create(config(), b"zip")


async def test_a_bad_archive_leaves_nothing(world, config):
    """What is no archive is refused before anything is stored."""
    with pytest.raises(InvalidBundle):
        await world.deployer.create(config(), b"bad")
    with pytest.raises(FunctionNotFound):
        world.catalog.get("echo")


async def test_a_bad_configuration_is_refused_before_the_upload(world, config):
    """A configuration is checked first, so its archive is not stored."""
    with pytest.raises(InvalidValue):
        await world.deployer.create(config(memory_mb=1), b"zip")
    assert not world.bundles.kept


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InterpreterMissing("no python3.9 here"), "InvalidRuntime"),
        (BuildFailed("no version of nonsense"), "FunctionError"),
        (InvalidBundle("strange"), "InvalidZipFileException"),
        (OSError("disk full"), "InternalError"),
    ],
)
async def test_a_failed_build_fails_the_function_and_says_why(world, config, error, code):
    """A creation whose build fails ends in Failed with the build's own words and a code of the service model."""
    world.environments.error = error
    await world.deployer.create(config(), b"zip")
    settled = await world.deployer.wait_settled("echo")
    assert settled.state is State.FAILED
    assert settled.update_status is UpdateStatus.FAILED
    assert settled.state_reason_code == settled.update_reason_code == code
    assert str(error) in settled.state_reason


async def test_a_failed_function_is_repaired_by_an_update(world, config, owner):
    """New code brings a Failed function back through Pending to Active."""
    world.environments.error = BuildFailed("no")
    await world.deployed()
    world.environments.error = None
    updated = await world.deployer.update_code("echo", b"better")
    assert (updated.state, updated.state_reason_code) == (State.PENDING, "Creating")
    assert (await world.deployer.wait_settled("echo")).state is State.ACTIVE
    assert (await invoked_revision(world, owner)).bundle == updated.bundle


async def test_the_old_code_serves_until_the_new_is_built(world, owner):
    """During an update invocations run the old revision, afterwards the new, and the old one is retired."""
    old = await world.deployed(archive=b"old")
    old_revision = await invoked_revision(world, owner)
    world.environments.gate.clear()
    updating = await world.deployer.update_code("echo", b"new")
    assert (updating.state, updating.update_status) == (State.ACTIVE, UpdateStatus.IN_PROGRESS)
    assert (updating.update_reason, updating.update_reason_code) == ("The function is being created.", "Creating")
    assert updating.bundle != old.bundle
    assert await invoked_revision(world, owner) is old_revision
    assert not world.node.retired
    world.environments.gate.set()
    settled = await world.deployer.wait_settled("echo")
    assert settled.update_status is UpdateStatus.SUCCESSFUL
    assert (await invoked_revision(world, owner)).bundle == updating.bundle
    assert world.node.retired == [old_revision.key]


async def test_a_failed_update_leaves_the_old_serving(world, owner):
    """When an update's build fails the function stays Active, and goes on with its last good revision."""
    old = await world.deployed(archive=b"old")
    world.environments.error = BuildFailed("resolver says no")
    await world.deployer.update_code("echo", b"new")
    settled = await world.deployer.wait_settled("echo")
    assert (settled.state, settled.update_status) == (State.ACTIVE, UpdateStatus.FAILED)
    assert settled.update_reason == "resolver says no"
    assert (await invoked_revision(world, owner)).bundle == old.bundle
    assert not world.node.retired


async def test_a_second_update_conflicts_while_one_is_building(world):
    """One change at a time, in Lambda's words; all else of the function stays readable."""
    await world.deployed()
    world.environments.gate.clear()
    await world.deployer.update_code("echo", b"2")
    message = f"The operation cannot be performed at this time. An update is in progress for resource: {ARN}"
    with pytest.raises(Conflict) as code_conflict:
        await world.deployer.update_code("echo", b"3")
    with pytest.raises(Conflict) as config_conflict:
        await world.deployer.update_config("echo", {"memory_mb": 256})
    assert code_conflict.value.message == config_conflict.value.message == message


async def test_an_update_of_a_pending_function_conflicts(world, config):
    """A function that is still being created cannot be updated yet."""
    world.environments.gate.clear()
    await world.deployer.create(config(), b"1")
    with pytest.raises(Conflict, match="function is currently in the following state: Pending"):
        await world.deployer.update_config("echo", {"memory_mb": 256})


async def test_revision_ids_are_a_precondition(world):
    """A stale RevisionId is refused; the current one is accepted."""
    function = await world.deployed()
    with pytest.raises(PreconditionFailed):
        await world.deployer.update_code("echo", b"2", "stale")
    with pytest.raises(PreconditionFailed):
        await world.deployer.update_config("echo", {"memory_mb": 256}, "stale")
    updated = await world.deployer.update_config("echo", {"memory_mb": 256}, function.revision_id)
    assert updated.revision_id != function.revision_id


async def test_dry_run_checks_everything_and_changes_nothing(world):
    """A dry run answers with the code's new digest while the stored function stays."""
    function = await world.deployed()
    seen = await world.deployer.update_code("echo", b"other", dry_run=True)
    assert seen.bundle != function.bundle
    assert world.catalog.get("echo") == function
    with pytest.raises(InvalidBundle):
        await world.deployer.update_code("echo", b"bad", dry_run=True)


async def test_settings_change_without_a_build(world, owner):
    """A change of memory keeps the environment, and is served by a new revision at once."""
    await world.deployed()
    first = await invoked_revision(world, owner)
    await world.deployer.update_config("echo", {"memory_mb": 512})
    await world.deployer.wait_settled("echo")
    second = await invoked_revision(world, owner)
    assert (second.config.memory_mb, second.environment) == (512, first.environment)
    assert len(world.environments.built) == 1
    assert world.node.retired == [first.key]


async def test_a_description_changes_without_retiring_instances(world, owner):
    """What instances do not depend on changes without costing a warm one."""
    await world.deployed()
    await world.deployer.update_config("echo", {"description": "says it again"})
    settled = await world.deployer.wait_settled("echo")
    assert settled.config.description == "says it again"
    assert not world.node.retired


async def test_a_change_of_runtime_builds_again(world):
    """Another interpreter needs another environment."""
    before = await world.deployed()
    await world.deployer.update_config("echo", {"runtime": "python3.12"})
    after = await world.deployer.wait_settled("echo")
    assert after.environment != before.environment


async def test_the_same_code_again_builds_again(world):
    """Deploying again repairs an environment that was damaged."""
    await world.deployed(archive=b"zip")
    await world.deployer.update_code("echo", b"zip")
    await world.deployer.wait_settled("echo")
    assert len(world.environments.built) == 2


async def test_put_creates_then_updates_code_and_settings_together(world, config):
    """The command line's deployment makes or changes a function in one step."""
    await world.deployer.put(config(), b"1")
    first = await world.deployer.wait_settled("echo")
    await world.deployer.put(config(memory_mb=2048), b"2")
    second = await world.deployer.wait_settled("echo")
    assert first.config.memory_mb == 128
    assert second.config.memory_mb == 2048
    assert first.bundle != second.bundle


async def test_put_replaces_an_unfinished_build(world, config, owner):
    """The last deployment wins: a build that is overtaken is stopped and its result dropped."""
    world.environments.gate.clear()
    await world.deployer.put(config(), b"1")
    await asyncio.sleep(0)
    await world.deployer.put(config(), b"2")
    world.environments.gate.set()
    settled = await world.deployer.wait_settled("echo")
    assert settled.state is State.ACTIVE
    assert len(world.environments.built) == 1
    assert (await invoked_revision(world, owner)).bundle == settled.bundle


async def test_builds_are_bounded(world, config):
    """Of many deployments at once only so many build at the same time."""
    world.environments.gate.clear()
    await asyncio.gather(*(world.deployer.create(config(f"f{n}"), b"zip") for n in range(6)))
    await asyncio.sleep(0)
    world.environments.gate.set()
    states = {(await world.deployer.wait_settled(f"f{n}")).state for n in range(6)}
    assert states == {State.ACTIVE}
    assert world.environments.most == 2


@pytest.mark.parametrize("build_fails", [True, False])
async def test_a_build_that_ends_on_a_full_disk_is_not_pending_for_ever(world, config, monkeypatch, build_fails):
    """What could not be stored is stored when the disk has room again; a success that was not is a failure."""
    refusals, tried = 3, []
    put = FunctionTable.put

    def full(table, record):
        tried.append(record)
        if 1 < len(tried) <= 1 + refusals:
            raise DatabaseFailed("the database refused: database or disk is full")
        put(table, record)

    monkeypatch.setattr(FunctionTable, "put", full)
    world.environments.error = BuildFailed("no such package") if build_fails else None
    await world.deployer.create(config(), b"zip")
    function = await world.deployer.wait_settled("echo")
    assert function.state is State.FAILED
    assert ("no such package" if build_fails else "disk is full") in function.state_reason
    assert len(tried) == 2 + refusals


async def test_delete_removes_retires_and_stops_the_build(world, config):
    """A deleted function is gone with its URL and log; its revision is retired, its build cancelled."""
    await world.deployed()
    key = world.catalog.record("echo").serving
    await world.urls.put("echo", auth="NONE")
    world.logs.write("echo", "out", "r", 1, b"hello")
    world.environments.gate.clear()
    await world.deployer.update_code("echo", b"2")
    await asyncio.sleep(0)
    await world.deployer.delete("echo")
    await asyncio.sleep(0)
    assert world.environments.cancelled == 1
    assert len(world.node.retired) == 1
    assert key is not None
    assert world.urls.find("echo") is None
    assert await world.logs.read("echo") == []
    with pytest.raises(FunctionNotFound, match=f"^Function not found: {ARN}$"):
        await world.deployer.delete("echo")
    reopened = await world.reopened()
    assert reopened.catalog.find("echo") is None
    assert reopened.urls.find("echo") is None


async def test_wait_settled_gives_up_in_time(world, config):
    """Waiting is bounded, and then answers with the state as it is."""
    world.environments.gate.clear()
    await world.deployer.create(config(), b"1")
    assert (await world.deployer.wait_settled("echo", timeout_s=0.001)).state is State.PENDING


async def test_an_unfinished_creation_is_resumed_after_a_restart(world, config):
    """What was Pending when the server stopped is built by the next one."""
    world.environments.gate.clear()
    await world.deployer.create(config(), b"1")
    reopened = await world.reopened()
    assert (await reopened.deployer.wait_settled("echo")).state is State.ACTIVE
    await reopened.close()


async def test_an_unfinished_update_is_resumed_and_the_old_serves_meanwhile(world, owner):
    """After a restart in mid-update the old revision answers until the new one is built."""
    old = await world.deployed(archive=b"old")
    world.environments.gate.clear()
    await world.deployer.update_code("echo", b"new")
    reopened = await world.reopened()
    assert (await invoked_revision(reopened, owner)).bundle == old.bundle
    settled = await reopened.deployer.wait_settled("echo")
    assert settled.update_status is UpdateStatus.SUCCESSFUL
    assert (await invoked_revision(reopened, owner)).bundle == settled.bundle != old.bundle
    await reopened.close()


async def test_a_failed_update_still_serves_the_old_after_a_restart(world, owner):
    """What serves is stored, so a restart does not bring the broken update to life."""
    old = await world.deployed(archive=b"old")
    world.environments.error = BuildFailed("no")
    await world.deployer.update_code("echo", b"new")
    await world.deployer.wait_settled("echo")
    reopened = await world.reopened()
    assert reopened.catalog.get("echo").update_status is UpdateStatus.FAILED
    assert (await invoked_revision(reopened, owner)).bundle == old.bundle
    await reopened.close()


async def test_a_caller_who_leaves_does_not_stop_a_deployment(world, config):
    """Once an upload is being stored the build begins, whoever stopped waiting for the answer."""
    creating = asyncio.create_task(world.deployer.create(config(), b"zip"))
    await world.writing()
    creating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await creating
    await world.catalog.wait_written()
    await asyncio.sleep(0)
    assert (await world.deployer.wait_settled("echo")).state is State.ACTIVE
