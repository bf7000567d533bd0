"""Intrinsic functions, evaluated now or left for later."""

import base64

import pytest

from torpor.cli.sam.intrinsics import NOTHING, OPEN, Evaluator, Wrong, is_open

VALUES = {"Stage": "dev", "Sizes": ["1", "2"], "AWS::Region": "us-east-1", "AWS::NoValue": NOTHING}
MAPPINGS = {"Env": {"dev": {"Memory": 128, "Names": ["a", "b"]}}}
CONDITIONS = {
    "IsDev": {"Fn::Equals": [{"Ref": "Stage"}, "dev"]},
    "IsProd": {"Fn::Not": [{"Condition": "IsDev"}]},
    "Both": {"Fn::And": [{"Condition": "IsDev"}, {"Condition": "IsProd"}]},
    "Either": {"Fn::Or": [{"Condition": "IsDev"}, {"Condition": "IsProd"}]},
    "Mapped": {"Fn::Equals": [{"Fn::FindInMap": ["Env", {"Ref": "Stage"}, "Memory"]}, "128"]},
    "Circle": {"Fn::Not": [{"Condition": "Circle"}]},
    "Strange": {"Fn::Maybe": []},
    "OfResource": {"Fn::Equals": [{"Ref": "Later"}, "x"]},
}
KNOWN = {("Made", None): "made", ("Made", "Arn"): "arn:made", ("Later", None): OPEN, ("Later", "Arn"): OPEN}


def reference(name, attribute):
    if (name, attribute) not in KNOWN:
        raise Wrong(f"there is no {name}", ())
    return KNOWN[name, attribute]


@pytest.fixture
def evaluator():
    return Evaluator(VALUES, MAPPINGS, CONDITIONS, reference)


@pytest.mark.parametrize(
    ("written", "worth"),
    [
        ({"Ref": "Stage"}, "dev"),
        ({"Ref": "Made"}, "made"),
        ({"Fn::GetAtt": ["Made", "Arn"]}, "arn:made"),
        ({"Fn::GetAtt": "Made.Arn"}, "arn:made"),
        ({"Fn::Sub": "${Stage}-${Made.Arn}-${!Kept}-${AWS::Region}"}, "dev-arn:made-${Kept}-us-east-1"),
        ({"Fn::Sub": ["${a}${Stage}", {"a": {"Ref": "Made"}}]}, "madedev"),
        ({"Fn::Join": [",", ["a", {"Ref": "Stage"}, True, 1.0]]}, "a,dev,true,1"),
        ({"Fn::Join": ["-", {"Ref": "Sizes"}]}, "1-2"),
        ({"Fn::Split": ["|", "a|b"]}, ["a", "b"]),
        ({"Fn::Select": ["1", {"Fn::Split": ["|", "a|b"]}]}, "b"),
        ({"Fn::FindInMap": ["Env", {"Ref": "Stage"}, "Memory"]}, 128),
        ({"Fn::If": ["IsDev", "yes", {"Ref": "NotLookedAt"}]}, "yes"),
        ({"Fn::Base64": "x"}, base64.b64encode(b"x").decode()),
        ({"Fn::Length": {"Ref": "Sizes"}}, 2),
        ({"Fn::ToJsonString": {"a": {"Ref": "Stage"}}}, '{"a":"dev"}'),
        ({"a": {"Ref": "AWS::NoValue"}, "b": [1, {"Fn::If": ["IsProd", 2, {"Ref": "AWS::NoValue"}]}]}, {"b": [1]}),
    ],
)
def test_what_is_known_is_evaluated(evaluator, written, worth):
    """Each function gives what CloudFormation's gives; AWS::NoValue takes its holder away."""
    assert evaluator.value(written) == worth


