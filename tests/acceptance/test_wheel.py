"""The built wheel is complete: in an empty environment, without this repository, a user goes from `up` to `invoke`."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from torpor.testing.serving import running_server

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def done(command, **more):
    """The command's output; what it said, where it failed."""
    finished = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, **more)
    assert finished.returncode == 0, f"{command}\n{finished.stdout}\n{finished.stderr}"
    return finished.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built by what the development lock holds, so that nothing is fetched for it."""
    folder = tmp_path_factory.mktemp("dist")
    done([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)])
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder with the commands of an environment that holds the wheel and the locked dependencies alone."""
    home = tmp_path_factory.mktemp("empty") / "venv"
    done([sys.executable, "-m", "venv", "--without-pip", str(home)])
    pip = [sys.executable, "-m", "pip", "--python", str(home / "bin/python"), "install", "-q"]
    done([*pip, "--require-hashes", "-r", str(ROOT / "requirements/runtime.txt")])
    done([*pip, "--no-deps", "--no-index", str(wheel)])
    return home / "bin"


@pytest.fixture
def user(installed, tmp_path, monkeypatch):
    """A user's shell: a folder of their own, and nothing of the development environment."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    hidden = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}
    variables = {name: value for name, value in os.environ.items() if name not in hidden}
    return variables | {"PATH": f"{installed}{os.pathsep}{variables['PATH']}"}


def test_wheel_holds_what_is_not_code(wheel):
    """The type marker, the templates, the migrations, the licence and the command are in it; no test is."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        entry_points = archive.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert {"torpor/py.typed", "torpor/cli/sam/translator.txt"} <= set(names)
    for template in ("echo", "sklearn"):
        kept = (ROOT / "src/torpor/cli/templates" / template).iterdir()
        assert {f"torpor/cli/templates/{template}/{path.name}" for path in kept if path.is_file()} <= set(names)
    assert any(name.startswith("torpor/store/migrations/versions/r0001") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "torpor = torpor.__main__:main" in entry_points
    assert not [name for name in names if not name.startswith(("torpor/", "torpor-")) or "test_" in name]


def test_wheel_holds_every_source_file(wheel):
    """Nothing of the package is left out of it."""
    ours = {
        str(path.relative_to(ROOT / "src"))
        for path in (ROOT / "src/torpor").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        assert ours <= set(archive.namelist())


def test_a_user_goes_from_up_to_invoke(installed, user, tmp_path):
    """`torpor up`, `init sklearn`, `deploy` and `invoke`, from the wheel alone, end in a prediction; then it stops."""
    rows = [[float(value), 2.0 * value + 1.0] for value in range(40)]
    event = json.dumps({"body": json.dumps(rows)})
    with running_server(tmp_path, program=installed / "torpor", environ=user) as server:
        server.torpor("init", "sklearn")
        server.torpor("deploy", "regression")
        answer = json.loads(server.torpor("invoke", "regression", "-d", event))
    assert answer["statusCode"] == 200, answer
    assert json.loads(answer["body"])["score"] == pytest.approx(1.0)
    assert server.process.returncode == 0
