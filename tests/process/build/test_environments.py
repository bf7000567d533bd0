"""Environments are locked, shared, built once, and whole or not there."""

import asyncio
import signal
import stat
import sys
import textwrap
from pathlib import Path

import pytest

from torpor.build.bundles import Bundles
from torpor.build.environments import Environments
from torpor.build.options import BuildOptions
from torpor.core.errors import BuildFailed, InterpreterMissing
from torpor.core.limits import Limits

pytestmark = pytest.mark.slow
RUNTIME = f"python{sys.version_info[0]}.{sys.version_info[1]}"  # this process's own


@pytest.fixture
def ensure(environments):
    """Asks for the environment of a folder, by default with this process's Python."""

    async def asked(code, *, runtime=RUNTIME, source_builds=False, by=environments):
        return await by.ensure(code, runtime=runtime, source_builds=source_builds)

    return asked


async def test_requirements_are_locked_installed_and_compiled(ensure, code, ask, data):
    """What a bundle declares is there with what that needs, byte-compiled, readable by others, and marked whole."""
    environment = await ensure(code(requirements__txt="tiny\n"))
    assert await ask(environment, "import tiny, dep; print(tiny.version, dep.version)") == "1.0 1.5"
    place = data / "envs" / environment.digest
    assert environment.python == str(place / "bin/python")
    assert environment.mounts[0] == str(place)
    assert list(place.glob("lib/*/site-packages/__pycache__/dep.cpython-*.pyc"))
    assert "--hash=sha256:" in (data / "envs" / f"{environment.digest}.json").read_text()
    for path in place.rglob("*"):
        mode = path.lstat().st_mode
        assert stat.S_ISLNK(mode) or mode & 0o044 == 0o044
        assert not stat.S_ISDIR(mode) or mode & 0o055 == 0o055
    assert not list((data / "build").glob("[!.]*"))


async def test_code_without_requirements_gets_boto3(ensure, code, ask):
    """The base environment has boto3, and all such functions share it."""
    one, two = await ensure(code("one", app__py="")), await ensure(code("two", app__py="x = 1"))
    assert one == two
    assert await ask(one, "import boto3; print(boto3.version)") == "9.9"


async def test_equal_locks_share_an_environment(ensure, code, run):
    """Different words for the same packages end in one environment, built once."""
    one = await ensure(code("one", requirements__txt="tiny\n"))
    two = await ensure(code("two", requirements__txt="dep==1.5\ntiny>=1\n"))
    assert one.digest == two.digest
    assert run.count("compileall") == 1


async def test_asked_for_twice_at_once_it_is_built_once(ensure, make_environments, code, run):
    """Many callers, in one process and over one data folder, get one environment from one build."""
    folder = code(requirements__txt="tiny\n")
    other = make_environments()
    found = await asyncio.gather(*(ensure(folder) for _ in range(4)), *(ensure(folder, by=other) for _ in range(4)))
    assert len(set(found)) == 1
    assert run.count("compileall") == 1


async def test_a_redeployment_runs_nothing_and_needs_nothing(ensure, make_environments, code, wheelhouse, run):
    """A known lock and a built environment are found again by a new server, without the resolver or the index."""
    folder = code(requirements__txt="tiny\n")
    first = await ensure(folder)
    for path in wheelhouse.folder.iterdir():
        path.unlink()
    run.commands.clear()
    assert await ensure(folder, by=make_environments()) == first
    assert run.count("pip") == 0


async def test_a_removed_environment_is_rebuilt_from_the_cache(ensure, code, data, run):
    """With the lock known and its files cached, an environment is built again offline."""
    folder = code(requirements__txt="tiny\n")
    first = await ensure(folder)
    (data / "envs" / f"{first.digest}.json").unlink()
    run.commands.clear()
    assert await ensure(folder) == first
    assert run.count("pip", "install") == run.count("pip", "install", "--offline") == 1
    assert run.count("pip", "compile") == 0


async def test_a_resolution_falls_back_on_the_cache_when_the_network_fails(make_environments, code, run):
    """Where the resolver cannot reach its index, what was fetched before is tried; else the network's error is told."""

    async def cut_off(argv, *, env, cwd, timeout_s):
        if "compile" in argv and "--offline" not in argv:
            return type("Done", (), {"returncode": 2, "output": b"error: Failed to fetch: `https://x.example/simple/`"})
        return await run(argv, env=env, cwd=cwd, timeout_s=timeout_s)

    environments = make_environments(run=cut_off)
    folder = code(requirements__txt="tiny\n")
    assert (await environments.ensure(folder, runtime=RUNTIME, source_builds=False)).digest
    with pytest.raises(BuildFailed, match="Failed to fetch"):
        await environments.ensure(code(requirements__txt="gone\n"), runtime=RUNTIME, source_builds=False)


