"""The `[tool.torpor]` table: where it may stand, and what it may say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from torpor.cli.failures import WrongUse
from torpor.cli.project import Table, json_schema, read_table
from torpor.cli.source import open_source

ROOT = Path(__file__).parents[3]
HANDLER = "def lambda_handler(event, context):\n    return event\n"
BLOCK = '# /// script\n# dependencies = ["numpy"]\n#\n# [tool.torpor]\n# memory = 256\n# ///\n'


def test_defaults_without_any_table(project):
    """The command line's own defaults are 1024 MB and 60 s."""
    table = read_table(open_source(project(app__py=HANDLER)))
    assert (table.memory, table.timeout, table.tmp, table.public) == (1024, 60, 512, None)


def test_in_torpor_toml(project):
    """torpor.toml holds the keys at its top."""
    folder = project(
        app__py=HANDLER, torpor__toml='memory = 256\nreach = ["db.local:5432", "*"]\n[environment]\nA = "b"\n'
    )
    table = read_table(open_source(folder))
    assert (table.memory, table.reach, table.environment) == (256, ("db.local:5432", "*"), {"A": "b"})


def test_in_pyproject(project):
    """pyproject.toml holds them in [tool.torpor], beside other tools' tables."""
    folder = project(app__py=HANDLER, pyproject__toml="[tool.other]\nx = 1\n[tool.torpor]\ntimeout = 5\n")
    assert read_table(open_source(folder)).timeout == 5


@pytest.mark.parametrize("name", ["app.py", "alone.py"])
def test_in_a_files_own_block(tmp_path, name):
    """A single file, or a folder's handler file, holds them in its PEP 723 block."""
    (tmp_path / name).write_text(BLOCK + HANDLER)
    assert read_table(open_source(tmp_path / name)).memory == 256
    assert read_table(open_source(tmp_path)).memory == 256


def test_a_project_file_wins_over_the_files_block(project):
    """Where the project has a table, the file's own is not read."""
    assert read_table(open_source(project(app__py=BLOCK + HANDLER, torpor__toml="memory = 512\n"))).memory == 512


def test_two_tables_are_refused(project):
    """torpor.toml and [tool.torpor] together are wrong use that names both."""
    folder = project(app__py=HANDLER, torpor__toml="", pyproject__toml="[tool.torpor]\n")
    with pytest.raises(WrongUse, match=r"torpor\.toml and .*pyproject\.toml"):
        read_table(open_source(folder))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("memmory = 1", "unknown key 'memmory': did you mean 'memory'?"),
        ("env = {}", "did you mean 'environment'?"),
        ("memory_size = 1", "did you mean 'memory'?"),
        ("colour = 1", "the keys are name, handler, runtime"),
        ("memory = '1 GB'", "memory: input should be a valid integer"),
        ("memory = 0", "memory: input should be greater than or equal to 1"),
        ("runtime = 'node20'", "runtime: string should match"),
        ("reach = ['https://x.org']", 'write "HOST:PORT"'),
        ("reach = 'x.org:443'", "reach"),
        ("permissions = ['invoke']", 'write "SERVICE:Action"'),
        ("public = 'yes'", "public: input should be a valid boolean"),
        ("name = 'a b'", "name: string should match"),
        ("[environment]\nA = 1", "environment.A: input should be a valid string"),
        ("memory = ", "torpor.toml is not TOML"),
    ],
)
def test_what_is_wrong_is_taught(project, text, told):
    """An unknown key is refused with the nearest one, and a bad value with what would do, naming the file."""
    with pytest.raises(WrongUse) as caught:
        read_table(open_source(project(app__py=HANDLER, torpor__toml=text)))
    assert told in caught.value.message
    assert "torpor.toml" in caught.value.message


def test_all_problems_are_told_at_once(project):
    """Two mistakes are two lines."""
    with pytest.raises(WrongUse) as caught:
        read_table(open_source(project(app__py=HANDLER, torpor__toml="memory = 0\ntimeout = 0\n")))
    assert len(caught.value.message.splitlines()) == 2


@pytest.mark.parametrize(
    "action", ["*", "lambda:*", "lambda:InvokeFunction", "lambda:InvokeFunction/echo", "s3:GetObject"]
)
def test_permissions_as_the_platform_grants_them(action):
    """Actions are written as the platform checks them."""
    assert Table(permissions=(action,)).permissions == (action,)


def test_the_published_schema_is_the_models(request):
    """docs/reference/torpor.schema.json is generated from the model; this test's message says how."""
    published = ROOT / "docs/reference/torpor.schema.json"
    wanted = json.dumps(json_schema(), indent=2) + "\n"
    assert published.read_text() == wanted, (
        "write it anew: python -c 'import json; from torpor.cli.project import json_schema; "
        f"print(json.dumps(json_schema(), indent=2))' > {published.relative_to(ROOT)}"
    )


def test_the_schema_says_what_an_editor_needs():
    """Each key has a description, and unknown keys are refused by editors too."""
    schema = json_schema()
    assert schema["additionalProperties"] is False
    assert all(key["description"] for key in schema["properties"].values())
    assert schema["properties"]["memory"]["default"] == 1024
