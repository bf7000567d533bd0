"""Published versions and aliases: numbers, preconditions, what an alias leads to, and what is kept for them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from torpor.core.arn import FunctionRef
from torpor.core.errors import (
    BuildFailed,
    Conflict,
    FunctionNotFound,
    InvalidValue,
    PreconditionFailed,
    ResourceNotFound,
)
from torpor.core.function import State, UpdateStatus
from torpor.functions.aliases import Aliases
from torpor.functions.catalog import Catalog
from torpor.functions.revisions import key_of


async def settled(world, name="echo", version="1"):
    return await world.deployer.wait_settled(name, version=version)


async def updated(world, archive=b"new", **changes):
    if changes:
        await world.deployer.update_config("echo", changes)
    else:
        await world.deployer.update_code("echo", archive)
    return await world.deployer.wait_settled("echo")


async def ran(world, owner, qualifier):
    outcome = await world.invoker.invoke(FunctionRef("echo", qualifier), b"1", principal=owner, request_id="r")
    return outcome.executed_version


async def test_a_version_stays_what_it_was(world, owner):
    """What is published keeps its code and configuration, whatever becomes of the function."""
    first = await world.deployed(memory_mb=256)
    version = await world.deployer.publish("echo", description="one")
    assert (version.version, version.state, version.config.description) == ("1", State.PENDING, "one")
    ready = await settled(world)
    assert (ready.state, ready.update_status) == (State.ACTIVE, UpdateStatus.SUCCESSFUL)
    await updated(world, b"other")
    await updated(world, memory_mb=512)
    again = world.catalog.get("echo", "1")
    assert (again.bundle, again.config.memory_mb) == (first.bundle, 256)
    assert [await ran(world, owner, qualifier) for qualifier in ("1", "$LATEST", None)] == ["1", "$LATEST", "$LATEST"]
    revisions = {call[0].key for call in world.node.calls}
    assert len(revisions) == 2, "a version has instances of its own"


async def test_publishing_what_did_not_change_gives_the_last_version(world):
    """A second version needs other code or another configuration; tags are none."""
    await world.deployed()
    await world.deployer.publish("echo")
    assert (await world.deployer.publish("echo", description="ignored")).version == "1"
    await updated(world, description="changed")
    assert (await world.deployer.publish("echo")).version == "2"
    await updated(world, b"new")
    assert (await world.deployer.publish("echo")).version == "3"
    assert [record.version for record in world.catalog.versions("echo")] == ["1", "2", "3"]


async def test_publishing_holds_to_its_preconditions(world):
    """A version is made of the code and the revision that were meant, or not at all."""
    function = await world.deployed()
    with pytest.raises(InvalidValue, match="CodeSHA256"):
        await world.deployer.publish("echo", code_sha256="other")
    with pytest.raises(PreconditionFailed):
        await world.deployer.publish("echo", revision_id="other")
    made = await world.deployer.publish(
        "echo", code_sha256=function.bundle.code_sha256, revision_id=function.revision_id
    )
    assert made.version == "1"
    assert world.catalog.get("echo").revision_id != function.revision_id, "it tells that something happened"


async def test_two_who_publish_at_once_never_get_one_number(world):
    """Of two publications at one moment one conflicts; each number stands for one version."""
    await world.deployed()
    results = await asyncio.gather(*(world.deployer.publish("echo") for _ in range(3)), return_exceptions=True)
    made = [one.version for one in results if not isinstance(one, BaseException)]
    assert made == ["1"]
    assert all(isinstance(one, Conflict) for one in results if isinstance(one, BaseException))


async def test_publishing_waits_for_the_function(world, config):
    """What is still being built cannot be published."""
    world.environments.gate.clear()
    await world.deployer.create(config(), b"zip")
    with pytest.raises(Conflict):
        await world.deployer.publish("echo")


async def test_numbers_are_never_given_twice(world):
    """Neither after a version was deleted, nor after the function was, nor after a restart."""
    await world.deployed()
    await world.deployer.publish("echo")
    await world.deployer.delete_version("echo", "1")
    assert (await world.deployer.publish("echo")).version == "2"
    await world.deployer.delete("echo")
    fresh = await world.reopened()
    await fresh.deployed()
    assert (await fresh.deployer.publish("echo")).version == "3"
    await fresh.close()


async def test_create_and_update_can_publish(world, config):
    """With `publish` the version is there at once, Pending, and built beside the function."""
    made = await world.deployer.create(config(), b"zip", publish=True)
    assert (made.version, made.state) == ("1", State.PENDING)
    assert (await settled(world)).state is State.ACTIVE
    await world.deployer.wait_settled("echo")
    second = await world.deployer.update_code("echo", b"two", publish=True)
    assert second.version == "2"
    assert (await settled(world, version="2")).bundle == world.catalog.get("echo").bundle
    await world.deployer.wait_settled("echo")
    same = await world.deployer.update_code("echo", b"two", publish=True)
    assert same.version == "2"


async def test_a_version_whose_build_fails_says_so(world, config):
    """A version has its own state machine."""
    world.environments.error = BuildFailed("no version of nonsense")
    await world.deployer.create(config(), b"zip", publish=True)
    failed = await settled(world)
    assert (failed.version, failed.state, failed.state_reason) == ("1", State.FAILED, "no version of nonsense")


async def test_versions_and_aliases_survive_a_restart(world, owner):
    """Everything is read back, and a version that was not ready is built by the next server."""
    await world.deployed(variables={"KEY": "value"})
    await world.deployer.publish("echo")
    await Aliases(world.catalog).create("echo", "live", "1", description="d")
    fresh = await world.reopened()
    await settled(fresh)
    assert fresh.catalog.get("echo", "live").version == "1"
    assert fresh.catalog.get("echo", "1").config.variables == {"KEY": "value"}
    assert fresh.catalog.alias("echo", "live").description == "d"
    assert await ran(fresh, owner, "live") == "1"
    await fresh.close()


async def test_what_versions_need_is_not_collected(world):
    """Code and environments of a version stay when the function has new ones, and go with the version."""
    old = await world.deployed(archive=b"old")
    await world.deployer.publish("echo")
    await settled(world)
    new = await updated(world, b"new")
    await world.collector.gc()
    assert world.bundles.kept == {old.bundle.digest, new.bundle.digest}
    assert len(world.environments.kept) == 2
    await world.deployer.delete_version("echo", "1")
    await world.collector.gc()
    assert world.bundles.kept == {new.bundle.digest}


async def test_deleting_a_version_ends_its_instances_and_nothing_else(world):
    """A version that an alias leads to stays; deleting one that is not there is nothing."""
    await world.deployed()
    await world.deployer.publish("echo")
    await settled(world)
    serving = world.catalog.record("echo", "1").serving
    aliases = Aliases(world.catalog)
    await aliases.create("echo", "live", "1")
    with pytest.raises(Conflict, match="live"):
        await world.deployer.delete_version("echo", "1")
    await aliases.delete("echo", "live")
    await world.deployer.delete_version("echo", "1")
    await asyncio.sleep(0)
    assert world.node.retired == [key_of(serving, "1")]
    await world.deployer.delete_version("echo", "1")
    with pytest.raises(FunctionNotFound):
        world.catalog.get("echo", "1")
    assert world.catalog.get("echo").state is State.ACTIVE


async def test_deleting_a_function_takes_its_versions_and_aliases(world):
    """Nothing of them is left for a function of the same name."""
    await world.deployed()
    await world.deployer.publish("echo")
    await Aliases(world.catalog).create("echo", "live", "1")
    await world.deployer.delete("echo")
    await world.deployed()
    assert world.catalog.versions("echo") == ()
    with pytest.raises(FunctionNotFound):
        world.catalog.get("echo", "live")


async def test_moving_an_alias_moves_the_next_invocation(world, owner):
    """A roll-back is one change of an alias."""
    await world.deployed()
    await world.deployer.publish("echo")
    await updated(world, b"two")
    await world.deployer.publish("echo")
    await settled(world)
    await settled(world, version="2")
    aliases = Aliases(world.catalog)
    await aliases.create("echo", "live", "2")
    assert await ran(world, owner, "live") == "2"
    await aliases.update("echo", "live", version="1")
    assert await ran(world, owner, "live") == "1"
    await aliases.update("echo", "live", version="$LATEST")
    assert await ran(world, owner, "live") == "$LATEST"
    assert world.node.calls[-1][1].qualifier == "live"


async def test_weights_share_the_invocations(world, owner):
    """A quarter of the invocations goes to the second version, by a draw that a seed repeats."""
    world.catalog = await Catalog.open(world.database, world.catalog.home, random.Random(7).random)
    world.__post_init__()
    await world.deployed()
    await world.deployer.publish("echo")
    await updated(world, b"two")
    await world.deployer.publish("echo")
    await settled(world)
    await settled(world, version="2")
    await Aliases(world.catalog).create("echo", "live", "1", weights={"2": 0.25})
    counted = Counter([await ran(world, owner, "live") for _ in range(400)])
    assert counted.keys() == {"1", "2"}
    assert 80 <= counted["2"] <= 120


async def test_aliases_refuse_what_they_cannot_lead_to(world):
    """Each refusal is the interface's own."""
    await world.deployed()
    await world.deployer.publish("echo")
    aliases = Aliases(world.catalog)
    for version, weights, error in (
        ("9", {}, FunctionNotFound),
        ("1", {"1": 0.5}, InvalidValue),
        ("1", {"9": 0.5}, FunctionNotFound),
        ("1", {"$LATEST": 0.5}, InvalidValue),
        ("$LATEST", {"1": 0.5}, InvalidValue),
        ("1", {"2": 0.1, "3": 0.1}, InvalidValue),
        ("1", {"2": 1.5}, InvalidValue),
    ):
        with pytest.raises(error):
            await aliases.create("echo", "live", version, weights=weights)
    with pytest.raises(InvalidValue):
        await aliases.create("echo", "12", "1")
    await aliases.create("echo", "live", "1")
    with pytest.raises(Conflict, match="Alias already exists"):
        await aliases.create("echo", "live", "1")
    with pytest.raises(PreconditionFailed):
        await aliases.update("echo", "live", revision_id="other")
    with pytest.raises(ResourceNotFound, match="Cannot find alias arn"):
        aliases.get("echo", "none")


