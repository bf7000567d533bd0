"""What a key needs to use our own interface: the same rights as for what Lambda's and CloudWatch's interfaces do.

What is not listed here is the owner's alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote

from torpor.core.errors import AccessDenied
from torpor.core.identity import Kind, Principal


class Right(NamedTuple):
    """One method and path; `resource` is what the action is on, made of the path's NAME, or PATH with slashes."""

    method: str
    path: str
    action: str
    resource: str = "{NAME}"


_FUNCTION = "/_torpor/functions/{NAME}"
RIGHTS: Sequence[Right] = (
    Right("GET", "/_torpor/status", "torpor:GetStatus", ""),
    Right("GET", "/_torpor/functions", "lambda:ListFunctions", ""),
    Right("GET", _FUNCTION, "lambda:GetFunction"),
    Right("PUT", _FUNCTION, "lambda:CreateFunction"),
    Right("PUT", _FUNCTION, "lambda:UpdateFunctionCode"),
    Right("PUT", _FUNCTION, "lambda:UpdateFunctionConfiguration"),
    Right("DELETE", _FUNCTION, "lambda:DeleteFunction"),
    Right("PUT", f"{_FUNCTION}/url", "lambda:CreateFunctionUrlConfig"),
    Right("PUT", f"{_FUNCTION}/url", "lambda:UpdateFunctionUrlConfig"),
    Right("DELETE", f"{_FUNCTION}/url", "lambda:DeleteFunctionUrlConfig"),
    Right("GET", "/_torpor/layers", "lambda:ListLayers", ""),
    Right("PUT", "/_torpor/layers/{NAME}", "lambda:PublishLayerVersion"),
    Right("DELETE", "/_torpor/layers/{NAME}/{VERSION}", "lambda:DeleteLayerVersion"),
    Right("GET", "/_torpor/logs/{NAME}", "logs:FilterLogEvents", "/aws/lambda/{NAME}"),
    Right("GET", "/_torpor/secrets", "secretsmanager:ListSecrets", ""),
    Right("PUT", "/_torpor/secrets/{PATH}", "secretsmanager:CreateSecret", "{PATH}"),
    Right("PUT", "/_torpor/secrets/{PATH}", "secretsmanager:PutSecretValue", "{PATH}"),
    Right("DELETE", "/_torpor/secrets/{PATH}", "secretsmanager:DeleteSecret", "{PATH}"),
    Right("GET", "/_torpor/stacks", "cloudformation:ListStacks", ""),
    Right("GET", "/_torpor/stacks/{NAME}", "cloudformation:DescribeStacks"),
    Right("PUT", "/_torpor/stacks/{NAME}", "cloudformation:UpdateStack"),
    Right("DELETE", "/_torpor/stacks/{NAME}", "cloudformation:DeleteStack"),
    Right("GET", "/_torpor/usage", "torpor:GetUsage", ""),
    Right("POST", "/_torpor/gc", "torpor:CollectGarbage", ""),
)
_PATTERNS = {"NAME": r"(?P<NAME>[^/]+)", "PATH": r"(?P<PATH>.+)", "VERSION": r"[0-9]+"}
_VARIABLES = {re.escape(f"{{{name}}}"): pattern for name, pattern in _PATTERNS.items()}


def _compiled(path: str) -> re.Pattern[str]:
    pattern = re.escape(path)
    for variable, text in _VARIABLES.items():
        pattern = pattern.replace(variable, text)
    return re.compile(pattern, re.DOTALL)


_COMPILED = [(right, _compiled(right.path)) for right in RIGHTS]


def check(principal: Principal, method: str, path: str) -> None:
    """Raise AccessDenied, naming the first right that is missing."""
    if principal.kind is Kind.OWNER:
        return
    wanted = list(_wanted(method, unquote(path)))
    if principal.kind is not Kind.KEY or not wanted:
        raise AccessDenied(f"User: {principal.arn or 'anonymous'} is not this server's owner, who alone may do this.")
    for action, resource in wanted:
        principal.check_may(action, resource)


def _wanted(method: str, path: str) -> Sequence[tuple[str, str]]:
    method = "GET" if method == "HEAD" else method
    found = [(right, pattern.fullmatch(path)) for right, pattern in _COMPILED if right.method == method]
    return [(right.action, right.resource.format(**match.groupdict())) for right, match in found if match]
