"""The built wheel is complete: in an empty environment, without this repository, a user goes from `up` to `invoke`."""

import json
import os
import selectors
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

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
def user(installed, tmp_path):
    """A user's shell: a folder of their own, and nothing of the development environment."""
    (tmp_path / "work").mkdir()
    hidden = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"}
    variables = {name: value for name, value in os.environ.items() if name not in hidden}
    variables |= {"PATH": f"{installed}{os.pathsep}{variables['PATH']}", "TORPOR_DATA": str(tmp_path / "data")}
    return {"cwd": tmp_path / "work", "env": variables}


@pytest.fixture
def up(installed, user, tmp_path):
    """`torpor up` from the wheel, ended with the test."""
    errors = tmp_path / "up.log"
    with errors.open("wb") as sink:
        process = subprocess.Popen(
            [installed / "torpor", "up", "--port", "0"], stdout=subprocess.PIPE, stderr=sink, **user
        )
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            assert selector.select(60), errors.read_text()
        assert process.stdout.readline().startswith(b"ready http://"), errors.read_text()
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def test_wheel_holds_what_is_not_code(wheel):
    """The type marker, the templates, the migrations, the licence and the command are in it; no test is."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        entry_points = archive.read(next(name for name in names if name.endswith("entry_points.txt"))).decode()
    assert "torpor/py.typed" in names
    for template in ("echo", "sklearn"):
        kept = (ROOT / "src/torpor/cli/templates" / template).iterdir()
        assert {f"torpor/cli/templates/{template}/{path.name}" for path in kept if path.is_file()} <= set(names)
    assert any(name.startswith("torpor/store/migrations/versions/r0001") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "torpor = torpor.app:main" in entry_points
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


def test_a_user_goes_from_up_to_invoke(installed, user, up):
    """`torpor up`, `init sklearn`, `deploy` and `invoke`, from the wheel alone, end in a prediction; then it stops."""
    torpor = str(installed / "torpor")
    done([torpor, "init", "sklearn"], **user)
    done([torpor, "deploy", "regression"], **user)
    rows = [[float(value), 2.0 * value + 1.0] for value in range(40)]
    event = json.dumps({"body": json.dumps(rows)})
    answer = json.loads(done([torpor, "invoke", "regression", "-d", event], **user))
    assert answer["statusCode"] == 200, answer
    assert json.loads(answer["body"])["score"] == pytest.approx(1.0)
    assert json.loads(done([torpor, "usage", "--json"], **user))["total"]["invocations"] >= 0
    up.send_signal(signal.SIGTERM)
    assert up.wait(60) == 0
