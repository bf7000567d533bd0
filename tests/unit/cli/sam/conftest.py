"""A server that is a dictionary, so that deployments can be watched, and stopped where a test wants."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from torpor.cli.failures import Failed, Refused
from torpor.cli.sam import support
from torpor.cli.sam.application import read_application
from torpor.cli.sam.deployment import Deployment, remove_stack
from torpor.cli.sam.kinds.kind import Result, Wanted
from torpor.cli.sam.parameters import pseudo_parameters, values_of
from torpor.cli.sam.record import Made, Stack
from torpor.cli.sam.remote import Gone
from torpor.cli.sam.template import parse


@dataclass
class FakeKind:
    """Resources by name; `named` are the types whose name is known beforehand."""

    there: dict[str, Mapping[str, Any]]
    did: list[str]
    fails: dict[str, str]
    named: bool = True
    key: str = "FunctionName"

    def name(self, wanted: Wanted) -> str | None:
        return wanted.given_name(self.key) if self.named else None

    def exists(self, name: str) -> bool:
        return name in self.there

    def create(self, wanted: Wanted) -> Result:
        name = self.name(wanted) or f"{wanted.id}-{len(self.did)}"
        self._do("create", wanted.id, name, wanted)
        return Result(name, {"Ref": name, "Arn": f"arn:{name}"})

    def update(self, wanted: Wanted, made: Made) -> Result:
        if made.physical not in self.there:
            raise Gone(made.physical)
        self._do("update", wanted.id, made.physical, wanted)
        return Result(made.physical, {"Ref": made.physical, "Arn": f"arn:{made.physical}"})

    def delete(self, made: Made) -> None:
        if f"delete {made.id}" in self.fails:
            raise Failed(self.fails[f"delete {made.id}"])
        self.did.append(f"delete {made.id}")
        if self.there.pop(made.physical, None) is None:
            raise Gone(made.physical)

    def _do(self, verb: str, logical: str, name: str, wanted: Wanted) -> None:
        fault = self.fails.get(f"{verb} {logical}")
        if fault == "half":  # made, and then something broke
            self.there[name] = wanted.properties
            raise Failed("it was made, and then something broke")
        if fault:
            raise Refused(fault, status=400)
        self.did.append(f"{verb} {logical}")
        self.there[name] = wanted.properties


@dataclass
class World:
    """The server: its resources, and the stacks' records as they would be sent."""

    there: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    did: list[str] = field(default_factory=list)
    fails: dict[str, str] = field(default_factory=dict)
    records: dict[str, tuple[int, str]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    account: str = "000000000000"
    region: str = "us-east-1"
    url: str = "http://127.0.0.1:7070"

    def keep(self, stack: Stack) -> None:
        if self.records.get(stack.name, (0, ""))[0] != stack.revision:
            raise Refused("changed meanwhile", status=409)
        stack.revision += 1
        self.records[stack.name] = (stack.revision, json.dumps(stack.document()))

    def forget(self, stack: Stack) -> None:
        del self.records[stack.name]

    def stack(self, name: str = "app") -> Stack:
        revision, document = self.records.get(name, (0, ""))
        return Stack.from_json(name, revision, json.loads(document)) if document else Stack(name=name)

    def deployment(self, text: str, **given: str) -> Deployment:
        template = parse(text, Path("t.yaml"))
        values = values_of(template, given) | pseudo_parameters("app", account=self.account, region=self.region)
        application = read_application(template, "app", values, translate=lambda document: document)
        return Deployment(application, self.stack(), self, self.kinds(), self.said.append)

    def plan(self, text: str, **given: str) -> list[tuple[str, str, tuple[str, ...]]]:
        return [(step.action.value, step.id, step.changes) for step in self.deployment(text, **given).plan()]

    def apply(self, text: str, **given: str) -> list[str]:
        """What was done to resources."""
        begun = len(self.did)
        self.deployment(text, **given).apply()
        return self.did[begun:]

    def remove(self) -> list[Made]:
        return remove_stack(self.stack(), self, self.kinds(), self.said.append)

    def kinds(self) -> dict[str, FakeKind]:
        made = {kind: FakeKind(self.there, self.did, self.fails, named=False) for kind in support.APPLIED}
        made[support.FUNCTION] = FakeKind(self.there, self.did, self.fails)
        made[support.ROLE] = FakeKind(self.there, self.did, self.fails, key="RoleName")
        return made


@pytest.fixture
def world() -> World:
    return World()