@pytest.mark.parametrize(
    ("written", "left"),
    [
        ({"Ref": "Later"}, {"Ref": "Later"}),
        ({"Fn::GetAtt": ["Later", "Arn"]}, {"Fn::GetAtt": ["Later", "Arn"]}),
        ({"Fn::Sub": "${Stage} ${Later.Arn} ${!x}"}, {"Fn::Sub": "dev ${Later.Arn} ${!x}"}),
        ({"Fn::Sub": ["${a} ${Stage}", {"a": {"Ref": "Later"}}]}, {"Fn::Sub": ["${a} dev", {"a": {"Ref": "Later"}}]}),
        ({"Fn::Join": ["-", [{"Ref": "Stage"}, {"Ref": "Later"}]]}, {"Fn::Join": ["-", ["dev", {"Ref": "Later"}]]}),
        ({"Fn::Split": ["-", {"Ref": "Later"}]}, {"Fn::Split": ["-", {"Ref": "Later"}]}),
        (
            {"Fn::Select": [0, {"Fn::Split": ["-", {"Ref": "Later"}]}]},
            {"Fn::Select": [0, {"Fn::Split": ["-", {"Ref": "Later"}]}]},
        ),
        ({"Fn::If": ["IsProd", 1, {"Ref": "Later"}]}, {"Ref": "Later"}),
    ],
)
def test_what_is_not_known_yet_is_left_and_evaluates_later(evaluator, written, left):
    """Everything around an open reference is evaluated; a second evaluation, with more known, ends the work."""
    once = evaluator.value(written)
    assert once == left
    assert is_open(once)
    again = Evaluator(VALUES, MAPPINGS, CONDITIONS, lambda _name, _attribute: "now-known").value(once)
    assert not is_open(again)


def test_a_value_that_looks_like_a_variable_is_not_evaluated_twice():
    """What a parameter holds stays as it is, also where the rest of the text waits."""
    values = {"P": "${Made}"}
    once = Evaluator(values, {}, {}, lambda _name, _attribute: OPEN).value({"Fn::Sub": "${P} ${Later}"})
    assert Evaluator(values, {}, {}, lambda _name, _attribute: "x").value(once) == "${Made} x"


@pytest.mark.parametrize(
    ("name", "holds"), [("IsDev", True), ("IsProd", False), ("Both", False), ("Either", True), ("Mapped", True)]
)
def test_conditions_hold_or_do_not(evaluator, name, holds):
    """Equals, Not, And, Or, other conditions and mappings."""
    assert evaluator.holds(name, ()) is holds


@pytest.mark.parametrize("name", ["Circle", "Strange", "OfResource", "Nowhere"])
def test_conditions_that_say_nothing_are_wrong(evaluator, name):
    """A circle, an unknown function, a resource and an unknown name are told."""
    with pytest.raises(Wrong):
        evaluator.holds(name, ())


@pytest.mark.parametrize(
    "written",
    [
        {"Ref": "Nowhere"},
        {"Ref": ["Stage"]},
        {"Fn::GetAtt": ["Made", "Colour"]},
        {"Fn::GetAtt": "Made"},
        {"Fn::Sub": {"a": 1}},
        {"Fn::Sub": "${AWS::NoValue}"},
        {"Fn::Join": ["-"]},
        {"Fn::Join": ["-", "text"]},
        {"Fn::Select": [2, ["a", "b"]]},
        {"Fn::Select": [-1, ["a", "b"]]},
        {"Fn::Split": ["", "a"]},
        {"Fn::FindInMap": ["Env", "prod", "Memory"]},
        {"Fn::FindInMap": ["Env", {"Ref": "Made"}]},
        {"Fn::If": ["Nowhere", 1, 2]},
        {"Fn::If": ["IsDev", 1]},
        {"Fn::Equals": ["a", "b"]},
        {"Fn::ImportValue": "x"},
        {"Fn::Length": "text"},
    ],
)
def test_what_is_wrong_is_told_with_its_place(evaluator, written):
    """Wrong arguments, unknown names and functions there are none of lead to a place, and never elsewhere."""
    with pytest.raises(Wrong) as wrong:
        evaluator.value({"at": written}, ("Resources", "A"))
    assert wrong.value.place[:3] == ("Resources", "A", "at")
