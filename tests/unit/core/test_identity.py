"""What a caller may do."""

import pytest

from torpor.core.errors import AccessDenied
from torpor.core.identity import ANONYMOUS, Kind, Principal


@pytest.mark.parametrize(
    ("granted", "action", "resource", "allowed"),
    [
        ((), "lambda:InvokeFunction", "f", False),
        ((), "sts:GetCallerIdentity", "", True),
        (("lambda:InvokeFunction",), "lambda:InvokeFunction", "f", True),
        (("lambda:InvokeFunction",), "lambda:DeleteFunction", "f", False),
        (("lambda:InvokeFunction/f",), "lambda:InvokeFunction", "f", True),
        (("lambda:InvokeFunction/f",), "lambda:InvokeFunction", "g", False),
        (("lambda:*",), "lambda:DeleteFunction", "f", True),
        (("lambda:*",), "iam:CreateRole", "", False),
        (("*",), "iam:CreateRole", "", True),
        (("lambda",), "lambda:InvokeFunction", "f", False),
        (("lambda:Get*",), "lambda:GetFunction", "f", True),
        (("lambda:Get*",), "lambda:DeleteFunction", "f", False),
        (("lambda:InvokeFunction/spam-*",), "lambda:InvokeFunction", "spam-1", True),
        (("lambda:InvokeFunction/spam-*",), "lambda:InvokeFunction", "ham", False),
        (("lambda:*/spam-*",), "lambda:ListFunctions", "", False),
        (("lambda:*/*",), "lambda:ListFunctions", "", False),
        (("logs:GetLogEvents//aws/lambda/*",), "logs:GetLogEvents", "/aws/lambda/f", True),
        (("lambda:InvokeFunction/f?",), "lambda:InvokeFunction", "f", False),
    ],
)
def test_a_function_may_do_only_what_it_was_granted(
    granted: tuple[str, ...], action: str, resource: str, allowed: bool
) -> None:
    """Rights are actions, a whole service's actions, or an action bound to one function."""
    assert Principal(Kind.FUNCTION, permissions=granted).allows(action, resource) is allowed


@pytest.mark.parametrize(
    ("held", "given", "allowed"),
    [
        ("lambda:*", "lambda:InvokeFunction", True),
        ("lambda:*", "lambda:Get*", True),
        ("lambda:Get*", "lambda:*", False),
        ("lambda:*/spam-*", "lambda:InvokeFunction/spam-1", True),
        ("lambda:*/spam-*", "lambda:InvokeFunction/spam-*", True),
        ("lambda:*/spam-*", "lambda:InvokeFunction", False),
        ("lambda:*/spam-*", "lambda:InvokeFunction/*", False),
        ("*", "iam:CreateRole", True),
    ],
)
def test_nobody_grants_what_they_do_not_hold(held: str, given: str, allowed: bool) -> None:
    """A permission can be passed on, or a part of it, and never more."""
    holder = Principal(Kind.KEY, "arn", permissions=(held,))
    if allowed:
        holder.check_may_grant((given,))
    else:
        with pytest.raises(AccessDenied, match="do not hold themselves"):
            holder.check_may_grant((given,))
    Principal(Kind.OWNER).check_may_grant((given,))


def test_the_owner_may_do_everything_and_nobody_nothing() -> None:
    """The key's holder is not limited; who has shown nothing is refused everything."""
    assert Principal(Kind.OWNER).allows("lambda:DeleteFunction", "f")
    assert not ANONYMOUS.allows("sts:GetCallerIdentity")
