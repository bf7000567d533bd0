"""What a service hands to the front: its handlers, and how its words differ from torpor's own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torpor.core.identity import Principal

Params = dict[str, Any]
Result = Mapping[str, Any]


@dataclass(slots=True)
class Call:
    """One request: who asks, under which id, and headers that the answer carries besides the modelled ones."""

    operation: str
    principal: Principal
    request_id: str
    trace_id: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)


Handler = Callable[[Call, Params], Awaitable[Result]]


def no_resource(_: Params) -> str:
    """For services whose operations are not bound to a function."""
    return ""


def nobody_else(_: Principal, __: str, ___: Params) -> bool:
    """For services whose resources have no policies of their own."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One AWS service as torpor offers it.

    `name` is botocore's, and `signing_name` what requests are signed for, where that differs; `codes` translates codes
    of TorporError to the service's exception shapes; `actions`
    translates operations to IAM actions where they differ; `resource` finds what is acted upon, in the words of
    `Principal.allows` — several, where the caller needs the right for each of them —, and `arn` names it for messages;
    `permits` says whether the resource itself lets a caller do an action that they have no right of their own to.
    """

    name: str
    handlers: Mapping[str, Handler]
    codes: Mapping[str, str] = field(default_factory=dict)
    actions: Mapping[str, str] = field(default_factory=dict)
    resource: Callable[[Params], str | Sequence[str]] = no_resource
    arn: Callable[[str], str] = str
    permits: Callable[[Principal, str, Params], bool] = nobody_else
    signing_name: str = ""