async def test_without_a_network_other_indexes_keep_what_there_is(code, run, data, variables):
    """Pip configured for another network, which is not there: what was installed by the old configuration serves on."""
    closed = variables | {"UV_DEFAULT_INDEX": "http://127.0.0.1:9/simple", "UV_HTTP_RETRIES": "0"}
    del closed["UV_NO_INDEX"], closed["UV_FIND_LINKS"]
    there = Environments(data, run, BuildOptions(variables=variables))
    elsewhere = Environments(data, run, BuildOptions(variables=closed))
    folder = code(requirements__txt="tiny\n")
    first = await there.ensure(folder, runtime=RUNTIME, source_builds=False)
    kept = sorted((data / "locks").iterdir())
    assert await elsewhere.ensure(folder, runtime=RUNTIME, source_builds=False) == first
    assert sorted((data / "locks").iterdir()) == kept  # the new indexes are asked again when they answer
    with pytest.raises(BuildFailed, match="could not be resolved"):
        await elsewhere.ensure(code(requirements__txt="dep\n"), runtime=RUNTIME, source_builds=False)


async def test_what_cannot_be_resolved_says_why(ensure, code, data):
    """A package that does not exist fails with the resolver's last lines and where it was asked for."""
    with pytest.raises(BuildFailed, match=r"(?s)in requirements\.txt could not be resolved:.*no-such-thing.*not found"):
        await ensure(code(requirements__txt="no-such-thing\n"))
    with pytest.raises(BuildFailed, match=r"tiny.*==2"):
        await ensure(code(requirements__txt="tiny==2\n"))
    assert not list((data / "envs").glob("[!.]*"))


