"""What `torpor dev --debug` writes for the editor, and what it asks of the server."""

import json

import pytest

from torpor.cli.debugging import debugged, write_launch


def launch(folder):
    return json.loads((folder / ".vscode" / "launch.json").read_text())


def test_the_launch_configuration_is_put_beside_others(tmp_path):
    """What is there stays; our own is replaced, not doubled."""
    (tmp_path / ".vscode").mkdir()
    other = {"name": "other", "type": "node"}
    (tmp_path / ".vscode" / "launch.json").write_text(json.dumps({"compounds": [], "configurations": [other]}))
    for port in (5678, 6000):
        assert "torpor: shop" in write_launch(tmp_path, "shop", port)
    written = launch(tmp_path)
    assert written["compounds"] == []
    assert [(one["name"], one.get("listen")) for one in written["configurations"]] == [
        ("torpor: shop", {"host": "127.0.0.1", "port": 6000}),
        ("other", None),
    ]


@pytest.mark.parametrize("present", ["// comments\n{}", "[]", '{"configurations": [1]}'])
def test_a_file_that_cannot_be_completed_is_left_as_it_is(tmp_path, present):
    """The configuration is shown instead."""
    (tmp_path / ".vscode").mkdir()
    path = tmp_path / ".vscode" / "launch.json"
    path.write_text(present)
    assert '"debugpy"' in write_launch(tmp_path, "shop", 5678)
    assert path.read_text() == present


def test_a_debugged_function_reaches_the_editor_and_is_not_timed_out():
    """Its other ways stay open."""
    config = {"reach": ["db.local:5432", "localhost:5678"], "timeout_s": 3, "memory_mb": 128}
    changed = config | debugged(config, 5678)
    assert changed["reach"] == ["db.local:5432", "localhost:5678"]
    assert changed["timeout_s"] == 86_400
    assert changed["memory_mb"] == 128