async def test_listings_are_paged_through_versions(world):
    """Every function and every version comes once, whatever the pages' size."""
    for name in ("a", "b"):
        await world.deployed(name)
        await world.deployer.publish(name)
    seen, marker = [], None
    while True:
        page = world.catalog.list(marker, 1, versions=True)
        seen += [(one.name, one.version) for one in page.functions]
        marker = page.next
        if marker is None:
            break
    assert seen == [("a", "$LATEST"), ("a", "1"), ("b", "$LATEST"), ("b", "1")]


@pytest.mark.parametrize("marker", ["echo:" + "9" * 5000, "echo:²", "::", "echo:1:2", "\0"])
async def test_a_forged_marker_is_only_a_place_in_a_list(world, marker):
    """Markers come back from clients: what was never one gives some page, and no failure."""
    await world.deployed()
    await world.deployer.publish("echo")
    assert len(world.catalog.list(marker, versions=True).functions) <= 2
    assert len(world.catalog.list_versions("echo", marker.partition(":")[2]).functions) <= 2


async def test_variables_are_not_readable_in_a_copied_database(world):
    """Neither of the function, nor of its versions, nor of what still serves during an update."""
    await world.deployed(variables={"TOKEN": "top-secret-value"})
    await world.deployer.publish("echo")
    world.environments.gate.clear()
    await world.deployer.update_code("echo", b"new")
    files = list(world.database.path.parent.glob("torpor.db*"))
    assert not any(b"top-secret-value" in file.read_bytes() for file in files)
    world.environments.gate.set()
    fresh = await world.reopened()
    assert fresh.catalog.get("echo", "1").config.variables == {"TOKEN": "top-secret-value"}
    await fresh.close()


async def test_a_version_with_snap_start_waits_for_its_snapshot(world):
    """$LATEST takes none; a version is Active once it has one, or says why it has none."""
    await world.deployed(snap_start=True)
    await world.deployer.publish("echo")
    version = await settled(world)
    assert (version.state, version.state_reason, world.node.snapshots) == (State.ACTIVE, "", ["1"])
    world.node.no_snapshot = "its initialisation leaves 1 thread"
    await updated(world)
    await world.deployer.publish("echo")
    version = await settled(world, version="2")
    assert version.state is State.ACTIVE
    assert version.state_reason == "Starts without a snapshot: its initialisation leaves 1 thread"
    fresh = await world.reopened()
    assert fresh.catalog.get("echo", "2").state_reason == version.state_reason
    await fresh.close()
