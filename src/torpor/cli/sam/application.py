"""From a template to the resources that a stack shall have, in the order in which they can be made."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from torpor.cli.failures import WrongUse
from torpor.cli.sam import support
from torpor.cli.sam.code import Archives, pack_code
from torpor.cli.sam.intrinsics import OPEN, Evaluator, Reference, Wrong, is_function, sub_names
from torpor.cli.sam.permissions import granted_by
from torpor.cli.sam.places import Places
from torpor.cli.sam.template import Place, Template
from torpor.cli.sam.translator import NotTranslated

Translate = Callable[[dict[str, Any]], dict[str, Any]]

_TRANSFORM = "AWS::Serverless-2016-10-31"
_TRANSFORMS = {_TRANSFORM, "AWS::LanguageExtensions"}
_FORMAT = "AWSTemplateFormatVersion"
POLICIES = "Policies"  # of a function: its role's, which are its permissions here


@dataclass(frozen=True, slots=True)
class Node:
    """A resource of the stack; references to others in its properties are still open."""

    id: str
    type: str
    properties: Mapping[str, Any]
    needs: frozenset[str]
    place: Place
    keep: bool = False
    keep_replaced: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """Something that nothing here sends or keeps yet: an event of a function, or a resource (`event` is empty)."""

    resource: str
    event: str
    type: str
    line: int
    properties: Mapping[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(slots=True)
class Application:
    """What a template asks for. `left_out` are resources that are not made: waiting ones, and unsupported ones."""

    template: Template
    stack: str
    values: Mapping[str, Any]
    nodes: list[Node] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()  # by their conditions
    waiting: list[Waiting] = field(default_factory=list)
    unsupported: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    archives: Archives = field(default_factory=Archives)

    def evaluator(self, reference: Reference) -> Evaluator:
        """Evaluates what is still open."""
        return Evaluator(self.values, self.template.section("Mappings"), self.template.section("Conditions"), reference)


def read_application(
    template: Template,
    stack: str,
    values: Mapping[str, Any],
    translate: Translate,
) -> Application:
    """What the template asks for with these values. Raises WrongUse naming every line that is wrong."""
    application = Application(template, stack, values)
    try:
        resources, globals_ = _evaluated(application)
        _take_events(application, resources)
        _take_unknown_serverless(application, resources)
        pack_code(template, resources, globals_.get("Function") or {}, application.archives)
        document = _translated(application, resources, globals_, translate)
        application.nodes = _ordered(template, _nodes(application, document["Resources"]))
        application.outputs = document.get("Outputs") or {}
    except Wrong as error:
        raise WrongUse(template.at(Places(template).written(error.place), error.message)) from None
    return application


def _evaluated(application: Application) -> tuple[dict[str, Any], dict[str, Any]]:
    """Resources that are made under these conditions, and Globals, with all that parameters and mappings say."""
    template = application.template
    _check_transform(template)

    def later(name: str, _attribute: str | None) -> Any:
        if name in application.absent:
            raise Wrong(f"{name} is not made under these conditions, so nothing can refer to it", ())
        return OPEN

    evaluator = application.evaluator(later)
    written = template.section("Resources")
    for name, resource in written.items():
        if not isinstance(resource, dict) or not isinstance(resource.get("Type"), str):
            raise Wrong(f"{name} needs a Type", ("Resources", name))
    made = {name for name, one in written.items() if _is_made(one, evaluator, ("Resources", name))}
    application.absent = frozenset(written) - made
    resources = {
        name: _resource(written[name], evaluator, ("Resources", name), application.absent)
        for name in written
        if name in made
    }
    return resources, evaluator.value(template.section("Globals"), ("Globals",))


def _check_transform(template: Template) -> None:
    given = template.tree.get("Transform")
    for name in given if isinstance(given, list) else [given]:
        if name is not None and name not in _TRANSFORMS:
            raise Wrong(f"the transform {name} is not supported: {_TRANSFORM} is", ("Transform",))
    uses_sam = any(
        str((one or {}).get("Type", "")).startswith(support.SERVERLESS)
        for one in template.section("Resources").values()
        if isinstance(one, dict)
    )
    if uses_sam and _TRANSFORM not in (given if isinstance(given, list) else [given]):
        raise Wrong(
            f"a template with {support.SERVERLESS}… says so at its top: Transform: {_TRANSFORM}", ("Resources",)
        )


def _is_made(resource: Mapping[str, Any], evaluator: Evaluator, place: Place) -> bool:
    condition = resource.get("Condition")
    return condition is None or evaluator.holds(str(condition), (*place, "Condition"))


def _resource(
    resource: Mapping[str, Any], evaluator: Evaluator, place: Place, absent: frozenset[str]
) -> dict[str, Any]:
    kept = {name: resource[name] for name in ("Type", "DeletionPolicy", "UpdateReplacePolicy") if name in resource}
    properties = evaluator.value(resource.get("Properties") or {}, (*place, "Properties"))
    if not isinstance(properties, dict):
        raise Wrong("Properties is a table", (*place, "Properties"))
    needed = resource.get("DependsOn") or []
    needs = [one for one in ([needed] if isinstance(needed, str) else needed) if one not in absent]
    return kept | {"Properties": properties} | ({"DependsOn": needs} if needs else {})


def _take_events(application: Application, resources: dict[str, Any]) -> None:
    """Keep the events apart that nothing here sends yet; what is left becomes routes."""
    template = application.template
    for name, resource in resources.items():
        events = resource["Properties"].get("Events")
        if resource["Type"] != f"{support.SERVERLESS}Function" or not isinstance(events, dict):
            continue
        for event, about in list(events.items()):
            kind = str(about.get("Type") or "") if isinstance(about, dict) else ""
            if kind in support.ROUTES or not kind:
                continue  # without a Type it is no event, as the translator says
            line = template.line("Resources", name, "Properties", "Events", event)
            properties = about.get("Properties") or {} if isinstance(about, dict) else {}
            application.waiting.append(Waiting(name, event, kind, line, properties))
            del events[event]


def _take_unknown_serverless(application: Application, resources: dict[str, Any]) -> None:
    for name, resource in list(resources.items()):
        kind = resource["Type"]
        if kind.startswith(support.SERVERLESS) and kind not in support.SERVERLESS_TYPES:
            _leave_out(application, name, resource, ("Resources", name))
            del resources[name]


def _translated(
    application: Application, resources: dict[str, Any], globals_: dict[str, Any], translate: Translate
) -> dict[str, Any]:
    template = application.template
    document: dict[str, Any] = {_FORMAT: "2010-09-09", "Resources": resources}
    if outputs := _outputs(application):
        document["Outputs"] = outputs
    if not any(one["Type"].startswith(support.SERVERLESS) for one in resources.values()):
        return document
    document |= {"Transform": _TRANSFORM} | ({"Globals": globals_} if globals_ else {})
    _take_preferences(application, resources, globals_)
    try:
        return translate(document)
    except NotTranslated as error:
        places = Places(template)
        told = [template.at(places.of(one.resource), one.message) for one in error.problems]
        raise WrongUse("\n".join(dict.fromkeys(told))) from None


def _take_preferences(application: Application, resources: dict[str, Any], globals_: dict[str, Any]) -> None:
    """Nothing here shifts traffic step by step by itself: what would do so on AWS is not even translated."""
    everywhere = (globals_.get("Function") or {}).pop("DeploymentPreference", None)
    for name, resource in resources.items():
        if resource["Properties"].pop("DeploymentPreference", everywhere):
            place = Places(application.template).property(name, "DeploymentPreference")
            why = support.WHY["DeploymentPreference"]
            application.remarks.append(application.template.at(place, f"{name}: DeploymentPreference: {why}"))


def _outputs(application: Application) -> dict[str, Any]:
    evaluator = application.evaluator(lambda _name, _attribute: OPEN)
    found = {}
    for name, about in application.template.section("Outputs").items():
        place = ("Outputs", name)
        if not isinstance(about, dict) or "Value" not in about:
            raise Wrong("an output is a table with a Value", place)
        if _is_made(about, evaluator, place):
            kept = {key: about[key] for key in ("Description",) if key in about}
            found[name] = kept | {"Value": evaluator.value(about["Value"], (*place, "Value"))}
    return found


def _nodes(application: Application, resources: Mapping[str, Any]) -> Iterator[Node]:
    places = Places(application.template)
    for name, resource in resources.items():
        kind, place = resource["Type"], places.of(name)
        if kind in support.DONE_BY_OTHERS:
            continue
        if kind not in support.APPLIED:
            _leave_out(application, name, resource, place)
            continue
        properties = dict(resource.get("Properties") or {})
        _remark(application, name, kind, properties, places)
        properties = {key: value for key, value in properties.items() if key in support.APPLIED[kind]}
        properties.pop("DeploymentId", None)
        if kind == support.FUNCTION:
            properties[POLICIES] = _policies_of(properties.get("Role"), resources)
            _remark_policies(application, name, properties[POLICIES], places)
        if kind == support.REST_API:
            where = application.template.at(place, f"{name}: served as an HTTP API, with events of payload format 1.0")
            application.remarks.append(where)
        depends = resource.get("DependsOn") or []
        yield Node(
            id=name,
            type=kind,
            properties=properties,
            needs=frozenset(references(properties)) | frozenset([depends] if isinstance(depends, str) else depends),
            place=place,
            keep=str(resource.get("DeletionPolicy", "")).startswith("Retain"),
            keep_replaced=resource.get("UpdateReplacePolicy") == "Retain",
        )


def _policies_of(role: Any, resources: Mapping[str, Any]) -> list[Any]:
    """The policies of a function's role, where the template makes the role."""
    found = next(iter(role.get("Fn::GetAtt", ())), None) if isinstance(role, dict) else None
    about = resources.get(str(found)) or {}
    properties = about.get("Properties") or {}
    if about.get("Type") != support.ROLE:
        return []
    return [properties.get("ManagedPolicyArns") or [], properties.get("Policies") or []]