async def test_source_archives_are_not_built_unless_allowed(ensure, code, wheelhouse, tmp_path):
    """A package with only a source archive is refused, and none of its code runs."""
    wheelhouse.source("sdist", backend=f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(BuildFailed, match="sdist"):
        await ensure(code(requirements__txt="sdist\n"))
    with pytest.raises(BuildFailed, match="sandbox"):
        await ensure(code(requirements__txt="sdist\n"), source_builds=True)
    assert not (tmp_path / "ran").exists()


async def test_a_wheels_code_does_not_run_while_it_is_installed(ensure, code, wheelhouse, tmp_path, ask):
    """A `.pth` file that would run code, and modules named like the compiler's own, stay quiet until a function starts."""
    ran = tmp_path / "ran"
    evil = f"open({str(ran)!r}, 'w')\n"
    names = ["sitecustomize.py", "usercustomize.py", "compileall.py", "py_compile.py", "concurrent/__init__.py"]
    wheelhouse.wheel("evil", files={"evil.pth": f"import os; {evil}", "evil.py": evil, **dict.fromkeys(names, evil)})
    for wanted in ("evil\n", "evil\ntiny\n"):
        environment = await ensure(code(requirements__txt=wanted))
        assert not ran.exists()
    await ask(environment, "")
    assert ran.exists()  # so the trap was armed


async def test_a_changed_wheel_is_not_taken_for_the_locked_one(ensure, code, wheelhouse, data):
    """A file that no longer has its locked hash is refused."""
    folder = code(requirements__txt="tiny\n")
    first = await ensure(folder)
    (data / "envs" / f"{first.digest}.json").unlink()
    import shutil

    shutil.rmtree(data / "uv-cache")
    wheelhouse.wheel("dep", "1.5", files={"dep.py": "version = 'evil'\n"})
    with pytest.raises(BuildFailed, match=r"(?i)hash"):
        await ensure(folder)
    assert not (data / "envs" / first.digest).exists()


async def test_hashes_in_requirements_are_kept(ensure, code, wheelhouse):
    """A requirement with a hash that no file has is refused, whatever the index offers."""
    with pytest.raises(BuildFailed, match="hashes in the requirements"):
        await ensure(code(requirements__txt=f"dep==1.5 --hash=sha256:{'0' * 64}\n"))


async def test_wheels_in_the_bundle_are_installed(ensure, code, wheelhouse, ask):
    """A wheel packed with the function is installed, by its path or from a folder of wheels."""
    wheel = wheelhouse.wheel("private", "3.0")
    folder = code(requirements__txt=f"./{wheel.name}\n")
    wheel.rename(folder / wheel.name)
    assert await ask(await ensure(folder), "import private; print(private.version)") == "3.0"
    (folder / "requirements.txt").write_text("--find-links .\nprivate\n")
    assert await ask(await ensure(folder), "import private; print(private.version)") == "3.0"


async def test_a_missing_interpreter_is_named_with_what_there_is(ensure, make_environments, code):
    """A runtime that is not installed fails with those there are and the command that adds it, or takes the nearest."""
    with pytest.raises(InterpreterMissing, match=rf"(?s){RUNTIME}.*uv python install 3\.99"):
        await ensure(code(), runtime="python3.99")
    with pytest.raises(InterpreterMissing, match="too old"):
        await ensure(code(), runtime="python3.6")
    with pytest.raises(InterpreterMissing, match="none of Python's"):
        await ensure(code(), runtime="nodejs22.x")
    nearest = await ensure(code(), runtime="python3.99", by=make_environments(nearest_interpreter=True))
    assert nearest.runtime.startswith("python3.")


async def test_every_interpreter_of_the_machine_makes_environments(environments, ensure, code, ask):
    """Each installed version builds, runs with its own version, and names what a sandbox must show of it."""
    for interpreter in await environments.interpreters.all():
        assert "/shims/" not in interpreter.path
        assert interpreter.path.startswith(f"{interpreter.prefix}/")
    for runtime in sorted({one.runtime for one in await environments.interpreters.all()}):
        environment = await ensure(code(requirements__txt="tiny\n"), runtime=runtime)
        assert environment.runtime == runtime
        assert await ask(environment, "import sys, tiny; print('python%d.%d' % sys.version_info[:2])") == runtime


async def test_code_that_asks_for_another_python_is_refused(ensure, code):
    """requires-python is held against the runtime's interpreter."""
    with pytest.raises(BuildFailed, match=r"asks for Python >=3\.99"):
        await ensure(code(pyproject__toml='[project]\nrequires-python = ">=3.99"\n'))


async def test_a_build_that_hangs_is_stopped(make_environments, code, data):
    """A command that takes too long fails the build, and nothing half-built stays."""

    async def hang(argv, *, env, cwd, timeout_s):
        if "install" in argv:
            raise TimeoutError
        return await make_environments()._run(argv, env=env, cwd=cwd, timeout_s=timeout_s)

    with pytest.raises(BuildFailed, match="took more than"):
        await make_environments(run=hang).ensure(code(), runtime=RUNTIME, source_builds=False)
    assert not list((data / "envs").glob("[!.]*"))


async def test_a_half_built_environment_is_never_used(ensure, code, data, ask):
    """Without its marker an environment is built anew, and nothing in it runs before that."""
    folder = code(requirements__txt="tiny\n")
    first = await ensure(folder)
    site = Path(first.site_packages)
    (data / "envs" / f"{first.digest}.json").unlink()
    (site / "dep.py").unlink()
    (site / "trap.pth").write_text(f"import os; open({str(data / 'ran')!r}, 'w')\n")
    assert await ensure(folder) == first
    assert await ask(first, "import dep; print(dep.version)") == "1.5"
    assert not (data / "ran").exists()


async def test_the_marker_is_written_after_everything_is_synced(ensure, code, monkeypatch):
    """An environment's files are durable before the marker that makes it exist."""
    steps = []
    monkeypatch.setattr("torpor.build.building.sync_tree", lambda path: steps.append("sync"))
    monkeypatch.setattr("torpor.build.building.write_durably", lambda path, content: steps.append(path.suffix))
    await ensure(code(requirements__txt="dep\n"))
    assert steps == ["sync", ".json"]


async def test_closing_stops_a_build(environments, ensure, code, data, until):
    """Closing in mid-build ends it and leaves nothing half-built."""
    building = asyncio.create_task(ensure(code(requirements__txt="tiny\n")))
    await until(lambda: any((data / "envs").iterdir()))
    await environments.close()
    with pytest.raises(asyncio.CancelledError):
        await building
    assert not list((data / "envs").glob("[!.]*"))
    assert (await ensure(code(requirements__txt="tiny\n"))).digest


async def test_a_sweep_removes_what_nothing_refers_to(environments, ensure, code, data):
    """A sweep keeps the named environments and removes others with their locks, half-built ones and strays."""
    kept = await ensure(code("one", requirements__txt="dep\n"))
    await ensure(code("two", requirements__txt="tiny\n"))
    (data / "envs/half/lib").mkdir(parents=True)
    (data / f"envs/.{'f' * 64}.lock").touch()  # all that a failed build leaves: no environment
    (data / "build/stray").mkdir()
    assert environments.sweep({kept.digest}).count == 2
    left = {path.name for path in (data / "envs").iterdir()}
    assert left == {kept.digest, f"{kept.digest}.json", f".{kept.digest}.lock"}
    assert len(list((data / "locks").iterdir())) == 1
    assert not (data / "build/stray").exists()
    assert await ensure(code("one", requirements__txt="dep\n")) == kept


async def test_pruning_the_cache_gives_back_what_no_environment_uses(environments, ensure, code, ask, wheelhouse):
    """After a sweep, pruning frees the wheels of what was removed; what is kept goes on working."""
    wheelhouse.wheel("large", files={"large.py": "#" * 1_000_000})
    kept = await ensure(code("one", requirements__txt="dep\n"))
    await ensure(code("two", requirements__txt="large\n"))
    assert environments.sweep({kept.digest}).bytes < 1_000_000
    assert (await environments.prune_cache()).bytes >= 1_000_000
    assert await ask(kept, "import dep; print(dep.version)") == "1.5"
    assert await ensure(code("two", requirements__txt="large\n"))


async def test_a_sweep_leaves_what_is_being_built(environments, code, data, run, until):
    """An environment that is being built is not swept from under its builder."""
    folder = code(requirements__txt="tiny\n")
    building = asyncio.create_task(environments.ensure(folder, runtime=RUNTIME, source_builds=False))

    def whole():
        environments.sweep(set())
        return list((data / "envs").glob("*.json"))

    await until(lambda: run.count("compileall") or whole())
    assert (data / "envs" / (await building).digest / "bin").is_dir()


SERVER = textwrap.dedent(
    """
    import asyncio, os, sys
    from pathlib import Path
    from types import SimpleNamespace
    from torpor.build.environments import Environments
    from torpor.build.options import BuildOptions

    data, code, links, home, stop = sys.argv[1:]

    async def run(argv, *, env, cwd, timeout_s):
        if stop in argv:
            print("reached", flush=True)
            await asyncio.sleep(60)
        process = await asyncio.create_subprocess_exec(*argv, env=dict(env), cwd=cwd, stdout=-1, stderr=-2)
        output, _ = await process.communicate()
        return SimpleNamespace(returncode=process.returncode, output=output)

    async def main():
        variables = {"PATH": os.defpath, "HOME": home, "UV_NO_INDEX": "1", "UV_FIND_LINKS": links}
        environments = Environments(Path(data), run, BuildOptions(variables=variables))
        runtime = "python%d.%d" % sys.version_info[:2]
        print((await environments.ensure(Path(code), runtime=runtime, source_builds=False)).digest, flush=True)

    asyncio.run(main())
    """
)


@pytest.fixture
async def server(data, wheelhouse, variables):
    """Starts another process that builds the environment of a folder, and stops before a command with this word."""
    processes = []

    async def started(folder, stop="nothing"):
        arguments = [str(data), str(folder), str(wheelhouse.folder), variables["HOME"], stop]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", SERVER, *arguments, stdout=asyncio.subprocess.PIPE
        )
        processes.append(process)
        return process

    yield started
    for process in processes:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("stop", ["compile", "venv", "install", "compileall"])
