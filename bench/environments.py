"""Virtual environments of the peers, made by uv from their pins, and the one model that all of them serve."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from harness import BUILT, HERE

from torpor.build.pip_settings import uv_variables
from torpor.settings import environment

IRIS = HERE / "functions/iris"
_INSTALL_S = 900


class Missing(Exception):
    """A peer cannot be compared with; the message is the reason."""


def python_of(requirements: Path) -> Path:
    """An interpreter with what the file pins, installed once and kept while the file does not change. Raises Missing.

    Indexes, mirrors and certificates are those that pip is configured with; like pip, uv takes each version from
    whichever index has it.
    """
    digest = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    place = BUILT / "environments" / f"{requirements.parent.name}-{digest}"
    python = place / "bin/python"
    if (place / "complete").exists():
        return python
    if place.exists():
        shutil.rmtree(place)
    uv = str(Path(sys.executable).with_name("uv"))
    _run([uv, "venv", "-q", "--python", sys.executable, str(place)])
    command = [uv, "pip", "install", "-q", "--no-deps", "--index-strategy", "unsafe-best-match"]
    _run([*command, "--python", str(python), "-r", str(requirements)])
    (place / "complete").touch()
    return python


def iris_model() -> Path:
    """The trained model. Raises Missing where scikit-learn cannot be installed."""
    digest = hashlib.sha256(b"".join((IRIS / name).read_bytes() for name in ("requirements.txt", "train.py")))
    model = BUILT / f"iris-{digest.hexdigest()[:12]}.joblib"
    if not model.exists():
        python = python_of(IRIS / "requirements.txt")
        fresh = model.with_suffix(".new")
        _run([str(python), str(IRIS / "train.py"), str(fresh)])
        fresh.replace(model)
    return model


def iris_function(folder: Path) -> Path:
    """The function with the model in it, ready to deploy."""
    place = folder / "iris"
    place.mkdir()
    for name in ("app.py", "requirements.txt"):
        shutil.copy(IRIS / name, place / name)
    shutil.copy(iris_model(), place / "iris.joblib")
    return place


def _run(command: list[str]) -> None:
    variables = environment()
    try:
        done = subprocess.run(
            command,
            env={**uv_variables(variables), "HOME": variables.get("HOME", "/")},
            capture_output=True,
            text=True,
            timeout=_INSTALL_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Missing(f"`{Path(command[0]).name} {command[1]}` took longer than {_INSTALL_S} s") from None
    if done.returncode:
        raise Missing(done.stderr.strip()[-600:] or f"{command[0]} ended with {done.returncode}")
