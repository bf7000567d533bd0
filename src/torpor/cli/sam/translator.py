"""SAM to CloudFormation, by AWS's own translator, in an environment of its own: it pins what we use otherwise."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from torpor.cli.context import ToolOptions
from torpor.cli.failures import Failed

_LOCK = files("torpor.cli.sam") / "translator.txt"  # written by `make lock`, hashed
_PROGRAM = files("torpor.cli.sam") / "translate.py"
_INSTALL_S, _TRANSLATE_S = 600.0, 120.0


@dataclass(frozen=True, slots=True)
class Problem:
    """What the translator says is wrong; `resource` is a logical id, or empty."""

    resource: str
    message: str


class NotTranslated(Exception):
    """The template is not what SAM allows."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = tuple(problems)


def translate(template: Mapping[str, Any], tools: ToolOptions, region: str) -> dict[str, Any]:
    """The template in CloudFormation's own types. Raises NotTranslated, and Failed where it cannot be run."""
    python = environment_of(tools)
    done = _run([str(python), "-I", str(_PROGRAM)], _quiet(region), _TRANSLATE_S, json.dumps(template).encode())
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise Failed(f"the SAM translator failed: {_end(done)}") from None
    if "problems" in answer:
        raise NotTranslated([Problem(**problem) for problem in answer["problems"]])
    found: dict[str, Any] = answer["template"]
    return found


def environment_of(tools: ToolOptions) -> Path:
    """The interpreter of the translator's environment, which the first call makes. Raises Failed."""
    python = _python(tools)
    if not python.exists():
        _make(python.parents[1], tools)
    return python


def is_ready(tools: ToolOptions) -> bool:
    """Whether the environment is there already."""
    return _python(tools).exists()


def _python(tools: ToolOptions) -> Path:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    name = f"{hashlib.sha256(_LOCK.read_bytes()).hexdigest()[:16]}-{version}"
    return tools.cache / "sam" / name / "bin" / "python"


def _make(home: Path, tools: ToolOptions) -> None:
    """Built beside its place and moved there: whoever comes meanwhile sees all of it, or nothing."""
    from torpor.build.options import BuildOptions
    from torpor.build.pip_settings import uv_variables

    variables = uv_variables(tools.environment)
    uv = str(BuildOptions().uv)
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="making-", dir=home.parent) as folder:
        made = Path(folder) / "env"
        flags = ["--no-config", "--no-progress", "--color", "never"]
        steps = (
            [uv, "venv", str(made), "--python", sys.executable, "--relocatable", "--no-python-downloads", *flags],
            [
                *(uv, "pip", "install", "--python", str(made / "bin" / "python"), "--requirements", str(_LOCK)),
                *("--require-hashes", "--no-deps", "--only-binary", ":all:", "--compile-bytecode"),
                # As pip looks: in all indexes. What is taken has the hash that it should have, wherever it lies.
                *("--index-strategy", "unsafe-best-match", *flags),
            ],
        )
        for step in steps:
            done = _run(step, variables | {"UV_CACHE_DIR": str(tools.cache / "uv")}, _INSTALL_S)
            if done.returncode != 0:
                raise Failed(
                    "the translator of SAM templates could not be installed into an environment of its own:\n"
                    f"{_end(done)}"
                )
        try:
            made.rename(home)
        except OSError:
            if not home.exists():  # somebody else was as fast
                raise
            shutil.rmtree(made, ignore_errors=True)


def _quiet(region: str) -> dict[str, str]:
    """An environment in which nothing leads to AWS: the translator asks boto3 for the region alone."""
    return {
        "PATH": os.defpath,
        "LANG": "C.UTF-8",
        "AWS_DEFAULT_REGION": region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _run(
    argv: Sequence[str], environment: Mapping[str, str], bound_s: float, given: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            argv, env=dict(environment), input=given, capture_output=True, timeout=bound_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"{Path(argv[0]).name} was stopped: it took more than {bound_s:g} s") from None
    except OSError as error:
        raise Failed(f"{argv[0]} cannot be run: {error.strerror}") from None


def _end(done: subprocess.CompletedProcess[bytes]) -> str:
    from torpor.build.commands import last_lines

    return last_lines(done.stderr or done.stdout, 8) or f"exit code {done.returncode}"
