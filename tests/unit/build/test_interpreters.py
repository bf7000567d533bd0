"""Interpreters are found without starting anything of a user's, and odd ones are passed over."""

import json
import sys
from types import SimpleNamespace

import pytest

from torpor.build.interpreters import Interpreters
from torpor.build.options import BuildOptions
from torpor.core.errors import InterpreterMissing, StartFailed


def answer(version, path, prefix, **changes):
    return {
        "implementation": "cpython", "version": list(version), "release": "final", "path": path, "prefix": prefix,
        "cache_tag": f"cpython-3{version[1]}", "abi": "abi", "machine": "x86_64", "libc": "glibc-2.36", **changes,
    }  # fmt: skip


class Machine:
    """Answers as a machine with these interpreters would."""

    def __init__(self, interpreters):
        self.interpreters = interpreters
        self.commands = []

    async def __call__(self, argv, *, env, cwd, timeout_s):
        self.commands.append(argv)
        if argv[1:3] == ["python", "list"]:
            listed = [
                {"path": path, "implementation": "cpython"} for path in self.interpreters if path != sys.executable
            ]
            return SimpleNamespace(returncode=0, output=b"warning: odd\n" + json.dumps(listed).encode() + b"\n")
        found = self.interpreters.get(argv[0], StartFailed("none"))
        if isinstance(found, Exception):
            raise found
        if isinstance(found, int):
            return SimpleNamespace(returncode=found, output=b"torpor:broken")
        return SimpleNamespace(returncode=0, output=b"noise\ntorpor:" + json.dumps(found).encode() + b"\n")


@pytest.fixture
def look(tmp_path):
    """Interpreters of a machine that answers for these paths."""

    def made(interpreters, **options):
        machine = Machine(interpreters)
        variables = {"HOME": str(tmp_path), **options.pop("variables", {})}
        return Interpreters(machine, BuildOptions(variables=variables, **options)), machine

    return made


async def test_odd_interpreters_are_passed_over(look, tmp_path):
    """Other implementations, old versions, pre-releases, broken ones, and prefixes that hold a home are left out."""
    found, _ = look(
        {
            "/a": answer((3, 11, 4), "/opt/a/bin/python3", "/opt/a"),
            "/b": answer((3, 12, 0), "/opt/b/bin/python3", "/opt/b", implementation="pypy"),
            "/c": answer((3, 8, 9), "/opt/c/bin/python3", "/opt/c"),
            "/d": answer((3, 15, 0), "/opt/d/bin/python3", "/opt/d", release="beta"),
            "/e": 1,
            "/f": StartFailed("gone"),
            "/g": TimeoutError(),
            "/h": answer((3, 12, 0), f"{tmp_path}/bin/python3", str(tmp_path)),
            "/i": answer((3, 12, 1), f"{tmp_path}/.local/bin/python3", f"{tmp_path}/.local"),
            "/j": answer((3, 12, 2), "/bin/python3", "/"),
            "/k": answer((3, 12, 2), f"{tmp_path.parent}/bin/python3", str(tmp_path.parent)),
            "/l": answer((3, 11, 4), "/opt/a/bin/python3", "/opt/a"),
        }
    )
    assert [one.path for one in await found.all()] == ["/opt/a/bin/python3"]


async def test_every_question_is_asked_without_the_users_settings(look):
    """An interpreter is asked with -I and -S, so that no site or user customisation runs."""
    found, machine = look({"/a": answer((3, 11, 4), "/opt/a/bin/python3", "/opt/a")})
    await found.all()
    asked = [command for command in machine.commands if "list" not in command]
    assert asked
    assert all(command[1:3] == ["-I", "-S"] for command in asked)


async def test_pyenvs_versions_are_found_too(look, tmp_path):
    """uv sees only pyenv's shims, so its folder is looked through as well."""
    program = tmp_path / ".pyenv/versions/3.10.1/bin/python3"
    program.parent.mkdir(parents=True)
    program.touch()
    found, machine = look({str(program): answer((3, 10, 1), str(program), str(program.parent.parent))})
    assert (await found.find("python3.10")).path == str(program)
    assert any(command[0] == str(program) for command in machine.commands)


async def test_a_pyenv_that_cannot_be_looked_into_is_passed_over(look, tmp_path):
    """PYENV_ROOT may name what this user may not read: the other interpreters are found all the same."""
    program = tmp_path / "python3"
    program.touch()
    unreadable = "/" + "x" * 5000  # longer than any path may be: an error for root, too
    found, _ = look({"/a": answer((3, 11, 4), str(program), "/opt/a")}, variables={"PYENV_ROOT": unreadable})
    assert (await found.find("python3.11")).path == str(program)


async def test_what_was_found_is_remembered_until_it_is_missing(look, tmp_path):
    """The machine is looked through once; a missing version is looked for again before it is called missing."""
    program = tmp_path / "python3"
    program.touch()
    found, machine = look({"/a": answer((3, 11, 4), str(program), "/opt/a")})
    for _ in range(3):
        await found.find("python3.11")
    assert sum("list" in command for command in machine.commands) == 1
    with pytest.raises(InterpreterMissing, match=r"python3\.12.*python3\.11 \(.*uv python install 3\.12"):
        await found.find("python3.12")
    machine.interpreters["/b"] = answer((3, 12, 0), str(program), "/opt/b")
    assert (await found.find("python3.12")).version == (3, 12, 0)


async def test_a_search_that_failed_is_tried_again(look):
    """When the search itself breaks, the next request searches again."""
    found, machine = look({"/a": answer((3, 11, 4), "/opt/a/bin/python3", "/opt/a")})
    broken, machine.interpreters["/a"] = machine.interpreters["/a"], ValueError("broken")
    with pytest.raises(ValueError, match="broken"):
        await found.all()
    machine.interpreters["/a"] = broken
    assert len(await found.all()) == 1
