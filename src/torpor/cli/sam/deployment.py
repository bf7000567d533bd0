"""A deployment: from plan to server. The record is stored before and after each step, so that a rerun goes on.

A step that was begun has no digests in the record: the next run does it again. What is made is named before it is
asked for where its name is known beforehand, so that nothing is made twice or forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from torpor.cli.failures import Failed, Failure, Refused, WrongUse
from torpor.cli.sam import support
from torpor.cli.sam.application import Application, Node
from torpor.cli.sam.intrinsics import Wrong, text_of
from torpor.cli.sam.kinds.kind import Kind, Result, Wanted, physical_name
from torpor.cli.sam.parameters import shown
from torpor.cli.sam.places import Places
from torpor.cli.sam.plan import Action, Known, Step, decide, digests_of, evaluating, plan
from torpor.cli.sam.record import Made, Stack
from torpor.cli.sam.remote import Gone, Remote
from torpor.core.errors import UserError

_AWS_ADDRESS = re.compile(r"https://([a-z0-9]{8,12})\.execute-api\.[a-z0-9-]+\.amazonaws\.com")
Say = Callable[[str], None]


@dataclass(slots=True)
class Deployment:
    """One application on its way to its stack."""

    application: Application
    stack: Stack
    remote: Remote
    kinds: Mapping[str, Kind]
    say: Say
    known: Known = field(init=False)

    def __post_init__(self) -> None:
        self.stack.moved_to(self.remote.url)
        self.known = Known(self.application, self._left_out)

    def plan(self) -> list[Step]:
        """What `apply` would do. Raises WrongUse."""
        try:
            steps = plan(self.application, self.stack, Known(self.application, self._left_out), self._prior)
        except Wrong as error:
            raise self._told(error) from None
        return steps

    def apply(self) -> None:
        """Do it. Raises Failed, Refused and Unreachable; the record then says how far it came."""
        self.stack.template = str(self.application.template.path)
        self.stack.parameters = shown(self.application.template, self._parameters())
        self.stack.waiting = [waiting.as_json() for waiting in self.application.waiting]
        self._keep("deploying")
        try:
            for node in self.application.nodes:
                self._settle(node)
            self._remove_gone()
            remove_leftovers(self.stack, self.kinds, self._keep, self.say)
            self.stack.outputs = self._outputs()
        except Failure as error:
            self._fail(error)
            raise
        except Wrong as error:
            told = self._told(error)
            self._fail(told)
            raise told from None
        self._keep("deployed")

    def _settle(self, node: Node) -> None:
        """Bring one resource to what the template wants of it now that what it needs is there."""
        properties = evaluating(self.application, self.known.reference)(node)
        made = self._prior(node, properties)
        digests = digests_of(properties)
        decision = decide(made, node.type, digests)
        if made is not None and made.id != node.id:  # it has another logical id now
            self.stack.resources = {
                (node.id if name == made.id else name): one for name, one in self.stack.resources.items()
            }
            made = made.evolve(id=node.id)
        if made is None or decision.action is not Action.UNCHANGED:
            located: Mapping[str, Any] = self._everywhere(properties)
            wanted = Wanted(self.stack.name, node.id, node.type, located, self.application.archives)
            made = self._done(node, wanted, made, decision.action, digests)
        keeps = {"keep": node.keep, "keep_replaced": node.keep_replaced}
        self.stack.resources[node.id] = made.evolve(digests=digests, **keeps)
        self.known.attributes[node.id] = made.attributes
        if decision.action is not Action.UNCHANGED:
            self._keep("deploying")

    def _done(self, node: Node, wanted: Wanted, made: Made | None, action: Action, digests: Mapping[str, str]) -> Made:
        kind = self.kinds[node.type]
        self.say(f"{action.value} {node.id} ({node.type})")
        try:
            if made is not None and action is Action.UPDATE:
                return self._updated(kind, wanted, made, digests)
            return self._created(kind, wanted, made, digests)
        except Failure as error:
            raise self._at(node, error) from None
        except Gone as error:
            raise self._at(node, Failed(str(error), code="ResourceNotFoundException")) from None
        except (UserError, ValueError, TypeError, KeyError) as error:
            raise self._at(node, WrongUse(_plain(error))) from None

    def _updated(self, kind: Kind, wanted: Wanted, made: Made, digests: Mapping[str, str]) -> Made:
        same = {name: value for name, value in made.digests.items() if digests.get(name) == value}
        self.stack.resources[made.id] = made.evolve(digests=same)
        self._keep("deploying")
        try:
            result = kind.update(wanted, made)
        except Gone:  # somebody removed it without us
            result = kind.create(wanted)
        return _record(wanted, result)

    def _created(self, kind: Kind, wanted: Wanted, before: Made | None, digests: Mapping[str, str]) -> Made:
        name = kind.name(wanted)
        if name is not None and before is not None and before.physical == name and before.type == wanted.type:
            # The new one would have the old one's name: there is no room for both.
            self._gone(kind, before)
            before = None
        if name is not None and kind.exists(name):
            raise Refused(
                f"{name} exists already, and is not of this stack: remove it, or name this one otherwise",
                status=409,
                code="ResourceConflictException",
            )
        if before is not None:
            self.stack.leftovers.append(before)
            self.stack.resources.pop(before.id, None)
        if name is not None:
            fixed = {key: value for key, value in digests.items() if key in support.FIXED[wanted.type]}
            self.stack.resources[wanted.id] = Made(id=wanted.id, type=wanted.type, physical=name, digests=fixed)
        self._keep("deploying")
        try:
            return _record(wanted, kind.create(wanted))
        except Refused as error:
            if error.status < 500 and name is not None and not kind.exists(name):
                self.stack.resources.pop(wanted.id, None)  # nothing was made
            raise

    def _gone(self, kind: Kind, made: Made) -> None:
        with suppress(Gone):
            kind.delete(made)
        self.stack.resources.pop(made.id, None)

    def _prior(self, node: Node, properties: Mapping[str, Any]) -> Made | None:
        """What the stack has of this resource: by its logical id, or else by its name, where the id was changed."""
        made = self.stack.resources.get(node.id)
        if made is not None:
            return made
        wanted = Wanted(self.stack.name, node.id, node.type, properties, self.application.archives)
        try:
            name = self.kinds[node.type].name(wanted)
        except (ValueError, TypeError, KeyError):
            return None
        ids = {one.id for one in self.application.nodes}
        moved = (one for one in self.stack.resources.values() if one.id not in ids and one.type == node.type)
        return next((one for one in moved if name is not None and one.physical == name), None)

    def _remove_gone(self) -> None:
        ids = {node.id for node in self.application.nodes}
        gone = [made for name, made in self.stack.resources.items() if name not in ids]
        for made in reversed(gone):
            del self.stack.resources[made.id]
            if made.keep:
                self.say(f"keep {made.id} ({made.physical}): its DeletionPolicy is Retain")
            else:
                self.stack.leftovers.append(made.evolve(keep_replaced=False))
        if gone:
            self._keep("deploying")

    def _outputs(self) -> dict[str, dict[str, str]]:
        evaluator = self.application.evaluator(self.known.reference)
        found = {}
        for name, about in self.application.outputs.items():
            value = self._addressed(text_of(evaluator.value(about["Value"], ("Outputs", name, "Value"))))
            found[name] = {"Value": value, "Description": text_of(about.get("Description", ""))}
        return found

    def _addressed(self, text: str) -> str:
        """The addresses that APIs would have on AWS as those that they have here."""
        endpoints = {
            one["Ref"]: one["ApiEndpoint"] for one in self.known.attributes.values() if one and "ApiEndpoint" in one
        }
        return _AWS_ADDRESS.sub(lambda match: endpoints.get(match[1], match[0]), text)

    def _everywhere(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._everywhere(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._everywhere(one) for one in value]
        return self._addressed(value) if isinstance(value, str) else value

    def _left_out(self, name: str, attribute: str | None) -> str:
        """What a reference to a resource that is not made is worth: the name it would have."""
        resource = self.application.left_out[name]
        service = resource["Type"].split("::")[1].lower()
        properties = resource.get("Properties") or {}
        given = next(
            (
                properties[key]
                for key in ("QueueName", "TopicName", "BucketName", "TableName", "Name")
                if isinstance(properties.get(key), str)
            ),
            None,
        )
        called = given or physical_name(self.stack.name, name, 63)
        called = called.lower() if service == "s3" else called
        if attribute is None and resource["Type"] == "AWS::SQS::Queue":
            return f"{self.remote.url}/{self.remote.account}/{called}"
        if attribute in ("Arn", "TopicArn", "QueueArn") or (attribute is None and service == "sns"):
            if service == "s3":
                return f"arn:aws:s3:::{called}"
            return f"arn:aws:{service}:{self.remote.region}:{self.remote.account}:{called}"
        if attribute is None or attribute.endswith("Name"):
            return called
        if attribute == "QueueUrl":
            return f"{self.remote.url}/{self.remote.account}/{called}"
        raise Wrong(f"{name} ({resource['Type']}) is not made, so nothing can be said of its {attribute}", ())

    def _parameters(self) -> dict[str, Any]:
        declared = self.application.template.section("Parameters")
        return {name: value for name, value in self.application.values.items() if name in declared}

    def _keep(self, status: str) -> None:
        self.stack.status = status
        self.stack.reason = "" if status != "failed" else self.stack.reason
        self.stack.changed = datetime.now(UTC).isoformat(timespec="seconds")
        self.remote.keep(self.stack)

    def _fail(self, error: Failure) -> None:
        """Write down how it ended, where the server can still be told."""
        self.stack.reason = error.message
        try:
            self._keep("failed")
        except Failure as second:
            self.say(f"the stack's record could not be stored: {second.message}")

    def _at(self, node: Node, error: Failure) -> Failure:
        return error.placed(self.application.template.at(node.place, node.id))

    def _told(self, error: Wrong) -> WrongUse:
        template = self.application.template
        return WrongUse(template.at(Places(template).written(error.place), error.message))


def remove_leftovers(stack: Stack, kinds: Mapping[str, Kind], keep: Callable[[str], None], say: Say) -> None:
    """Remove what was replaced, or is in the template no longer. Each is forgotten once it is gone."""
    while stack.leftovers:
        made = stack.leftovers[0]
        in_use = {one.physical for one in stack.resources.values() if one.type == made.type}
        if made.keep_replaced or made.physical in in_use:
            pass  # as the template says; or what replaced it is the same thing, as a version published again is
        else:
            say(f"delete {made.id} ({made.physical})")
            try:
                kinds[made.type].delete(made)
            except Gone:
                pass
            except Failure as error:
                raise error.placed(f"{made.id} ({made.physical}) could not be removed") from None
        stack.leftovers.pop(0)
        keep(stack.status)


def _record(wanted: Wanted, result: Result) -> Made:
    return Made(id=wanted.id, type=wanted.type, physical=result.physical, attributes=result.attributes)


def _goes_with_its_function(made: Made, stack: Stack) -> bool:
    """Whether it is a version of a function that is removed: no version outlives its function."""
    functions = {one.physical for one in stack.resources.values() if one.type == support.FUNCTION and not one.keep}
    return made.type == support.VERSION and made.physical.split(":")[-2] in functions


def _plain(error: Exception) -> str:
    return f"{error.args[0]!s} is missing" if isinstance(error, KeyError) and error.args else str(error)


def remove_stack(stack: Stack, remote: Remote, kinds: Mapping[str, Kind], say: Say) -> list[Made]:
    """Remove all that a stack has, the newest first, then its record. Returns what was kept. Raises Failure."""

    def keep(status: str) -> None:
        stack.status = status
        remote.keep(stack)

    kept = [made for made in stack.resources.values() if made.keep and not _goes_with_its_function(made, stack)]
    stack.leftovers = [
        *stack.leftovers,
        *(replace(made, keep_replaced=False) for made in reversed(stack.resources.values()) if not made.keep),
    ]
    stack.resources = {}
    keep("removing")
    try:
        remove_leftovers(stack, kinds, keep, say)
    except Failure as error:
        stack.reason = error.message
        keep("failed")
        raise
    remote.forget(stack)
    return kept
