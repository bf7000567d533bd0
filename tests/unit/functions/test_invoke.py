"""Invoking: names to revisions, admission in Lambda's words, and a row in the ledger for each."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor.core.arn import FunctionRef
from torpor.core.errors import (
    AccessDenied,
    BuildFailed,
    FunctionNotFound,
    InvalidRequestContent,
    NotInvocable,
    RequestTooLarge,
    Throttled,
)
from torpor.core.identity import ANONYMOUS, Kind, Principal
from torpor.core.limits import Limits
from torpor.functions.invoke import Invoker

ARN = "arn:aws:lambda:us-east-1:000000000000:function"
ECHO = FunctionRef("echo")


def function_principal(*permissions: str) -> Principal:
    return Principal(
        Kind.FUNCTION, arn="arn:aws:sts::0:assumed-role/caller", function="caller", permissions=permissions
    )


async def invoke(world, payload=b"{}", *, ref=ECHO, principal=None, **more):
    principal = principal or Principal(Kind.OWNER)
    return await world.invoker.invoke(ref, payload, principal=principal, request_id="r-1", **more)


async def test_an_invocation_reaches_the_node_untouched_and_the_ledger(world):
    """The payload's bytes pass through as they are, with everything the caller said; its usage is recorded."""
    await world.deployed()
    payload = b' {"a" : [1,2.0,"\xc3\xa9"]}\n'
    outcome = await invoke(
        world,
        payload,
        ref=FunctionRef("echo", "$LATEST"),
        client_context='{"x":1}',
        want_log=True,
        trace_id="Root=1",
    )
    revision, invocation = world.node.calls[0]
    assert outcome.payload == invocation.payload == payload
    assert (invocation.request_id, invocation.client_context, invocation.want_log) == ("r-1", '{"x":1}', True)
    assert (invocation.trace_id, invocation.qualifier) == ("Root=1", "$LATEST")
    assert (revision.arn, revision.version) == (f"{ARN}:echo", "$LATEST")
    assert (await world.accounting.usage()).total.invocations == 1


async def test_an_empty_payload_is_an_empty_event(world):
    """Without a payload the handler gets an empty object, as on Lambda."""
    await world.deployed()
    assert (await invoke(world, b"")).payload == b"{}"


@pytest.mark.parametrize(
    "payload",
    [b"{", b"not json", b"{'a': 1}", b"[1,]", b"NaN", b" ", b'{"a":1} x', b'"\xff"', b"[" * 100_000, b"\xef\xbb\xbf{}"],
)
async def test_what_is_not_json_is_refused(world, payload):
    """A payload that is no JSON in UTF-8 is refused in Lambda's words and never reaches the function."""
    await world.deployed()
    with pytest.raises(InvalidRequestContent, match=r"^Could not parse request body into json: "):
        await invoke(world, payload)
    assert not world.node.calls


async def test_the_payload_limit_is_exact(world):
    """A payload of the limit's size passes, one byte more does not."""
    await world.deployed()
    small = Invoker(world.catalog, world.revisions, world.node, world.ledger, Limits(sync_payload=8))
    owner = Principal(Kind.OWNER)
    await small.invoke(ECHO, b'"123456"', principal=owner, request_id="r")
    with pytest.raises(RequestTooLarge) as refused:
        await small.invoke(ECHO, b'"1234567"', principal=owner, request_id="r")
    assert refused.value.message == "Request must be smaller than 8 bytes for the InvokeFunction operation"


@pytest.mark.parametrize(
    ("ref", "arn"),
    [
        (FunctionRef("nope"), f"{ARN}:nope:$LATEST"),
        (FunctionRef("nope", "prod"), f"{ARN}:nope:prod"),
        (FunctionRef("echo", "7"), f"{ARN}:echo:7"),
    ],
)
async def test_missing_functions_and_qualifiers(world, ref, arn):
    """A function or version that does not exist is named by its qualified ARN."""
    await world.deployed()
    with pytest.raises(FunctionNotFound) as missing:
        await invoke(world, ref=ref)
    assert missing.value.message == f"Function not found: {arn}"


