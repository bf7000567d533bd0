"""HTTP APIs (API Gateway v2): routes that lead to functions, and the stages that serve them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from torpor.core.arn import FunctionRef, parse_function_ref
from torpor.core.errors import InvalidValue, ValidationFailed

DEFAULT = "$default"  # the stage at an API's root, and the route for what no other takes

_VARIABLE = re.compile(r"\$\{stageVariables\.([A-Za-z0-9_]+)\}")
_INVOCATION = re.compile(r"arn:[^:]+:apigateway:[^:]+:lambda:path/2015-03-31/functions/(?P<function>.+)/invocations")


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Integration:
    """Where a route leads: a function, by the address that the user wrote. `payload` is `1.0` or `2.0`."""

    id: str
    uri: str
    payload: str = "2.0"
    method: str = "POST"
    timeout_ms: int = 30_000
    description: str | None = None
    credentials: str | None = None  # a role's ARN: kept, and without effect
    managed: bool = False  # made with its API, by quick create

    def evolve(self, **changes: Any) -> Integration:
        return replace(self, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """`key` is `METHOD /path` or `$default`; `integration` an id, or None while the route leads nowhere.

    `authorization` is `NONE` or `AWS_IAM`.
    """

    id: str
    key: str
    integration: str | None = None
    authorization: str = "NONE"
    operation_name: str | None = None
    managed: bool = False

    def evolve(self, **changes: Any) -> Route:
        return replace(self, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttle:
    """At most `rate` requests a second, with bursts of `burst`; None: no bound."""

    rate: float | None = None
    burst: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What a stage serves: an API's routes, integrations and CORS as they were then; `cors` as in the model."""

    id: str
    routes: tuple[Route, ...] = ()
    integrations: tuple[Integration, ...] = ()
    cors: Mapping[str, Any] | None = None
    description: str | None = None
    automatic: bool = False  # made by a stage with AutoDeploy
    created: datetime = field(default_factory=now)

    def evolve(self, **changes: Any) -> Deployment:
        return replace(self, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A name under which a deployment is served. `throttles` are per route key; `throttle` is for all others."""

    name: str
    deployment: str | None = None
    auto_deploy: bool = False
    description: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    throttle: Throttle | None = None
    throttles: Mapping[str, Throttle] = field(default_factory=dict)
    managed: bool = False
    created: datetime = field(default_factory=now)
    updated: datetime = field(default_factory=now)

    def evolve(self, **changes: Any) -> Stage:
        return replace(self, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpApi:
    """One API with all that belongs to it, by id or name."""

    id: str
    name: str
    description: str | None = None
    version: str | None = None
    cors: Mapping[str, Any] | None = None
    disabled: bool = False  # DisableExecuteApiEndpoint
    ip_address_type: str = "ipv4"
    tags: Mapping[str, str] = field(default_factory=dict)
    created: datetime = field(default_factory=now)
    routes: Mapping[str, Route] = field(default_factory=dict)
    integrations: Mapping[str, Integration] = field(default_factory=dict)
    stages: Mapping[str, Stage] = field(default_factory=dict)
    deployments: Mapping[str, Deployment] = field(default_factory=dict)

    def evolve(self, **changes: Any) -> HttpApi:
        return replace(self, **changes)

    def deployed(self, stage: Stage) -> Deployment | None:
        """What a stage serves; None before its first deployment."""
        return self.deployments.get(stage.deployment) if stage.deployment else None


def function_of(uri: str, variables: Mapping[str, str] | None = None) -> FunctionRef:
    """The function that an integration's URI names: its ARN, or API Gateway's longer form around it.

    `${stageVariables.NAME}` stands for a stage's variable; without `variables`, only the form is checked. Raises
    InvalidValue.
    """

    def value(match: re.Match[str]) -> str:
        return "x" if variables is None else variables.get(match[1], "")

    text = _VARIABLE.sub(value, uri)
    inner = _INVOCATION.fullmatch(text)
    text = inner["function"] if inner else text
    try:
        if text.startswith("arn:"):
            return parse_function_ref(text)
    except ValidationFailed:
        pass
    raise InvalidValue(
        f"Invalid function ARN or invalid uri: '{uri[:300]}'. Write a function's ARN, with or without a qualifier."
    )
