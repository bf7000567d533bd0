"""Everything that can be typed or configured is in the reference, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.main import get_command

from torpor.cli.main import application
from torpor.cli.project import Table

REFERENCE = Path(__file__).parents[3] / "docs/reference"
COMMANDS = get_command(application()).commands
EVERYWHERE = {"--url", "--data", "--json", "--help", "-h"}


def section(name):
    """What the reference says about one command."""
    text = (REFERENCE / "command-line.md").read_text()
    (found,) = re.findall(rf"^## torpor {name}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return found


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_is_documented(name):
    """Each command has a section that names each of its own options, and no option that it has not."""
    options = {
        spelled
        for command in (COMMANDS[name], *getattr(COMMANDS[name], "commands", {}).values())
        for parameter in command.params
        if parameter.param_type_name == "option"
        for spelled in (*parameter.opts, *parameter.secondary_opts)
    }
    said = re.sub(
        rf"`(?:torpor (?!{name})|curl)[^`]*`", "", section(name)
    )  # other commands' options are not this one's
    named = set(re.findall(r"(?<![\w-])--?[a-zA-Z][\w-]*", said))
    assert options - named <= EVERYWHERE
    assert named - options <= {"-1"}


def test_every_command_has_its_section_and_no_other():
    """The sections are the commands."""
    text = (REFERENCE / "command-line.md").read_text()
    assert set(re.findall(r"^## torpor (\w+)$", text, re.MULTILINE)) == set(COMMANDS)


def test_every_key_of_the_table_is_documented_with_its_default():
    """The reference lists the table's keys in their order, and the numbers that hold without them."""
    text = (REFERENCE / "configuration.md").read_text().partition("## The server's settings")[0]
    rows = re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", text, re.MULTILINE)
    assert [key for key, _ in rows] == list(Table.model_fields)
    for key, default in rows:
        if type(Table.model_fields[key].default) is int:
            assert default == str(Table.model_fields[key].default), key
