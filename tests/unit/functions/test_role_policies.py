"""The policies of roles: what is taken, what is refused, and what is kept when several change one role."""

import asyncio
import json

import pytest

from torpor.core.errors import InvalidValue
from torpor.functions.policy_rules import check_attachable, check_inline_policy, counted_size, path_of
from torpor.functions.roles import LimitExceeded, MalformedPolicy, PolicyNotFound, RoleInUse, RoleNotFound

ARN = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": ["*"]}
DOCUMENT = json.dumps({"Version": "2012-10-17", "Statement": ALLOW})


@pytest.fixture
async def roles(world):
    await world.roles.create("Runner", "{}", tags={"team": "a"})
    return world.roles


async def test_policies_are_kept_over_a_restart(world, roles):
    """What a role was given is there again, as it was written."""
    await roles.attach("runner", ARN)
    await roles.put_policy("runner", "own", DOCUMENT)
    await roles.update_trust_policy("runner", '{"new": 1}')
    await roles.tag("runner", {"stage": "b"})
    role = (await world.reopened()).roles.get("Runner")
    assert (role.attached, role.inline, role.trust_policy) == ((ARN,), {"own": DOCUMENT}, '{"new": 1}')
    assert role.tags == {"team": "a", "stage": "b"}
    assert role == roles.get("Runner")


async def test_changes_at_the_same_time_are_all_kept(roles):
    """Whoever comes second changes what the first has left, not what it saw before."""
    arns = [f"arn:aws:iam::aws:policy/p{number}" for number in range(8)]
    names = [f"own{number}" for number in range(8)]
    await asyncio.gather(
        *(roles.attach("Runner", arn) for arn in arns),
        *(roles.put_policy("Runner", name, DOCUMENT) for name in names),
    )
    assert sorted(roles.get("Runner").attached) == arns
    assert sorted(roles.get("Runner").inline) == names


async def test_a_limit_holds_when_many_come_at_once(roles):
    """Of twenty attached at the same time, ten are."""
    arns = [f"arn:aws:iam::aws:policy/p{number}" for number in range(20)]
    results = await asyncio.gather(*(roles.attach("Runner", arn) for arn in arns), return_exceptions=True)
    assert len(roles.get("Runner").attached) == 10
    assert [type(result) for result in results if result is not None] == [LimitExceeded] * 10


async def test_a_role_removed_meanwhile_is_not_brought_back(roles):
    """A change that finds its role gone says so, and a role that got a policy first stays."""
    removed, attached = await asyncio.gather(
        roles.delete("Runner"), roles.attach("Runner", ARN), return_exceptions=True
    )
    assert removed is None
    assert isinstance(attached, RoleNotFound)
    await roles.create("Runner", "{}")
    attached, removed = await asyncio.gather(
        roles.attach("Runner", ARN), roles.delete("Runner"), return_exceptions=True
    )
    assert attached is None
    assert isinstance(removed, RoleInUse)


async def test_attaching_again_writes_nothing(roles):
    """A policy is attached once, and its role is left as it was."""
    await roles.attach("Runner", ARN)
    before = roles.get("Runner")
    await roles.attach("Runner", ARN)
    assert roles.get("Runner") is before


async def test_inline_policies_are_counted_together_without_white_space(roles):
    """Replacing one frees its room; blanks are free."""
    half = json.dumps({"Statement": ALLOW, "Id": "x" * 5_000}, indent=50)
    await roles.put_policy("Runner", "one", half)
    await roles.put_policy("Runner", "two", half)
    await roles.put_policy("Runner", "two", half)
    with pytest.raises(LimitExceeded, match="exceeded for role Runner"):
        await roles.put_policy("Runner", "three", half)
    assert list(roles.policies("Runner").names) == ["one", "two"]
    await roles.delete_policy("Runner", "one")
    await roles.put_policy("Runner", "three", half)
    assert roles.policy("Runner", "three") == half


def test_white_space_is_not_counted():
    """IAM's quota is for the other characters."""
    assert counted_size(' {"a":\n\t"b c"} ') == 10


@pytest.mark.parametrize(
    "statement",
    [
        ALLOW,
        [ALLOW, {"Effect": "Deny", "NotAction": ["a:b"], "NotResource": "*", "Condition": {}}],
    ],
)
def test_policies_that_iam_takes(statement):
    """One statement or several, with either form of actions and resources."""
    check_inline_policy(json.dumps({"Statement": statement}))


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (None, "Syntax errors"),
        ([], "Syntax errors"),
        (["Allow"], "Syntax errors"),
        (ALLOW | {"Effect": "allow"}, "Syntax errors"),
        (ALLOW | {"Effect": ["Allow"]}, "Syntax errors"),
        (ALLOW | {"Action": 1}, "Syntax errors"),
        (ALLOW | {"NotAction": "a:b"}, "Syntax errors"),
        (ALLOW | {"Resource": ["*", None]}, "Syntax errors"),
        ([ALLOW, {"Effect": "Allow", "Resource": "*"}], "must contain actions"),
        (ALLOW | {"Action": []}, "must contain actions"),
        ({"Effect": "Allow", "Action": "*"}, "must contain resources"),
        (ALLOW | {"Principal": "*"}, "should not specify a principal"),
    ],
)
def test_policies_that_iam_refuses(statement, said):
    """What the grammar of identity-based policies forbids is malformed, in IAM's words."""
    with pytest.raises(MalformedPolicy, match=said):
        check_inline_policy(json.dumps({"Statement": statement}))


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "{}", "[" * 100_000])
def test_what_is_no_policy_document(text):
    """A document is a JSON object with statements."""
    with pytest.raises(MalformedPolicy, match="Syntax errors"):
        check_inline_policy(text)


@pytest.mark.parametrize(
    ("arn", "error"),
    [
        ("arn:aws:iam::aws:policy/AdministratorAccess", None),
        (ARN, None),
        ("arn:aws:iam::123456789012:policy/mine", PolicyNotFound),
        ("arn:aws:iam::aws:policy/" + "p/" * 200 + "n", PolicyNotFound),
        ("arn:aws:iam::aws:role/AdministratorAccess", InvalidValue),
        ("arn:aws:iam::aws:policy/service-role/", InvalidValue),
        ("arn:aws:iam::aws:policy/a b", InvalidValue),
        ("arn:aws:iam::aws:policy/Ä" + "n" * 20, InvalidValue),
        ("AdministratorAccess" * 2, InvalidValue),
    ],
)
def test_which_policies_can_be_attached(arn, error):
    """AWS's own, whatever they are called; no others, and nothing that is no policy's ARN."""
    if error is None:
        check_attachable(arn)
    else:
        with pytest.raises(error):
            check_attachable(arn)


def test_the_path_of_a_managed_policy():
    """It stands between `policy` and the name."""
    assert path_of(ARN) == "/service-role/"
    assert path_of("arn:aws:iam::aws:policy/a") == "/"