async def test_a_pending_function_is_not_invocable(world, config):
    """Until its first build is done a function answers with its state."""
    world.environments.gate.clear()
    await world.deployer.create(config(), b"zip")
    with pytest.raises(NotInvocable) as refused:
        await invoke(world)
    assert refused.value.message == (
        "The operation cannot be performed at this time. The function is currently in the following state: Pending"
    )


async def test_a_failed_function_says_why_it_is_not_invocable(world):
    """A function that could not be built answers with its state and the reason."""
    world.environments.error = BuildFailed("no version of nonsense")
    await world.deployed()
    with pytest.raises(NotInvocable, match=r"in the following state: Failed\. no version of nonsense$"):
        await invoke(world)


async def test_a_function_needs_the_permission(world):
    """A function may invoke only what its permissions name."""
    await world.deployed()
    for permissions in ((), ("sqs:*",), ("lambda:InvokeFunction/other",)):
        with pytest.raises(AccessDenied, match="is not authorized to perform: lambda:InvokeFunction on resource: arn"):
            await invoke(world, principal=function_principal(*permissions))
    await invoke(world, principal=function_principal("lambda:InvokeFunction/echo"))
    await invoke(world, principal=function_principal("lambda:*"))


async def test_a_function_learns_nothing_about_what_it_may_not_invoke(world):
    """Without the permission, a function that is not there looks like one that is."""
    with pytest.raises(AccessDenied):
        await invoke(world, ref=FunctionRef("secret"), principal=function_principal())


async def test_strangers_may_call_only_public_urls(world):
    """Nobody in particular may call a function only while its URL says NONE."""
    await world.deployed()
    with pytest.raises(AccessDenied):
        await invoke(world, principal=ANONYMOUS)
    await world.urls.put("echo", auth="AWS_IAM")
    with pytest.raises(AccessDenied):
        await invoke(world, principal=ANONYMOUS)
    await world.urls.put("echo", auth="NONE")
    await invoke(world, principal=ANONYMOUS)
    await world.urls.delete("echo")
    with pytest.raises(AccessDenied):
        await invoke(world, principal=ANONYMOUS)


async def test_a_dry_run_checks_without_running(world):
    """A dry run raises what the invocation would, and runs nothing."""
    await world.deployed()
    world.invoker.check(ECHO, Principal(Kind.OWNER))
    with pytest.raises(AccessDenied):
        world.invoker.check(ECHO, function_principal())
    with pytest.raises(FunctionNotFound):
        world.invoker.check(FunctionRef("nope"), Principal(Kind.OWNER))
    assert not world.node.calls


async def test_the_node_s_refusals_pass_and_are_not_billed(world):
    """When the node has no room its error reaches the caller, and no row is written."""
    await world.deployed()
    world.node.error = Throttled()
    with pytest.raises(Throttled):
        await invoke(world)
    assert (await world.accounting.usage()).rows == ()


async def test_a_revision_is_made_once(world):
    """The code is looked for at the first invocation only, however many come at once."""
    await world.deployed()
    world.bundles.extracted.clear()
    await invoke(world)
    assert len(world.bundles.extracted) == 1
    await asyncio.gather(*(invoke(world) for _ in range(5)))
    assert len(world.bundles.extracted) == 1
    assert len({revision.key for revision, _ in world.node.calls}) == 1


async def test_a_function_deleted_while_its_code_is_unpacked_is_not_run(world):
    """What changes while the first invocation prepares is seen before it runs."""
    await world.deployed()
    extract = world.bundles.extract

    async def slow(bundle):
        await world.deployer.delete("echo")
        return await extract(bundle)

    world.bundles.extract = slow
    with pytest.raises(FunctionNotFound):
        await invoke(world)
    assert not world.node.calls


@given(st.binary(max_size=40))
def test_accepted_payloads_are_what_python_reads(payload):
    """Whatever passes the check, a handler's json.loads can read too."""
    import json

    invoker = Invoker(None, None, None, None)
    try:
        event = invoker._event(payload)
    except InvalidRequestContent:
        return
    json.loads(event)
