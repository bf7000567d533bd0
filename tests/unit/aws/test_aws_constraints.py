"""Validation against the models, worded as AWS words it."""

import pytest

from torpor.aws.protocol.constraints import validate
from torpor.aws.protocol.java_regex import full_match
from torpor.aws.protocol.model import Member, Shape
from torpor.core.errors import ValidationFailed


def shape(kind, **traits):
    return Shape(name=kind, kind=kind, **traits)


def structure(required=(), **members):
    return shape(
        "structure",
        required=tuple(required),
        members={name: Member(name=name, wire=name, shape=of) for name, of in members.items()},
    )


def member(of):
    return Member(name="member", wire="member", shape=of)


def told(of, **params):
    with pytest.raises(ValidationFailed) as caught:
        validate(of, params)
    return caught.value.message


SHORT = shape("string", minimum=1, maximum=3, pattern="[a-z]+")


def test_valid_parameters_pass():
    """Nothing is raised, and what the model does not constrain is not looked at."""
    of = structure(["Name"], Name=SHORT, Free=shape("string"), Data=shape("blob"))
    validate(of, {"Name": "abc", "Free": "x" * 10_000, "Data": b"\0"})


def test_every_violation_is_told_in_order():
    """Missing members come first, then each member's violations."""
    of = structure(["Name", "Kind"], Kind=shape("string"), Name=SHORT)
    assert told(of, Name="ABCD") == (
        "3 validation errors detected: Value null at 'kind' failed to satisfy constraint: Member must not be null; "
        "Value 'ABCD' at 'name' failed to satisfy constraint: Member must have length less than or equal to 3; "
        "Value 'ABCD' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: [a-z]+"
    )


def test_paths_lead_into_structures_and_lists_of_structures():
    """A path is dotted, and a list's elements are counted from one."""
    of = structure(Outer=structure(["Inner"], Inner=SHORT), Tags=shape("list", item=member(structure(Key=SHORT))))
    assert told(of, Outer={}) == (
        "1 validation error detected: Value null at 'outer.inner' failed to satisfy constraint: Member must not be null"
    )
    assert "Value '' at 'tags.2.member.key' failed" in told(of, Tags=[{"Key": "a"}, {"Key": ""}])


def test_a_list_of_scalars_is_told_as_a_whole():
    """All constraints of the elements stand in brackets behind the whole value."""
    of = structure(Layers=shape("list", item=member(SHORT)))
    assert told(of, Layers=["ok", "NO"]) == (
        "1 validation error detected: Value '[ok, NO]' at 'layers' failed to satisfy constraint: Member must satisfy "
        "constraint: [Member must have length less than or equal to 3, Member must have length greater than or equal "
        "to 1, Member must satisfy regular expression pattern: [a-z]+, Member must not be null]"
    )


def test_a_maps_keys_and_values_are_told_apart():
    """Both are constrained by shapes of their own."""
    of = structure(Tags=shape("map", key=member(SHORT), value=member(shape("string", maximum=2))))
    message = told(of, Tags={"NO": "long"})
    assert "Value '{NO=long}' at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: [" in message
    assert (
        "Map value must satisfy constraint: [Member must have length less than or equal to 2, Member must not be null]"
        in message
    )


def test_sensitive_values_are_not_repeated():
    """Not even when they are wrong."""
    of = structure(Secret=shape("string", maximum=3, sensitive=True))
    assert told(of, Secret="hunter2").startswith("1 validation error detected: Value at 'secret' failed")


def test_values_in_messages_are_bounded():
    """A megabyte of nonsense is not sent back."""
    assert len(told(structure(Name=SHORT), Name="x" * 1_000_000)) < 10_000


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        (r"[\p{L}\p{N}_]+", "abc1", True),
        (r"[\p{L}\p{N}_]+", "Grüße", True),
        (r"[\p{L}\p{N}_]+", "a;b", False),
        (r"\p{Alnum}+", "abc1", True),
        (r"\p{ASCII}*", "é", False),
        (r"\A\S[\p{Print}]*\z", "ok then", True),
        (r"[\w-_]*", "a-b_c", True),
        (r"[\w+=,.@-]+", "rôle", False),
        ("[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+", "{}\n", True),
        (r"abc", "abc\n", False),
        (r"[unclosed", "anything", True),
    ],
)
def test_patterns_mean_what_they_mean_in_java(pattern, text, matches):
    """Properties, ASCII classes and whole-text matching as in Java; what Python cannot say holds."""
    assert full_match(pattern, text) is matches


def test_a_category_is_looked_up_for_the_characters_at_hand():
    """A letter of any script is one, among few characters and among very many; what is none stays none."""
    letters = "".join(map(chr, range(0x4E00, 0x4E00 + 300)))
    for text in ("é", "日本", "aé1٣", letters[:200], letters):
        assert full_match(r"[\p{L}\p{N}]+", text)
        assert not full_match(r"[\p{L}\p{N}]+", text + "∑")
