"""A template's parameters: what is given, or their defaults, checked against what the template says of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from torpor.cli.failures import WrongUse
from torpor.cli.sam.intrinsics import NOTHING, text_of
from torpor.cli.sam.template import Template

SECRET = "****"  # noqa: S105 - what is shown in the place of one
_LISTS = ("CommaDelimitedList", "List<")
_FROM_SSM = "AWS::SSM::Parameter::Value"


def given_values(words: Sequence[str]) -> dict[str, str]:
    """What `--parameter KEY=VALUE` says. Raises WrongUse."""
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise WrongUse(f"--parameter takes KEY=VALUE, not '{word}'")
        found[key] = value
    return found


def values_of(template: Template, given: Mapping[str, str]) -> dict[str, Any]:
    """Each parameter's value: a text, or a list of texts. Raises WrongUse naming every parameter that is wrong."""
    declared = template.section("Parameters")
    problems = [_unknown(name, declared) for name in given if name not in declared]
    found: dict[str, Any] = {}
    for name, about in declared.items():
        try:
            found[name] = _value(about, given.get(name))
        except _Wrong as error:
            problems.append(template.at(("Parameters", name), f"parameter {name} {error}"))
    if problems:
        raise WrongUse("\n".join(problems))
    return found


def shown(template: Template, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values as they may be kept and shown: of those with NoEcho, nothing."""
    declared = template.section("Parameters")
    return {name: SECRET if _truthy(declared[name].get("NoEcho")) else value for name, value in values.items()}


def pseudo_parameters(stack: str, *, account: str, region: str) -> dict[str, Any]:
    """What every template can refer to, on this server."""
    return {
        "AWS::AccountId": account,
        "AWS::NoValue": NOTHING,
        "AWS::NotificationARNs": [],
        "AWS::Partition": "aws",
        "AWS::Region": region,
        "AWS::StackId": f"arn:aws:cloudformation:{region}:{account}:stack/{stack}/torpor",
        "AWS::StackName": stack,
        "AWS::URLSuffix": "amazonaws.com",
    }


class _Wrong(Exception):
    """What is wrong with a value; the parameter's name goes before it."""


def _unknown(name: str, declared: Mapping[str, Any]) -> str:
    near = get_close_matches(name, declared, n=1)
    hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(declared) or 'none'}"
    return f"the template has no parameter {name}: {hint}"


def _value(about: Any, given: str | None) -> Any:
    if not isinstance(about, dict):
        raise _Wrong("is a table with a Type")
    kind = str(about.get("Type", "String"))
    if kind.startswith(_FROM_SSM):
        raise _Wrong("takes its value from SSM, which is not supported: make it a String, and pass the value")
    value = given if given is not None else about.get("Default")
    if value is None:
        raise _Wrong(f"has no default: pass it with --parameter NAME=VALUE{_hint(about)}")
    texts = _items(value) if kind.startswith(_LISTS) else [text_of(value)]
    for text in texts:
        _check(text, kind, about)
    return texts if kind.startswith(_LISTS) else texts[0]


def _items(value: Any) -> list[str]:
    return [text_of(one).strip() for one in (value if isinstance(value, list) else text_of(value).split(","))]


def _hint(about: Mapping[str, Any]) -> str:
    return f" ({about['Description']})" if isinstance(about.get("Description"), str) else ""


def _check(text: str, kind: str, about: Mapping[str, Any]) -> None:
    told = "" if _truthy(about.get("NoEcho")) else f" '{text[:100]}'"
    wrong = _complaint(text, kind, about)
    if wrong:
        described = about.get("ConstraintDescription")
        raise _Wrong(f"cannot be{told}: {described or wrong}")


def _complaint(text: str, kind: str, about: Mapping[str, Any]) -> str:
    if "Number" in kind and re.fullmatch(r"[+-]?\d+(\.\d+)?", text.strip()) is None:
        return "it is a number"
    allowed = [text_of(one) for one in about.get("AllowedValues") or ()]
    if allowed and text not in allowed:
        return f"it is one of {', '.join(allowed)}"
    pattern = about.get("AllowedPattern")
    if pattern is not None and not _fits(str(pattern), text):
        return f"it matches {pattern}"
    return _out_of_bounds(about, "Length", len(text)) or _out_of_bounds(about, "Value", _number(text))


def _out_of_bounds(about: Mapping[str, Any], what: str, size: float | None) -> str:
    least, most = (_number(text_of(about.get(f"{bound}{what}", ""))) for bound in ("Min", "Max"))
    if size is None or (least or float("-inf")) <= size <= (float("inf") if most is None else most):
        return ""
    bounds = [f"{word} {bound:g}" for word, bound in (("at least", least), ("at most", most)) if bound is not None]
    return f"its {what.lower()} is {' and '.join(bounds)}"


def _fits(pattern: str, text: str) -> bool:
    try:
        return re.fullmatch(pattern, text) is not None
    except re.error as error:
        raise _Wrong(f"has an AllowedPattern that is no regular expression: {error}") from None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _truthy(value: Any) -> bool:
    return value is True or str(value).lower() == "true"
