"""Parameters: given, defaulted, checked, and not shown where they are secret."""

from pathlib import Path

import pytest

from torpor.cli.failures import WrongUse
from torpor.cli.sam.parameters import given_values, shown, values_of
from torpor.cli.sam.template import parse

TEMPLATE = parse(
    """
Parameters:
  Stage: {Type: String, Default: dev, AllowedValues: [dev, prod]}
  Count: {Type: Number, Default: 3, MinValue: 1, MaxValue: 10}
  Names: {Type: CommaDelimitedList, Default: "a, b"}
  Name: {Type: String, AllowedPattern: "[a-z]+", MinLength: 2, ConstraintDescription: small letters, Default: aa}
  Password: {Type: String, NoEcho: true, Default: secret, MaxLength: 8}
Resources: {A: {Type: X}}
""",
    Path("t.yaml"),
)


def test_defaults_stand_where_nothing_is_given():
    """Texts, and lists of texts; what is secret is not shown."""
    values = values_of(TEMPLATE, {"Stage": "prod"})
    assert values == {"Stage": "prod", "Count": "3", "Names": ["a", "b"], "Name": "aa", "Password": "secret"}
    assert shown(TEMPLATE, values)["Password"] == "****"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"Stage": "qa"}, "t.yaml:3: parameter Stage cannot be 'qa': it is one of dev, prod"),
        ({"Count": "eleven"}, "t.yaml:4: parameter Count cannot be 'eleven': it is a number"),
        ({"Count": "11"}, "its value is at least 1 and at most 10"),
        ({"Name": "A"}, "small letters"),
        ({"Stge": "prod"}, "the template has no parameter Stge: did you mean Stage?"),
    ],
)
def test_what_the_template_does_not_allow_is_told(given, told):
    """Allowed values, bounds, patterns and names; the template's own words where it has some."""
    with pytest.raises(WrongUse) as wrong:
        values_of(TEMPLATE, given)
    assert told in wrong.value.message


def test_a_wrong_secret_is_not_repeated():
    """What is wrong with a value with NoEcho is said without it."""
    with pytest.raises(WrongUse) as wrong:
        values_of(TEMPLATE, {"Password": "much-too-long"})
    assert "much-too-long" not in wrong.value.message


def test_all_that_is_missing_is_told_at_once():
    """Each parameter without default and value, with its line."""
    template = parse("Parameters:\n  A: {Type: String}\n  B: {Type: String}\nResources: {R: {Type: X}}", Path("t.yaml"))
    with pytest.raises(WrongUse, match=r"(?s)t.yaml:2: parameter A has no default.*t.yaml:3: parameter B"):
        values_of(template, {})


def test_words_are_keys_and_values():
    """The first equals sign divides; without one the word is refused."""
    assert given_values(["A=b=c", "D="]) == {"A": "b=c", "D": ""}
    with pytest.raises(WrongUse, match="KEY=VALUE"):
        given_values(["A"])
