"""uv and the byte compiler, run either on the machine, for wheels, or in a sandbox, where source packages are built.

A wheel is only unpacked. Its code must not run outside a sandbox, and a `.pth` file of it runs whenever its
environment's own Python starts. So that Python is started at most once, by uv, before anything is installed; bytes are
compiled by the base interpreter without `site`.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torpor.build.commands import Completed, Run, RunSandboxed, Succeeded, last_lines, readable_by_all
from torpor.build.interpreters import Interpreter
from torpor.build.options import BuildOptions
from torpor.build.pip_settings import local_path
from torpor.core.errors import BuildFailed

# Test suites that packages bring along are seldom imported, and take two fifths of the time.
_UNCOMPILED = r"[/\\]tests?[/\\]"
_INDEXES = ("UV_INDEX", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL")
_BESIDE_INDEX = ("files", "packages")  # where a mirror keeps what the pages of its `simple` folder link to
_WHEELS_ONLY = ("--only-binary", ":all:")
_SYSTEM = (Path("/usr"), Path("/etc/ssl"))


@dataclass(frozen=True, slots=True)
class Step:
    """A command, and whether what comes after it is done even when it fails."""

    argv: tuple[str, ...]
    may_fail: bool = False


class Tools(Protocol):
    """Where steps are run: one after the other, until one fails that must not."""

    source_builds: bool

    async def run(self, steps: Sequence[Step], timeout_s: float) -> Completed: ...


@dataclass(slots=True)
class HostTools:
    """Runs on the machine itself, with the shared cache: for wheels only."""

    command: Run
    variables: Mapping[str, str]
    cache: Path
    folder: Path
    source_builds: bool = False

    async def run(self, steps: Sequence[Step], timeout_s: float) -> Completed:
        env = {**self.variables, "UV_CACHE_DIR": str(self.cache)}
        for step in steps:
            argv = readable_by_all(step.argv)
            done = await self.command(argv, env=env, cwd=str(self.folder), timeout_s=timeout_s)
            if done.returncode != 0 and not step.may_fail:
                return done
        return Succeeded()


@dataclass(slots=True)
class SandboxTools:
    """Runs in a sandbox with a cache of its own, which untrusted build code may spoil at nobody else's cost.

    All steps share one sandbox: the next one would have another user id, which cannot change what this one wrote.
    """

    command: RunSandboxed
    variables: Mapping[str, str]
    folder: Path
    writable: tuple[Path, ...]
    readable: tuple[Path, ...]
    source_builds: bool = True

    async def run(self, steps: Sequence[Step], timeout_s: float) -> Completed:
        own = {name: str(self.folder / name.lower()) for name in ("HOME", "TMPDIR", "UV_CACHE_DIR")}
        kept = {name: value for name, value in self.variables.items() if name not in ("NETRC", "XDG_DATA_HOME")}
        lines = [shlex.join(["mkdir", "-p", *own.values()])]
        lines += [f"{{ {shlex.join(step.argv)}{' || true' if step.may_fail else ''}; }}" for step in steps]
        return await self.command(
            readable_by_all(["/bin/sh", "-c", " && ".join(lines)]),
            env={**kept, **own},
            cwd=str(self.folder),
            timeout_s=timeout_s,
            writable=self.writable,
            readable=self.readable,
        )


def build_inputs(
    options: BuildOptions, interpreter: Interpreter, variables: Mapping[str, str], code: Path
) -> tuple[Path, ...]:
    """What a sandboxed build may read: uv, the interpreter, the bundle, local indexes and certificates."""
    indexes = _local(variables, *_INDEXES)
    found = [options.uv, Path(interpreter.prefix), code, *_local(variables, "UV_FIND_LINKS"), *indexes]
    found += [index.parent / name for index in indexes for name in _BESIDE_INDEX]
    found += [Path(variables[name]) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if variables.get(name)]
    shown = [path for path in found if path.exists() and not any(path.is_relative_to(system) for system in _SYSTEM)]
    return tuple(dict.fromkeys(shown))


def _local(variables: Mapping[str, str], *names: str) -> list[Path]:
    """The folders of this machine among the places that these variables list."""
    places = [place for name in names for place in variables.get(name, "").replace(",", " ").split()]
    return [path for place in places if (path := local_path(place)) is not None]


@dataclass(slots=True)
class Uv:
    """uv's commands, as this project uses them."""

    tools: Tools
    options: BuildOptions
    interpreter: Interpreter
    no_index: bool = False
    no_binary: tuple[str, ...] = ()  # packages that a bundle wants built, where builds are allowed

    async def compile(self, requirements: Path, constraints: Path | None, output: Path, *, offline: bool) -> Completed:
        """Resolve `requirements` into `output`, every file with its hash."""
        argv = ["pip", "compile", str(requirements), "--output-file", str(output)]
        argv += ["--constraints", str(constraints)] if constraints else []
        argv += ["--python", self.interpreter.path, "--generate-hashes", "--no-annotate", "--no-header", "--no-sources"]
        return await self._run([self._uv([*argv, *self._files()], offline=offline)], self.options.resolve_timeout_s)

    async def install(self, lock: Path, environment: Path, site_packages: Path, *, offline: bool) -> Completed:
        """Make an environment in the empty folder `environment`, install the lock into it, and byte-compile that."""
        make = ["venv", str(environment), "--python", self.interpreter.path, "--no-project", "--allow-existing"]
        fill = ["pip", "install", "--python", f"{environment}/bin/python", "--requirements", str(lock)]
        fill += ["--require-hashes", "--no-deps", *self._files()]
        steps = [self._uv(make, offline=True), self._uv(fill, offline=offline), self._byte_compile(site_packages)]
        return await self._run(steps, self.options.install_timeout_s)

    def _byte_compile(self, folder: Path) -> Step:
        # What does not compile, as files for other versions do not, stays as it is.
        argv = [self.interpreter.path, "-I", "-S", "-m", "compileall", "-q", "-f", "-x", _UNCOMPILED]
        argv += ["-j", str(min(4, os.cpu_count() or 1)), "--invalidation-mode", "unchecked-hash", str(folder)]
        return Step(tuple(argv), may_fail=True)

    def _files(self) -> list[str]:
        """Which files may be taken, and from where: uv has no variable for either."""
        kinds = [("--no-binary", name) for name in self.no_binary] if self.tools.source_builds else [_WHEELS_ONLY]
        return [*(["--no-index"] if self.no_index else []), *(word for kind in kinds for word in kind)]

    def _uv(self, arguments: list[str], *, offline: bool) -> Step:
        argv = [str(self.options.uv), *arguments, "--no-config", "--no-progress", "--color", "never"]
        return Step((*argv, "--no-python-downloads", *(["--offline"] if offline else [])))

    async def _run(self, steps: list[Step], timeout_s: float) -> Completed:
        try:
            return await self.tools.run(steps, timeout_s)
        except TimeoutError:
            raise BuildFailed(f"The build was stopped: it took more than {timeout_s:g} s.") from None


def require(done: Completed, what: str, fault: type[BuildFailed] = BuildFailed) -> None:
    """Raise BuildFailed, or a kind of it, with the end of what the command printed, unless it succeeded."""
    if done.returncode < 0:
        raise fault(f"{what}: stopped by signal {-done.returncode}.\n{last_lines(done.output)}")
    if done.returncode != 0:
        raise fault(f"{what}:\n{last_lines(done.output)}")