def _remark_policies(application: Application, name: str, policies: Sequence[Any], places: Places) -> None:
    """Say what of the policies is not enforced. What references are worth does not matter for that."""
    closed = application.evaluator(lambda _name, attribute: _ANY_ARN if attribute == "Arn" else "any")
    managed, inline = closed.value(list(policies)) if policies else ([], [])
    for left in granted_by(managed, inline).left:
        where = places.property(name, "Policies")
        application.remarks.append(application.template.at(where, f"{name}: Policies: not enforced: {left}"))


_ANY_ARN = "arn:aws:lambda:us-east-1:000000000000:function:any"


def _leave_out(application: Application, name: str, resource: Mapping[str, Any], place: Place) -> None:
    kind, line = resource["Type"], application.template.line(*place)
    application.left_out[name] = resource
    if kind in support.WAITING_TYPES:
        application.waiting.append(Waiting(name, "", kind, line, resource.get("Properties") or {}))
    else:
        application.unsupported.append(application.template.at(place, f"{name}: {kind} is not supported"))


def _remark(application: Application, name: str, kind: str, properties: Mapping[str, Any], places: Places) -> None:
    for key in properties:
        own = key == "Architectures" and properties[key] == [_OWN.get(platform.machine())]
        if key not in support.APPLIED[kind] and key not in _UNSPOKEN and not own:
            why = support.WHY.get(key, "it has no effect here")
            application.remarks.append(application.template.at(places.property(name, key), f"{name}: {key}: {why}"))