async def test_after_a_kill_in_mid_build_the_next_try_succeeds(server, environments, code, data, stop):
    """A server killed at any step leaves nothing that the next one uses, and nothing that a sweep does not remove."""
    folder = code(requirements__txt="tiny\n")
    process = await server(folder, stop)
    assert await process.stdout.readline() == b"reached\n"
    process.send_signal(signal.SIGKILL)
    await process.wait()
    assert not list((data / "envs").glob("*.json"))
    environment = await environments.ensure(folder, runtime=RUNTIME, source_builds=False)
    installed = {path.name for path in (data / "envs" / environment.digest).glob("lib/*/site-packages/*.py")}
    assert installed == {"tiny.py", "dep.py"}
    environments.sweep({environment.digest})
    assert [path.name for path in (data / "build").iterdir()] == [".lock"]


async def test_two_processes_build_it_once(server, code, data):
    """Two servers on one data folder that need one environment at once end with the same, whole one."""
    folder = code(requirements__txt="tiny\n")
    processes = [await server(folder) for _ in range(2)]
    outputs = [(await process.communicate())[0] for process in processes]
    assert outputs[0] == outputs[1] != b""
    assert len(list((data / "envs").glob("*.json"))) == 1


async def test_stored_code_is_byte_compiled_once(environments, ensure, data, run, tmp_path):
    """Code in the store gets compiled files beside it, read-only as before; other folders are left alone."""
    import io
    import zipfile

    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("app.py", f"open({str(tmp_path / 'ran')!r}, 'w')")
        archive.writestr("pkg/m.py", "x = 1")
        archive.writestr("bad.py", "def (")
    bundles = Bundles(data, Limits())
    folder = bundles.code_dir(await bundles.add(made.getvalue()))
    for _ in range(2):
        await ensure(folder)
    tag = sys.implementation.cache_tag
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.pyc")} == {
        f"__pycache__/app.{tag}.pyc",
        f"pkg/__pycache__/m.{tag}.pyc",
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")} == {0o444, 0o555}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o555
    assert run.count("compileall", str(folder)) == 1
    assert not (tmp_path / "ran").exists()
    assert [path.name for path in (data / "compiled").iterdir()] == [f"{folder.name}.{tag}"]
    bundles.sweep(set())
    assert not list((data / "compiled").iterdir())
