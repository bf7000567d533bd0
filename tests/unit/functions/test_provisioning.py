"""Provisioned concurrency: stored, told to the node, moved with aliases, and within what may be reserved."""

import pytest

from torpor.core.arn import FunctionRef
from torpor.core.errors import Conflict, FunctionNotFound, InvalidValue, ProvisionNotFound, ResourceNotFound
from torpor.core.limits import Limits
from torpor.functions.account import Account
from torpor.functions.aliases import Aliases

LIVE = FunctionRef("echo", "live")
FIRST = FunctionRef("echo", "1")


@pytest.fixture
async def versions(world):
    """A function with two versions, and an alias on the first."""
    await world.deployed()
    for archive in (b"one", b"two"):
        await world.deployer.update_code("echo", archive)
        await world.deployer.wait_settled("echo")
        version = (await world.deployer.publish("echo")).version
        await world.deployer.wait_settled("echo", version=version)
    world.aliases = Aliases(world.catalog)
    await world.aliases.create("echo", "live", "1")
    return world


async def test_a_configuration_is_told_to_the_node_and_kept(versions):
    """The node has it after it was stored, and the next server's from the beginning; deleted, it has none."""
    _, standing = await versions.provisioning.put(FIRST, 3)
    assert standing.requested == 3
    await versions.provided()
    assert versions.node.provisioned == {"1": 3}
    assert versions.provisioning.get(FIRST)[1].status == "READY"
    fresh = await versions.reopened()
    await fresh.provided()
    assert fresh.node.provisioned == {"1": 3}
    await fresh.provisioning.delete(FIRST)
    await fresh.provided()
    assert fresh.node.provisioned == {"1": 0}
    with pytest.raises(ProvisionNotFound, match="No Provisioned Concurrency Config found"):
        fresh.provisioning.get(FIRST)
    await fresh.close()


async def test_a_moved_alias_takes_its_instances_along(versions):
    """The old version has none any more, the new one all; with weights both have their share."""
    await versions.provisioning.put(LIVE, 10)
    await versions.provided()
    await versions.aliases.update("echo", "live", version="2")
    await versions.provided()
    assert versions.node.provisioned == {"1": 0, "2": 10}
    await versions.aliases.update("echo", "live", weights={"1": 0.1})
    await versions.provided()
    assert versions.node.provisioned == {"1": 1, "2": 9}
    with pytest.raises(InvalidValue, match=r"\$LATEST can have no provisioned"):
        await versions.aliases.update("echo", "live", version="$LATEST", weights={})


async def test_what_is_deleted_has_none(versions):
    """With the alias, the version or the function goes what was set for it, on the disk too."""
    await versions.provisioning.put(LIVE, 2)
    await versions.aliases.delete("echo", "live")
    await versions.provided()
    assert versions.node.provisioned == {"1": 0}
    await versions.provisioning.put(FIRST, 2)
    await versions.deployer.delete_version("echo", "1")
    await versions.provisioning.put(FunctionRef("echo", "2"), 1)
    await versions.deployer.delete("echo")
    assert versions.catalog.provisions.names() == ()
    fresh = await versions.reopened()
    assert fresh.catalog.provisions.names() == ()
    await fresh.close()


@pytest.mark.parametrize("qualifier", [None, "$LATEST"])
async def test_what_is_unpublished_can_have_none(versions, qualifier):
    """$LATEST may change at any time."""
    with pytest.raises(InvalidValue, match="unpublished function versions"):
        await versions.provisioning.put(FunctionRef("echo", qualifier), 1)
    with pytest.raises(InvalidValue, match="must be an alias or a published version"):
        versions.provisioning.get(FunctionRef("echo", qualifier))
    await versions.aliases.create("echo", "edge", "$LATEST")
    with pytest.raises(InvalidValue, match="unpublished function versions"):
        await versions.provisioning.put(FunctionRef("echo", "edge"), 1)


async def test_what_does_not_exist_can_have_none(versions):
    """Each is told what is missing."""
    with pytest.raises(FunctionNotFound):
        await versions.provisioning.put(FunctionRef("no", "1"), 1)
    with pytest.raises(FunctionNotFound):
        await versions.provisioning.put(FunctionRef("echo", "9"), 1)
    with pytest.raises(ResourceNotFound, match="Cannot find alias arn"):
        await versions.provisioning.put(FunctionRef("echo", "no"), 1)


async def test_a_version_is_provisioned_once(versions):
    """By itself or through an alias, not both."""
    await versions.provisioning.put(LIVE, 1)
    with pytest.raises(Conflict, match="pointed by a Provisioned Concurrency alias"):
        await versions.provisioning.put(FIRST, 1)
    await versions.provisioning.delete(LIVE)
    await versions.provisioning.put(FIRST, 1)
    with pytest.raises(Conflict, match="already Provisioned version"):
        await versions.provisioning.put(LIVE, 1)
    assert (await versions.provisioning.put(FIRST, 4))[1].requested == 4


async def test_it_fits_into_reservations_and_account(versions, tmp_path):
    """A reservation bounds it and may not fall below it; without one it counts against what all share."""
    account = Account(versions.catalog, Limits(), tmp_path)
    with pytest.raises(InvalidValue, match=r"below its minimum value of \[100\]"):
        await versions.provisioning.put(FIRST, 901)
    with pytest.raises(InvalidValue, match=r"greater than account's unreserved concurrency \[1000\]"):
        await versions.provisioning.put(FIRST, 1001)
    await versions.provisioning.put(FIRST, 20)
    assert (await account.settings()).unreserved == 980
    with pytest.raises(InvalidValue, match=r"should not be lower than function's total provisioned concurrency \[20\]"):
        await versions.concurrency.put("echo", 19)
    await versions.concurrency.put("echo", 30)
    assert (await account.settings()).unreserved == 970
    with pytest.raises(InvalidValue, match="should not be greater than the reservedConcurrentExecution"):
        await versions.provisioning.put(FunctionRef("echo", "2"), 11)
    await versions.deployed("other")
    with pytest.raises(InvalidValue, match=r"\[100\]"):
        await versions.concurrency.put("other", 871)


async def test_a_version_that_is_being_built_is_provided_later(versions):
    """The configuration may come first: its instances follow when there is something to run."""
    versions.environments.gate.clear()
    await versions.deployer.update_config("echo", {"runtime": "python3.12"})
    published = None
    versions.environments.gate.set()
    await versions.deployer.wait_settled("echo")
    versions.environments.gate.clear()
    published = (await versions.deployer.publish("echo")).version
    await versions.provisioning.put(FunctionRef("echo", published), 2)
    versions.environments.gate.set()
    await versions.deployer.wait_settled("echo", version=published)
    await versions.provided()
    assert versions.node.provisioned[published] == 2


async def test_configurations_are_listed_in_pages(versions):
    """In order of their qualifiers."""
    await versions.provisioning.put(LIVE, 1)
    await versions.provisioning.put(FunctionRef("echo", "2"), 2)
    page = versions.provisioning.list("echo", limit=1)
    assert (list(page.configs), page.next) == (["2"], "2")
    page = versions.provisioning.list("echo", page.next)
    assert (list(page.configs), page.next) == (["live"], None)
