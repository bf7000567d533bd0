"""The other platforms: how each is started with the iris model, and how it is asked for a prediction."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
from environments import Missing, iris_model, python_of
from harness import HERE, BenchFailed, Connection, free_port, process

from torpor.settings import environment

FLOWER = [5.1, 3.5, 1.4, 0.2]
REQUEST = json.dumps({"features": FLOWER}).encode()
_INFERENCE = {"inputs": [{"name": "features", "shape": [1, 4], "datatype": "FP64", "data": FLOWER}]}
_START_S = 120
Command = Callable[[Path, int, Path], list[str]]  # (the environment's bin, the port, a folder of its own)


@dataclass(frozen=True, slots=True)
class Platform:
    """`prepare` runs once it listens. `start` is what one of its users would run, with its defaults."""

    name: str
    command: Command
    path: str = "/predict"
    body: bytes = REQUEST
    prepare: Callable[[int, Path], None] | None = None


def _starlette(bin_: Path, port: int, _folder: Path) -> list[str]:
    served = ["--log-level", "error", "--no-access-log", "--app-dir", str(HERE / "peers/starlette")]
    return [str(bin_ / "python"), "-m", "uvicorn", "app:app", "--port", str(port), *served]


def _functions_framework(bin_: Path, port: int, _folder: Path) -> list[str]:
    source = str(HERE / "peers/functions-framework/main.py")
    where = ["--host", "127.0.0.1", "--port", str(port)]
    return [str(bin_ / "functions-framework"), "--target", "predict", "--source", source, *where]


def _litserve(bin_: Path, port: int, _folder: Path) -> list[str]:
    return [str(bin_ / "python"), str(HERE / "peers/litserve/server.py"), str(port)]


def _bentoml(bin_: Path, port: int, _folder: Path) -> list[str]:
    where = ["--host", "127.0.0.1", "--port", str(port), "--working-dir", str(HERE / "peers/bentoml")]
    return [str(bin_ / "bentoml"), "serve", "service:Iris", *where]


def _mlserver(bin_: Path, port: int, folder: Path) -> list[str]:
    """It reads its settings from the folder that it is given, and opens two more ports."""
    shutil.copy(HERE / "peers/mlserver/model-settings.json", folder)
    shutil.copy(iris_model(), folder / "iris.joblib")
    ports = {"http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    (folder / "settings.json").write_text(json.dumps({"host": "127.0.0.1", "debug": False, **ports}))
    return [str(bin_ / "mlserver"), "start", str(folder)]


def _ray_serve(bin_: Path, port: int, _folder: Path) -> list[str]:
    return [str(bin_ / "python"), str(HERE / "peers/rayserve/server.py"), str(port)]


def _ministack(bin_: Path, _port: int, _folder: Path) -> list[str]:
    return [str(bin_ / "ministack")]


def _deploy_to_ministack(port: int, _folder: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.write(HERE / "peers/ministack/handler.py", "handler.py")
        files.write(iris_model(), "iris.joblib")
    client = boto3.client(
        "lambda",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",  # noqa: S106 -- it asks for none
    )
    client.create_function(
        FunctionName="iris",
        Runtime="python3.11",
        Role="arn:aws:iam::000000000000:role/any",
        Handler="handler.lambda_handler",
        Code={"ZipFile": archive.getvalue()},
        Timeout=60,
        MemorySize=1024,
    )


_ALL = (
    Platform("starlette", _starlette),
    Platform("functions-framework", _functions_framework),
    Platform("mlserver", _mlserver, "/v2/models/iris/infer", json.dumps(_INFERENCE).encode()),
    Platform("litserve", _litserve),
    Platform("bentoml", _bentoml),
    Platform("rayserve", _ray_serve),
    Platform("ministack", _ministack, "/2015-03-31/functions/iris/invocations", REQUEST, prepare=_deploy_to_ministack),
)
PLATFORMS = {one.name: one for one in _ALL}


@dataclass(frozen=True, slots=True)
class Started:
    """A platform that has answered. `first_s`: from the start of its process to its first answer."""

    platform: Platform
    port: int
    first_s: float


@contextlib.contextmanager
def running(platform: Platform, folder: Path) -> Iterator[Started]:
    """The platform, until the end of the block. Raises Missing, with what it last wrote, where it does not answer."""
    bin_ = python_of(HERE / "peers" / platform.name / "requirements.txt").parent
    port, log = free_port(), folder / "server.log"
    command = platform.command(bin_, port, folder)
    began = time.monotonic()
    with process(command, log, env=_variables(bin_, port, folder), cwd=folder):
        try:
            first_s = _first_answer(platform, port, folder, began)
        except (BenchFailed, OSError) as error:
            raise Missing(f"{error}; it wrote: {log.read_text(errors='replace')[-400:].strip()}") from error
        yield Started(platform, port, first_s)


def _first_answer(platform: Platform, port: int, folder: Path, began: float) -> float:
    deadline = time.monotonic() + _START_S
    prepared = platform.prepare is None
    while True:
        try:
            with contextlib.closing(Connection(port, platform.path, platform.body)) as connection:
                if not prepared and platform.prepare is not None:
                    platform.prepare(port, folder)
                    prepared = True
                _check(connection.call()[2])
                return time.monotonic() - began
        except (BenchFailed, OSError) as error:
            if time.monotonic() > deadline:
                raise BenchFailed(f"no prediction within {_START_S} s: {error}") from error
            time.sleep(0.05)


def _check(answer: bytes) -> None:
    """Every platform must say that it is a setosa, class 0."""
    said = json.loads(answer)
    found = said["outputs"][0]["data"][0] if "outputs" in said else said["prediction"]
    if found != 0:
        raise BenchFailed(f"a wrong prediction: {answer[:200]!r}")


def _variables(bin_: Path, port: int, folder: Path) -> dict[str, str]:
    """No telemetry, no home but the folder, and single-threaded linear algebra, as in torpor's instances."""
    kept = {name: value for name, value in environment().items() if name in ("LANG", "LC_ALL")}
    return kept | {
        "PATH": f"{bin_}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "IRIS_MODEL": str(iris_model()),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": str(folder / "bentoml"),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_FOLDER": str(folder / "r"),
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "LOG_LEVEL": "ERROR",
        "no_proxy": "127.0.0.1,localhost",
    }
