"""`torpor init`: projects that work, and nothing overwritten."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from torpor.cli.discover import find_handler
from torpor.cli.project import read_table
from torpor.cli.source import open_source


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_echo_is_the_default(torpor):
    """Without a word, the echo project lands in ./echo, and its handler answers with its event."""
    ran = torpor("init")
    assert ran.code == 0
    assert {Path(line).name for line in ran.out.splitlines()} == {"app.py", "torpor.toml", "README.md"}
    assert "deploy echo" in ran.err
    handler = runpy.run_path("echo/app.py")["lambda_handler"]
    assert handler({"a": 1}, SimpleNamespace(function_name="echo")) == {"a": 1}


@pytest.mark.parametrize(
    ("template", "folder", "name"), [("echo", "echo", "echo"), ("sklearn", "regression", "regression")]
)
def test_what_is_written_can_be_deployed(torpor, template, folder, name):
    """Each project has a handler that is found, and a table that is accepted."""
    assert torpor("init", template).code == 0
    source = open_source(Path(folder))
    assert find_handler(source) == "app.lambda_handler"
    assert read_table(source).name == name


def test_sklearn_brings_its_requirement_and_data(torpor):
    """The regression names scikit-learn and brings rows to try it with, all of one length."""
    torpor("init", "sklearn", "mine")
    assert Path("mine/requirements.txt").read_text().split() == ["scikit-learn"]
    assert {len(row) for row in json.loads(Path("mine/homes.json").read_text())} == {4}


def test_nothing_is_overwritten(torpor):
    """Where one file is there already, none is written, and it is named."""
    Path("mine").mkdir()
    Path("mine/app.py").write_text("mine")
    ran = torpor("init", "echo", "mine")
    assert ran.code == 2
    assert "app.py" in ran.err
    assert [path.name for path in Path("mine").iterdir()] == ["app.py"]
    assert Path("mine/app.py").read_text() == "mine"


def test_an_existing_folder_with_other_files_will_do(torpor):
    """A folder with other things in it gets the project beside them."""
    Path("mine").mkdir()
    Path("mine/notes.txt").write_text("notes")
    assert torpor("init", "echo", "mine").code == 0
    assert Path("mine/notes.txt").read_text() == "notes"


def test_an_unknown_template_is_wrong_use(torpor):
    """The ones there are are named."""
    ran = torpor("init", "rust")
    assert ran.code == 2
    assert "sklearn" in ran.err


def test_init_as_json(torpor):
    """--json tells folder and files."""
    assert torpor("init", "--json").json == {"folder": "echo", "files": ["README.md", "app.py", "torpor.toml"]}
