"""Function URLs and roles, stored and answered in AWS's words."""

import pytest

from torpor.core.errors import Conflict, FunctionNotFound, InvalidValue, ResourceNotFound
from torpor.functions.roles import MalformedPolicy, RoleExists, RoleNotFound

POLICY = '{"Version": "2012-10-17", "Statement": []}'


async def test_a_url_is_made_changed_and_closed(world):
    """A URL's life, each step readable and kept over a restart."""
    await world.deployed()
    made = await world.urls.create("echo", auth="AWS_IAM", cors={"AllowOrigins": ["*"]})
    assert world.urls.get("echo") == made
    changed = await world.urls.update("echo", auth="NONE")
    assert (changed.auth, changed.cors, changed.created) == ("NONE", {"AllowOrigins": ["*"]}, made.created)
    assert changed.modified >= made.modified
    assert (await world.reopened()).urls.list("echo") == (changed,)
    await world.urls.delete("echo")
    assert world.urls.list("echo") == ()
    assert (await world.reopened()).urls.find("echo") is None


async def test_a_second_url_conflicts(world):
    """A function has one URL at most."""
    await world.deployed()
    await world.urls.create("echo", auth="NONE")
    with pytest.raises(Conflict, match="FunctionUrlConfig exists for this Lambda function"):
        await world.urls.create("echo", auth="NONE")


async def test_urls_need_their_function_and_themselves(world):
    """What is not there is a ResourceNotFound, on whichever level."""
    for attempt in (
        world.urls.create("nope", auth="NONE"),
        world.urls.update("nope", auth="NONE"),
        world.urls.delete("nope"),
    ):
        with pytest.raises(ResourceNotFound):
            await attempt
    with pytest.raises(FunctionNotFound):
        await world.urls.put("nope", auth="NONE")
    with pytest.raises(FunctionNotFound):
        world.urls.list("nope")
    await world.deployed()
    with pytest.raises(ResourceNotFound, match=r"The resource you requested does not exist\."):
        world.urls.get("echo")


@pytest.mark.parametrize("values", [{"auth": "PUBLIC"}, {"auth": "NONE", "invoke_mode": "STREAM"}])
async def test_bad_urls(world, values):
    """Unknown values, and what is not there yet, are refused."""
    await world.deployed()
    with pytest.raises(InvalidValue):
        await world.urls.create("echo", **values)


async def test_put_keeps_what_it_does_not_set(world):
    """The command line's change of access keeps the rest."""
    await world.deployed()
    made = await world.urls.create("echo", auth="AWS_IAM", cors={"MaxAge": 5})
    put = await world.urls.put("echo", auth="NONE")
    assert (put.auth, put.cors, put.created) == ("NONE", {"MaxAge": 5}, made.created)


async def test_a_role_is_made_found_and_removed(world):
    """A role's life, kept over a restart; names are one regardless of case."""
    role = await world.roles.create("Runner", POLICY, path="/service/", description="runs", tags={"team": "a"})
    assert role.role_id.startswith("AROA")
    assert len(role.role_id) == 21
    assert world.roles.get("runner") == role
    assert (await world.reopened()).roles.get("Runner") == role
    with pytest.raises(RoleExists, match=r"^Role with name RUNNER already exists\.$"):
        await world.roles.create("RUNNER", POLICY)
    await world.roles.delete("runner")
    with pytest.raises(RoleNotFound, match=r"^The role with name Runner cannot be found\.$"):
        world.roles.get("Runner")
    assert (await world.reopened()).roles.list().roles == ()
    with pytest.raises(RoleNotFound):
        await world.roles.delete("Runner")


@pytest.mark.parametrize("policy", ["", "nonsense", "[]", "[" * 100_000])
async def test_a_trust_policy_is_a_json_object(world, policy):
    """A policy that is no JSON object is malformed."""
    with pytest.raises(MalformedPolicy):
        await world.roles.create("r", policy)


async def test_roles_are_listed_in_pages_below_a_path(world):
    """Pages follow names, and a path prefix filters."""
    for name in ("c", "a", "b"):
        await world.roles.create(name, POLICY, path="/x/" if name == "b" else "/")
    first = world.roles.list(limit=2)
    assert ([role.name for role in first.roles], first.next) == (["a", "b"], "b")
    last = world.roles.list(after=first.next, limit=2)
    assert ([role.name for role in last.roles], last.next) == (["c"], None)
    assert [role.name for role in world.roles.list(path_prefix="/x/").roles] == ["b"]
