"""Layers: numbers that never come back, what a function may use, and what is kept for it."""

import json

import pytest

from torpor.core.arn import Home
from torpor.core.errors import Conflict, InvalidBundle, InvalidValue, PreconditionFailed, ResourceNotFound
from torpor.functions.layers import Layers


def arn(name, version):
    return f"arn:aws:lambda:us-east-1:000000000000:layer:{name}:{version}"


async def test_numbers_go_up_and_never_come_back(world):
    """A deleted version's number is not given out again, by a later server neither."""
    layers = world.layers
    assert [(await layers.publish("a", b"1")).version, (await layers.publish("a", b"2")).version] == [1, 2]
    await layers.delete("a", 2)
    await layers.delete("a", 2)
    again = await Layers.open(
        world.database, world.bundles, world.deployer.code_gate, home=Home(), limits=layers._limits
    )
    assert (await again.publish("a", b"3", description="d", runtimes=("python3.11",))).version == 3
    reopened = await Layers.open(
        world.database, world.bundles, world.deployer.code_gate, home=Home(), limits=layers._limits
    )
    assert [one.version for one in reopened.versions("a")] == [3, 1]
    assert reopened.get("a", 3) == again.get("a", 3)
    with pytest.raises(ResourceNotFound):
        reopened.get("a", 2)


async def test_a_layer_has_a_name_and_a_size(world):
    """A name is of letters, digits, - and _; what unpacks to too much is refused with what to do."""
    with pytest.raises(InvalidValue, match="cannot name a layer"):
        await world.layers.publish("a b", b"1")
    with pytest.raises(InvalidBundle, match=r"requirements\.txt"):
        await world.layers.publish("a", b"x" * 101)


async def test_layers_are_named_in_three_ways(world):
    """By the ARN of a version, by name and number, and by name alone for the newest."""
    await world.layers.publish("a", b"1")
    newest = await world.layers.publish("a", b"2")
    other = await world.layers.publish("b", b"3")
    found = world.layers.resolve([arn("a", 1), "b:1"])
    assert [layer.arn for layer in found] == [arn("a", 1), arn("b", 1)]
    assert found[1].digest == other.bundle.digest
    assert world.layers.resolve(["a"])[0].digest == newest.bundle.digest
    assert world.layers.resolve([]) == ()


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (["a", "b", "c", "d", "e", "f"], "more than 5 layers"),
        (["a:1", "a:2"], "Two different versions of the same layer"),
        (["a:9"], "does not exist"),
        (["none"], "does not exist"),
        (["arn:aws:lambda:eu-west-1:000000000000:layer:a:1"], "does not exist"),
        (["arn:aws:lambda:us-east-1:111111111111:layer:a:1"], "does not exist"),
        ([arn("a", "x")], "names no layer"),
        ([None], "names no layer"),
        (["a b"], "names no layer"),
        (["a", "b", "c"], "MB together"),
    ],
)
async def test_what_a_function_may_not_use(world, wanted, told):
    """More than five, two of one layer, what is not here, and too much together are refused."""
    await world.layers.publish("a", b"1" * 50)
    await world.layers.publish("a", b"2" * 50)
    await world.layers.publish("b", b"3" * 50)
    await world.layers.publish("c", b"4" * 50)
    with pytest.raises(InvalidValue, match=told):
        world.layers.resolve(wanted)


async def test_a_policy_is_kept_and_told(world):
    """Statements are added and removed at the revision that was seen."""
    version = await world.layers.publish("a", b"1")
    with pytest.raises(ResourceNotFound):
        world.layers.policy("a", 1)
    first = await world.layers.allow("a", version.version, "s1", {"Sid": "s1"})
    with pytest.raises(Conflict):
        await world.layers.allow("a", 1, "s1", {"Sid": "s1"})
    with pytest.raises(PreconditionFailed):
        await world.layers.allow("a", 1, "s2", {"Sid": "s2"}, "old")
    await world.layers.allow("a", 1, "s2", {"Sid": "s2"}, first.policy_revision)
    assert [one["Sid"] for one in json.loads(world.layers.policy("a", 1).text)["Statement"]] == ["s1", "s2"]
    with pytest.raises(ResourceNotFound):
        await world.layers.disallow("a", 1, "s3")
    await world.layers.disallow("a", 1, "s1")
    assert "s1" not in world.layers.policy("a", 1).text


async def test_a_functions_layers_are_part_of_its_revision(world):
    """Other layers are another revision, built before it serves; what is invoked has their folder."""
    await world.layers.publish("a", b"1")
    await world.layers.publish("b", b"2")
    await world.deployed(layers=world.layers.resolve(["a"]))
    await invoke(world)
    await world.deployer.update_config("echo", {"layers": world.layers.resolve(["a", "b"])})
    await world.deployer.wait_settled("echo")
    await invoke(world)
    first, second = (revision for revision, _ in world.node.calls)
    assert world.folders.prepared == [(arn("a", 1),), (arn("a", 1), arn("b", 1))]
    assert first.key != second.key
    assert second.layers_dir.endswith("-".join(one.digest[:8] for one in second.config.layers))
    assert world.node.retired == [first.key]


async def test_layers_of_a_function_outlive_a_restart(world):
    """What the table holds of a function has its layers with their code."""
    await world.layers.publish("a", b"1")
    function = await world.deployed(layers=world.layers.resolve(["a"]))
    fresh = await world.reopened()
    assert fresh.catalog.get("echo").config.layers == function.config.layers
    await fresh.close()


async def test_garbage_is_what_neither_is_published_nor_used(world):
    """A deleted version's code stays for the function that uses it, and goes with that; a published one stays."""
    await world.layers.publish("used", b"1")
    await world.layers.publish("published", b"2")
    await world.layers.publish("gone", b"3")
    used, published, _ = (world.layers.resolve([name])[0].digest for name in ("used", "published", "gone"))
    await world.deployed(layers=world.layers.resolve(["used"]))
    await world.layers.delete("used", 1)
    await world.layers.delete("gone", 1)
    with pytest.raises(InvalidValue):
        world.layers.resolve(["used:1"])
    await world.collector.gc()
    bundle = world.catalog.get("echo").bundle.digest
    assert world.bundles.kept == {used, published, bundle}
    assert ({used}, "python3.11") in [
        ({one.digest for one in layers}, runtime) for layers, runtime in world.folders.swept_with[-1]
    ]
    await world.deployer.delete("echo")
    await world.collector.gc()
    assert world.bundles.kept == {published}


async def invoke(world):
    from torpor.core.arn import FunctionRef
    from torpor.core.identity import Kind, Principal

    await world.invoker.invoke(FunctionRef("echo"), b"{}", principal=Principal(Kind.OWNER), request_id="r")
