"""Finds the Python interpreters that are installed, without any network, and picks the one for a runtime."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torpor.build.commands import Run
from torpor.build.options import BuildOptions
from torpor.core.errors import InterpreterMissing, StartFailed

OWN_RUNTIME = f"python{sys.version_info[0]}.{sys.version_info[1]}"  # the server's, which is always there
OLDEST = (3, 9)  # what the guest is written for
_RUNTIME = re.compile(r"python3\.(\d{1,3})")
# Without site and user settings: nothing but the standard library runs here.
_QUESTION = """
import json, os, platform, sys, sysconfig
print("torpor:" + json.dumps({
    "implementation": sys.implementation.name, "version": list(sys.version_info[:3]), "release": sys.version_info[3],
    "path": os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable),
    "prefix": os.path.realpath(sys.base_prefix), "cache_tag": sys.implementation.cache_tag,
    "abi": str(sysconfig.get_config_var("SOABI")), "machine": platform.machine(), "libc": "-".join(platform.libc_ver()),
}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """An installed CPython. `prefix` is the folder it needs to run; all paths are free of symbolic links."""

    version: tuple[int, int, int]
    path: str
    prefix: str
    abi: str
    cache_tag: str
    platform: str

    @property
    def runtime(self) -> str:
        return f"python{self.version[0]}.{self.version[1]}"

    @property
    def text(self) -> str:
        return ".".join(map(str, self.version))

    @property
    def mounts(self) -> tuple[str, ...]:
        """Its own folders that a sandbox must show; /usr is in every sandbox's root already."""
        prefix = Path(self.prefix)
        return () if prefix == Path("/usr") or Path("/usr") in prefix.parents else (self.prefix,)

    @property
    def facts(self) -> tuple[str, ...]:
        """What an environment made for it depends on."""
        return ("cpython", self.text, self.abi, self.path, self.platform)


class Interpreters:
    """The interpreters of this machine, looked for once; `refresh` looks again."""

    def __init__(self, run: Run, options: BuildOptions) -> None:
        self._run = run
        self._options = options
        self._found: asyncio.Task[tuple[Interpreter, ...]] | None = None

    async def find(self, runtime: str) -> Interpreter:
        """The interpreter for a runtime such as `python3.12`. Raises InterpreterMissing, saying what there is."""
        minor = _minor(runtime)
        chosen = choose(await self.all(), minor, nearest=self._options.nearest_interpreter)
        if chosen is None or not await asyncio.to_thread(Path(chosen.path).exists):
            # One may have been installed or removed since: look again before saying no.
            chosen = choose(await self.refresh(), minor, nearest=self._options.nearest_interpreter)
        if chosen is None:
            raise InterpreterMissing(_missing(runtime, minor, await self.all()))
        return chosen

    async def all(self) -> tuple[Interpreter, ...]:
        """Every usable interpreter, best first."""
        if self._found is None or (self._found.done() and (self._found.cancelled() or self._found.exception())):
            self._found = asyncio.create_task(self._look())
        return await asyncio.shield(self._found)

    async def refresh(self) -> tuple[Interpreter, ...]:
        """Look again."""
        self._found = None
        return await self.all()

    async def _look(self) -> tuple[Interpreter, ...]:
        candidates = await self._candidates()
        answers = await asyncio.gather(*(self._ask(path) for path in candidates))
        found = {one.path: one for one in answers if one is not None}
        return tuple(sorted(found.values(), key=lambda one: (one.version, one.path), reverse=True))

    async def _candidates(self) -> list[str]:
        """Paths worth asking, each real file once: this process's own, uv's, and pyenv's, which uv does not see."""
        command = [str(self._options.uv), "python", "list", "--only-installed", "--output-format", "json"]
        command += ["--no-python-downloads", "--offline", "--no-config"]
        listed = await self._output(command, timeout_s=60)
        paths = [sys.executable, *_paths_in(listed), *_pyenv(self._options.variables.get("PYENV_ROOT", ""))]
        home = self._options.variables.get("HOME")
        paths += _pyenv(f"{home}/.pyenv") if home else []
        return list(dict.fromkeys(_real(path) for path in paths))

    async def _ask(self, path: str) -> Interpreter | None:
        answer = await self._output([path, "-I", "-S", "-c", _QUESTION], timeout_s=20)
        for line in answer.splitlines():
            if line.startswith("torpor:"):
                return _usable(json.loads(line.removeprefix("torpor:")), self._options.variables.get("HOME", ""))
        return None

    async def _output(self, argv: list[str], *, timeout_s: float) -> str:
        """What a command prints; nothing where it cannot run, since a broken interpreter is only one fewer."""
        try:
            done = await self._run(argv, env=dict(self._options.variables), cwd="/", timeout_s=timeout_s)
        except (OSError, TimeoutError, StartFailed):
            return ""
        return done.output.decode(errors="replace") if done.returncode == 0 else ""


def choose(found: Iterable[Interpreter], minor: int, *, nearest: bool) -> Interpreter | None:
    """The newest patch of Python 3.`minor`; with `nearest`, else the version least far away, the newer of two."""
    ordered = sorted(found, key=lambda one: (abs(one.version[1] - minor), *(-part for part in one.version)))
    if ordered and (nearest or ordered[0].version[1] == minor):
        return ordered[0]
    return None


def _minor(runtime: str) -> int:
    match = _RUNTIME.fullmatch(runtime)
    if match is None:
        raise InterpreterMissing(f"The runtime {runtime!r} is none of Python's: write it as python3.12, for example.")
    return int(match[1])


def _missing(runtime: str, minor: int, found: Iterable[Interpreter]) -> str:
    there = ", ".join(f"{one.runtime} ({one.path})" for one in found) or "none"
    if minor < OLDEST[1]:
        return f"{runtime} is too old: torpor runs functions on Python 3.{OLDEST[1]} and later. There are: {there}."
    return (
        f"No interpreter for {runtime} is installed. There are: {there}. `uv python install 3.{minor}` adds it, and "
        "the next deployment finds it; or let the server take the nearest one (nearest_interpreter)."
    )


def _paths_in(listed: str) -> list[str]:
    # uv's warnings come in the same stream as its answer, which is one line.
    for line in listed.splitlines():
        if line.startswith("[{"):
            return [str(entry["path"]) for entry in json.loads(line) if entry.get("implementation") == "cpython"]
    return []


def _pyenv(root: str) -> list[str]:
    try:
        return [str(path) for path in sorted(Path(root).glob("versions/3.*/bin/python3"))] if root else []
    except OSError:  # a variable may name somebody else's folder, after `su` without a login
        return []


def _real(path: str) -> str:
    # A pyenv shim is a script that asks where it is; its name has to stay.
    return path if "/shims/" in path else os.path.realpath(path)  # which passes over what may not be read


def _usable(answer: dict[str, Any], home: str) -> Interpreter | None:
    version = tuple(answer["version"])
    if answer["implementation"] != "cpython" or version < OLDEST or answer["release"] != "final":
        return None
    prefix = Path(str(answer["prefix"]))
    # The prefix is shown inside sandboxes: it must not be a folder that holds anything else of value.
    if prefix == Path("/") or (home and (prefix == Path(home) or prefix in Path(home).parents)):
        return None
    if prefix == Path(home, ".local"):
        return None
    return Interpreter(
        version=(version[0], version[1], version[2]),
        path=str(answer["path"]),
        prefix=str(prefix),
        abi=str(answer["abi"]),
        cache_tag=str(answer["cache_tag"]),
        platform=f"{answer['machine']}-{answer['libc']}",
    )
