"""What a caller may do."""

import pytest

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
    ],
)
def test_a_function_may_do_only_what_it_was_granted(
    granted: tuple[str, ...], action: str, resource: str, allowed: bool
) -> None:
    """Rights are actions, a whole service's actions, or an action bound to one function."""
    assert Principal(Kind.FUNCTION, permissions=granted).allows(action, resource) is allowed


def test_the_owner_may_do_everything_and_nobody_nothing() -> None:
    """The key's holder is not limited; who has shown nothing is refused everything."""
    assert Principal(Kind.OWNER).allows("lambda:DeleteFunction", "f")
    assert not ANONYMOUS.allows("sts:GetCallerIdentity")
