"""Templates as they are written: short forms, places, and what is no template."""

from pathlib import Path

import pytest

from torpor.cli.failures import WrongUse
from torpor.cli.sam.names import is_template, stack_name
from torpor.cli.sam.template import parse

PATH = Path("app/template.yaml")
HEAD = "AWSTemplateFormatVersion: 2010-09-09\nResources:\n"


def test_short_forms_become_long_ones_and_keep_their_lines():
    """`!Ref`, `!GetAtt`, nested functions and conditions are tables; each value knows its line; dates stay text."""
    template = parse(
        HEAD
        + "  A:\n    Type: X\n    Properties:\n      Ref: !Ref B\n      Att: !GetAtt B.Arn.More\n"
        + "      Deep: !If [C, !Sub '${B}', !Join ['-', [a, !Ref B]]]\n",
        PATH,
    )
    assert template.tree["AWSTemplateFormatVersion"] == "2010-09-09"
    properties = template.tree["Resources"]["A"]["Properties"]
    assert properties["Ref"] == {"Ref": "B"}
    assert properties["Att"] == {"Fn::GetAtt": ["B", "Arn.More"]}
    assert properties["Deep"] == {"Fn::If": ["C", {"Fn::Sub": "${B}"}, {"Fn::Join": ["-", ["a", {"Ref": "B"}]]}]}
    assert template.line("Resources", "A", "Properties", "Deep") == 8
    assert template.line("Resources", "A", "Properties", "NotThere") == 5
    assert template.at(("Resources", "A"), "no") == "app/template.yaml:3: no"


def test_scalars_are_read_as_cloudformation_reads_them():
    """Numbers and truths have their types; account numbers and times of day stay text."""
    template = parse(HEAD + "  A: {i: 7, f: 1.5, t: yes, n: null, account: 000123456789, at: 12:30, q: '7'}\n", PATH)
    assert template.tree["Resources"]["A"] == {
        "i": 7, "f": 1.5, "t": True, "n": None, "account": "000123456789", "at": "12:30", "q": "7",
    }  # fmt: skip


def test_json_is_a_template_too():
    """What CloudFormation takes as JSON is read with its lines as well."""
    template = parse('{"Resources": {\n "A": {"Type": "X",\n "Properties": {"P": {"Ref": "B"}}}}}', Path("t.json"))
    assert template.tree["Resources"]["A"]["Properties"]["P"] == {"Ref": "B"}
    assert template.line("Resources", "A", "Properties") == 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Resources:\n  A: [1\n", "template.yaml:3: this is not YAML"),
        ("- a list", "is not a template"),
        ("Outputs: {}", "it has no Resources"),
        ("Resources: 7", "1: Resources is a table of names, not a number"),
        ("Resources:\n  A: 1\n  A: 2\n", "template.yaml:3: A stands here twice"),
        ("Resources:\n  A: {<<: {b: 1}}\n", "template.yaml:2: a key is a plain text here"),
        ("Resources:\n  A: &a {b: *a}\n", "leads to itself"),
        ("", "is not a template"),
    ],
)
def test_what_is_no_template_is_told_with_its_line(text, told):
    """Broken YAML, wrong shapes, double keys and endless aliases are refused in words."""
    with pytest.raises(WrongUse, match=told.replace(".", r"\.")):
        parse(text, PATH)


def test_an_alias_bomb_ends():
    """A few lines that stand for a billion values are refused in bounded time."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(WrongUse, match="too large"):
        parse("\n".join(lines), PATH)


def test_stacks_are_named_after_their_folder(tmp_path):
    """The folder's name, in the letters that a stack may have; a name that is given is checked."""
    folder = tmp_path / "my_app (2)"
    folder.mkdir()
    assert stack_name(None, folder / "template.yaml") == "my-app-2"
    assert stack_name("prod", folder / "template.yaml") == "prod"
    with pytest.raises(WrongUse, match="not a stack's name"):
        stack_name("7up", folder / "template.yaml")
    assert [is_template(Path(name)) for name in ("t.yaml", "t.JSON", "app.py", "folder")] == [True, True, False, False]
