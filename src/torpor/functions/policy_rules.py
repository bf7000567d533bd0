"""What IAM asks of a policy before it takes it. Nothing is granted by one here: `permissions` do that."""

from __future__ import annotations

import json
import re
from typing import Any

from torpor.core.errors import InvalidValue, UserError

MAX_ATTACHED = 10  # AWS's default quota
MAX_INLINE = 10_240  # characters of all inline policies of a role, without white space
_MAX_ARN = 239  # no policy of AWS comes near it, and base64 of it is still a Marker (320 characters)
_SYNTAX = "Syntax errors in policy."
_ARN = re.compile(r"arn:aws:iam::(?P<account>aws|\d{12}):policy(?P<path>/(?:[\w.,+@=-]+/)*)[\w+=,.@-]{1,128}", re.ASCII)


class MalformedPolicy(UserError):
    """The policy is not written as IAM's grammar wants it."""

    code = "MalformedPolicyDocumentException"


class PolicyNotFound(UserError):
    """There is no such policy, or the role does not have it."""

    code = "NoSuchEntityException"


def check_trust_policy(text: str) -> None:
    """Raises MalformedPolicy for what is no JSON object."""
    _load(text, "This policy contains invalid Json")


def check_inline_policy(text: str) -> None:
    """Raises MalformedPolicy where the grammar of identity-based policies is not kept, in IAM's words."""
    statements = _load(text, _SYNTAX).get("Statement")
    if isinstance(statements, dict):
        statements = [statements]
    if not isinstance(statements, list) or not statements:
        raise MalformedPolicy(_SYNTAX)
    for statement in statements:
        _check_statement(statement)


def check_attachable(arn: str) -> None:
    """Raises InvalidValue for what is no policy's ARN, and PolicyNotFound for a policy that is not one of AWS's.

    Which policies AWS has is not known here, so each ARN that could be one of them is taken.
    """
    match = _ARN.fullmatch(arn)
    if match is None:
        raise InvalidValue(f"ARN {arn} is not valid.")
    if match["account"] != "aws" or len(arn) > _MAX_ARN:
        raise PolicyNotFound(
            f"Policy {arn} does not exist or is not attachable. torpor takes the ARNs of AWS's own policies "
            "(arn:aws:iam::aws:policy/NAME) and keeps no managed policies of yours: use PutRolePolicy for those."
        )


def path_of(arn: str) -> str:
    """The path of a managed policy: `/service-role/`, or `/`."""
    return arn[arn.index("/") : arn.rindex("/") + 1]


def counted_size(text: str) -> int:
    """The characters that IAM counts: white space is free."""
    return sum(map(len, text.split()))


def _load(text: str, no_json: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedPolicy(no_json) from error
    if not isinstance(document, dict):
        raise MalformedPolicy(_SYNTAX)
    return document


def _check_statement(statement: object) -> None:
    if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
        raise MalformedPolicy(_SYNTAX)
    if statement.keys() & {"Principal", "NotPrincipal"}:
        raise MalformedPolicy("Policy document should not specify a principal.")
    _check_element(statement, "Action", "Policy statement must contain actions.")
    _check_element(statement, "Resource", "Policy statement must contain resources.")


def _check_element(statement: dict[str, Any], name: str, missing: str) -> None:
    """One of NAME and NotNAME, a string or strings."""
    given = [statement[key] for key in (name, f"Not{name}") if key in statement]
    if not given or given == [[]]:
        raise MalformedPolicy(missing)
    values = given[0] if isinstance(given[0], list) else given
    if len(given) > 1 or not all(isinstance(value, str) for value in values):
        raise MalformedPolicy(_SYNTAX)
