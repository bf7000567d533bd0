"""Source packages are built inside a sandbox, and what is built there can harm nothing outside it."""

# ruff: noqa: PLR0917  - fixtures are parameters

import json
import os
import stat
from functools import partial

import pytest

from torpor.build.environments import Environments
from torpor.build.options import BuildOptions
from torpor.core.errors import BuildFailed, NotSupported, StartFailed
from torpor.runtime.launch import open_sandboxes
from torpor.runtime.sandboxed_command import run_sandboxed
from torpor.runtime.spec import SandboxOptions

pytestmark = pytest.mark.slow

# A backend that makes a wheel by hand; `{extra}` runs during the build, `{files}` goes into the wheel.
BACKEND = """
import json, os, sys, zipfile
from pathlib import Path

def build_wheel(where, config_settings=None, metadata_directory=None):
    found = {{}}
    {extra}
    files = {{"built.py": "found = " + repr(json.dumps(found)), **{files}}}
    info = "built-1.0.dist-info"
    files[info + "/METADATA"] = "Metadata-Version: 2.1\\nName: built\\nVersion: 1.0\\n"
    files[info + "/WHEEL"] = "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    files[info + "/RECORD"] = "".join(name + ",,\\n" for name in [*files, info + "/RECORD"])
    with zipfile.ZipFile(Path(where) / "built-1.0-py3-none-any.whl", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return "built-1.0-py3-none-any.whl"
"""


@pytest.fixture
async def sandboxed(data, tmp_path):
    """Runs commands in real sandboxes, as the server does."""
    run_dir = tmp_path / "run"
    for folder in (data, run_dir):
        folder.mkdir(exist_ok=True)
    try:
        launcher = await open_sandboxes(SandboxOptions(data_dir=data, run_dir=run_dir))
    except (NotSupported, StartFailed, OSError) as problem:
        pytest.skip(f"this machine has no sandbox: {problem}")
    yield partial(run_sandboxed, launcher)
    await launcher.close()


@pytest.fixture
def ensure(make_environments, sandboxed, code, wheelhouse, runtime):
    """Builds the environment of a function that needs a source package with this backend."""

    async def asked(*, extra="pass", files="{}"):
        wheelhouse.source("built", backend=BACKEND.format(extra=extra, files=files))
        environments = make_environments(run_sandboxed=sandboxed)
        folder = code(requirements__txt="built\ndep\n")
        return await environments.ensure(folder, runtime=runtime, source_builds=True)

    return asked


async def test_a_source_package_is_built_and_installed(ensure, ask, data):
    """With source builds allowed, a package that has no wheel is there afterwards, compiled and owned by the server."""
    environment = await ensure()
    assert await ask(environment, "import built, dep; print(built.found, dep.version)") == "{} 1.5"
    place = data / "envs" / environment.digest
    assert list(place.glob("lib/*/site-packages/__pycache__/built.*.pyc"))
    assert {path.lstat().st_uid for path in [place, *place.rglob("*")]} == {os.geteuid()}


async def test_a_build_sees_and_changes_nothing_of_the_machine(ensure, ask, data, tmp_path, run):
    """Build code finds none of the machine's files and cannot write to the shared cache or other environments."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    probes = {
        "secret": str(secret), "home": "/root/.ssh", "cache": str(data / "uv-cache"), "locks": str(data / "locks"),
        "shadow": "/etc/shadow", "code": str(data / "code"),
    }  # fmt: skip
    extra = f"found.update({{name: os.path.exists(path) for name, path in {probes!r}.items()}}, uid=os.getuid())"
    environment = await ensure(extra=extra)
    found = json.loads(await ask(environment, "import built; print(built.found)"))
    assert found.pop("uid") != 0
    assert found == dict.fromkeys(probes, False)
    assert run.count("pip") == 0  # nothing of it ran outside
    assert not list((data / "uv-cache").rglob("*built*"))


async def test_what_a_build_leaves_is_harmless(ensure, data, tmp_path):
    """Set-user-id bits go, and links that a build left to lead the server elsewhere are not followed."""
    outside = tmp_path / "outside"
    outside.mkdir()
    extra = f"""
    site = next(Path({str(data / "envs")!r}).glob("*/lib/*/site-packages"), None)
    if site is not None:
        (site / "tool").write_text("x")
        (site / "tool").chmod(0o6755)
        (site / "__pycache__").symlink_to({str(outside)!r})
        (site / "away").symlink_to({str(outside)!r})
    """
    environment = await ensure(extra=extra.strip())
    site = next((data / "envs" / environment.digest).glob("lib/*/site-packages"))
    assert stat.S_IMODE((site / "tool").stat().st_mode) == 0o755
    assert (site / "away").is_symlink()
    assert not list(outside.iterdir())


async def test_a_build_that_leaves_a_pipe_fails(ensure, data):
    """What is neither file, folder nor link is refused, and the environment is not kept."""
    extra = f"[os.mkfifo(site / 'pipe') for site in Path({str(data / 'envs')!r}).glob('*/lib')]"
    with pytest.raises(BuildFailed, match="neither a file nor a folder"):
        await ensure(extra=extra)
    assert not list((data / "envs").glob("[!.]*"))


async def test_a_failing_build_says_why(ensure):
    """The end of what the backend printed is in the error."""
    with pytest.raises(BuildFailed, match="no compiler here"):
        await ensure(extra="raise RuntimeError('no compiler here')")


async def test_source_and_wheel_environments_are_kept_apart(ensure, environments, code, runtime, wheelhouse):
    """An environment that untrusted builds could write to is never given to a function that allows none."""
    built = await ensure()
    wheelhouse.wheel("built", files={"built.py": "found = 'wheel'"})
    plain = await environments.ensure(code(requirements__txt="built\ndep\n"), runtime=runtime, source_builds=False)
    assert plain.digest != built.digest


async def test_a_mirrors_files_beside_its_index_are_seen(
    data, sandboxed, run, code, wheelhouse, variables, tmp_path, runtime, ask
):
    """The pages of a local mirror link to `../../files` or `../../packages`; nothing else of its folder is shown."""
    mirror = tmp_path / "mirror"
    for project, place in (("dep", "files"), ("tiny", "packages")):
        (mirror / "simple" / project).mkdir(parents=True)
        (mirror / place).mkdir()
        wheel = next(wheelhouse.folder.glob(f"{project}-*.whl"))
        wheel.rename(mirror / place / wheel.name)
        page = f'<!DOCTYPE html><a href="../../{place}/{wheel.name}">{wheel.name}</a>'
        (mirror / "simple" / project / "index.html").write_text(page)
    (mirror / "secret").write_text("s")
    asking = f"found['secret'] = os.path.exists({str(mirror / 'secret')!r})"
    wheelhouse.source("built", backend=BACKEND.format(extra=asking, files="{}"))
    indexed = {name: value for name, value in variables.items() if name != "UV_NO_INDEX"}
    indexed["UV_DEFAULT_INDEX"] = (mirror / "simple").as_uri()
    environments = Environments(data, run, BuildOptions(variables=indexed), sandboxed)
    folder = code(requirements__txt="built\ntiny\n")
    environment = await environments.ensure(folder, runtime=runtime, source_builds=True)
    said = await ask(environment, "import built, tiny, dep; print(built.found, dep.version)")
    assert said == '{"secret": false} 1.5'