_OWN = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
_UNSPOKEN = {"FailOnWarnings", "Parameters", "BodyS3Location"}  # written by the translator


def references(value: Any) -> Iterator[str]:
    """The names that a value refers to."""
    if is_function(value):
        name, argument = next(iter(value.items()))
        if name == "Ref":
            yield str(argument)
        elif name == "Fn::GetAtt":
            yield str(argument[0])
        elif name == "Fn::Sub":
            yield from _of_sub(argument)
        else:
            yield from references(argument)
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from references(one)


def _of_sub(argument: Any) -> Iterator[str]:
    text, given = argument if isinstance(argument, list) else (argument, {})
    for name in sub_names(text):
        if name not in given:
            yield name.partition(".")[0]
    yield from references(dict(given))


def _ordered(template: Template, nodes: Iterator[Node]) -> list[Node]:
    """Each after what it needs, and otherwise as they came."""
    known = {node.id: node for node in nodes}
    graph = {name: node.needs & known.keys() - {name} for name, node in known.items()}
    try:
        order: Sequence[str] = list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = error.args[1]
        lines = [template.at(known[name].place, name) for name in dict.fromkeys(circle)]
        raise WrongUse(
            f"these resources need each other in a circle ({' → '.join(circle)}):\n" + "\n".join(lines)
        ) from None
    return [known[name] for name in order]
