"""Real uv over tiny wheels made here, so that nothing is fetched."""

import asyncio
import os
import shutil
import signal
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest

from torpor.build.environments import Environments
from torpor.build.options import BuildOptions


@dataclass(frozen=True)
class Completed:
    returncode: int
    output: bytes


class Runner:
    """Runs commands as plain children, records them, and can pause before one, or lose its network."""

    def __init__(self):
        self.commands = []

    async def __call__(self, argv, *, env, cwd, timeout_s):
        self.commands.append(tuple(argv))
        process = await asyncio.create_subprocess_exec(
            *argv, env=dict(env), cwd=cwd, stdin=asyncio.subprocess.DEVNULL, start_new_session=True,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            async with asyncio.timeout(timeout_s):
                output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        return Completed(process.returncode, output)

    def count(self, *words):
        """How many commands had all these words."""
        return sum(all(word in " ".join(command) for word in words) for command in self.commands)


class Wheelhouse:
    """A folder of wheels and source archives, written by hand."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def wheel(self, name, version="1.0", *, files=None, requires=()):
        info = f"{name}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        contents = {
            **(files or {f"{name}.py": f"version = '{version}'\n"}),
            f"{info}/METADATA": metadata + "".join(f"Requires-Dist: {one}\n" for one in requires),
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        contents[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*contents, f"{info}/RECORD"])
        path = self.folder / f"{name}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for inside, content in contents.items():
                archive.writestr(inside, content)
        return path

    def source(self, name, version="1.0", *, backend):
        """A source archive whose build backend is this code, in the archive itself, needing nothing else."""
        files = {
            "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
            "backend.py": backend,
            "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        }
        path = self.folder / f"{name}-{version}.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            for inside, content in files.items():
                entry = tarfile.TarInfo(f"{name}-{version}/{inside}")
                entry.size = len(content)
                archive.addfile(entry, BytesIO(content.encode()))
        return path


@pytest.fixture
def run():
    return Runner()


@pytest.fixture
def wheelhouse(tmp_path):
    house = Wheelhouse(tmp_path / "wheels")
    house.wheel("boto3", "9.9")
    house.wheel("tiny", requires=["dep>=1"])
    house.wheel("dep", "1.5")
    return house


@pytest.fixture
def variables(wheelhouse, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    return {"PATH": os.defpath, "HOME": str(home), "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(wheelhouse.folder)}


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def make_environments(data, run, variables):
    """Environments over the tests' data folder; each call is like another server process on it."""

    def made(**options):
        sandboxed = options.pop("run_sandboxed", None)
        return Environments(data, options.pop("run", run), BuildOptions(variables=variables, **options), sandboxed)

    return made


@pytest.fixture
def environments(make_environments):
    return make_environments()


@pytest.fixture
def code(tmp_path):
    """Writes a bundle's folder with these files."""

    def written(name="code", **files):
        folder = tmp_path / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for path, content in files.items():
            (folder / path.replace("__", ".")).write_text(content)
        return folder

    return written


@pytest.fixture
def ask():
    """Runs code in an environment's own Python, which only the tests do outside a sandbox."""

    async def answer(environment, source):
        process = await asyncio.create_subprocess_exec(
            environment.python, "-B", "-c", source, stdout=asyncio.subprocess.PIPE, env={}
        )
        output, _ = await process.communicate()
        assert process.returncode == 0
        return output.decode().strip()

    return answer


@pytest.fixture
def until():
    """Waits until a condition holds, for at most twenty seconds."""

    async def wait(condition):
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - what is waited for happens in another process
                await asyncio.sleep(0.003)

    return wait


@pytest.fixture
def runtime():
    """This process's own Python, as functions name it."""
    return f"python{sys.version_info[0]}.{sys.version_info[1]}"
