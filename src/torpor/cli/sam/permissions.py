"""A role's policies as the permissions that functions have here. What does not map is told, and not enforced.

Nothing is widened: what a statement binds to a condition, or takes away, grants nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torpor.core.identity import is_permission

# Services that a function can reach through its door, and how their ARNs name a resource.
_RESOURCES = {
    "lambda": re.compile(r"function:([^:]+)(?::.*)?"),
    "secretsmanager": re.compile(r"secret:(.+?)(?:-(?:\?{6}|\*))?"),
    "ssm": re.compile(r"parameter/?(.+)"),
    "logs": re.compile(r"log-group:([^:]+)(?::.*)?"),
}
_MANAGED = {
    "AWSLambdaBasicExecutionRole": (),  # logs are written for every function
    "AWSLambdaVPCAccessExecutionRole": (),  # logs, and interfaces in a VPC, which there is none of
    "AWSLambdaRole": ("lambda:InvokeFunction",),
    "AWSLambda_FullAccess": ("lambda:*",),
    "AWSLambda_ReadOnlyAccess": ("lambda:Get*", "lambda:List*"),
    "SecretsManagerReadWrite": ("secretsmanager:*",),
    "AmazonSSMReadOnlyAccess": ("ssm:Describe*", "ssm:Get*", "ssm:List*"),
    "AmazonSSMFullAccess": ("ssm:*",),
    "AdministratorAccess": ("*",),
}


@dataclass(frozen=True, slots=True)
class Granted:
    """The permissions of a function, and what of its policies is not enforced, each with the reason."""

    permissions: tuple[str, ...]
    left: tuple[str, ...]


def granted_by(managed: Iterable[str], policies: Iterable[Mapping[str, Any]]) -> Granted:
    """What ARNs of managed policies and inline policies (`PolicyName`, `PolicyDocument`) come to."""
    permissions: dict[str, None] = {}
    left: list[str] = []
    for arn in managed:
        name = str(arn).rpartition("/")[2]
        known = _MANAGED.get(name)
        if known is None:
            left.append(f"the managed policy {name}: nothing here corresponds to it")
        permissions |= dict.fromkeys(known or ())
    for policy in policies:
        for statement in _list(_table(policy.get("PolicyDocument")).get("Statement")):
            found, complaint = _statement(_table(statement))
            permissions |= dict.fromkeys(found)
            left += [complaint] if complaint else []
    return Granted(tuple(permissions), tuple(left))


def _statement(statement: Mapping[str, Any]) -> tuple[list[str], str]:
    actions = [str(one) for one in _list(statement.get("Action"))]
    said = ", ".join(actions[:3]) + (" …" if len(actions) > 3 else "")
    if statement.get("Effect") != "Allow":
        return [], f"Deny of {said or 'something'}: what is not allowed is denied here anyway, and nothing else"
    for name in ("Condition", "NotAction", "NotResource", "NotPrincipal"):
        if statement.get(name):
            return [], f"{said or name}: a statement with {name} grants nothing here"
    found, strange = [], []
    for action in actions:
        mapped = list(_bound(action, [str(one) for one in _list(statement.get("Resource"))]))
        found += mapped
        strange += [] if mapped else [action]
    return found, f"{', '.join(strange)}: there is no such service or resource here" if strange else ""


def _bound(action: str, resources: list[str]) -> Iterator[str]:
    service = action.partition(":")[0]
    for resource in resources:
        if resource == "*":
            entry = action
        elif service in _RESOURCES and resource.startswith("arn:"):
            match = _RESOURCES[service].fullmatch(resource.split(":", 5)[-1])
            entry = f"{action}/{match[1]}" if match else ""
        else:
            entry = ""
        if (action == "*" or service in _RESOURCES) and is_permission(entry):
            yield entry


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _table(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
