"""Environments of locked dependencies, each built once at its final place and shared by every function that needs it.

An environment lives at envs/DIGEST, since moving one breaks the paths inside it. It is built under a file lock, and
exists once its marker, DIGEST.json beside it, is written after everything else is synced. Whatever has no marker is
removed before the next try. The marker lies outside, where a build that ran in a sandbox cannot have put it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from torpor.build.building import Build, Places
from torpor.build.code import CodeCompiler
from torpor.build.commands import Run, RunSandboxed
from torpor.build.files import (
    Freed,
    locked_nowait,
    make_folder,
    remove_tree,
    scratch,
    size_of,
    sweep_scratch,
    sync_file,
)
from torpor.build.interpreters import OWN_RUNTIME, Interpreters
from torpor.build.locks import LockStore
from torpor.build.options import BuildOptions
from torpor.build.requirement_files import Declared
from torpor.build.requirements import Requirements, read_requirements
from torpor.build.single import SingleFlight
from torpor.build.tools import HostTools, Step, require
from torpor.core.errors import BuildFailed
from torpor.core.function import Environment, is_custom

_NOTHING = Requirements(Declared(), "no packages, for a custom runtime")


class Environments:
    """Environments by digest below `root`, with the locks they were made of and uv's cache beside them."""

    def __init__(self, root: Path, run: Run, options: BuildOptions, run_sandboxed: RunSandboxed | None = None) -> None:
        root = root.absolute()
        self._places = Places(envs=root / "envs", work=root / "build", cache=root / "uv-cache")
        self._run = run
        self._run_sandboxed = run_sandboxed
        self._options = options
        done = root / "compiled"
        self._compiler = CodeCompiler(run, options.variables, code=root / "code", done=done, work=self._places.work)
        for folder in (self._places.envs, self._places.work, self._places.cache, done):
            make_folder(folder)
        self._locks = LockStore(root / "locks")
        self._resolving: SingleFlight[str] = SingleFlight()
        self._building: SingleFlight[Environment] = SingleFlight()
        self.interpreters = Interpreters(run, options)

    async def ensure(
        self, code_dir: Path, *, runtime: str, source_builds: bool, more: tuple[str, ...] = ()
    ) -> Environment:
        """The environment for the code in `code_dir`, built if it is not there. Stored code is byte-compiled for it.

        `more` are requirements besides the code's own.

        A custom runtime brings what it needs: its environment has no packages, and only the guest runs on it.
        Raises InterpreterMissing, or BuildFailed with the last lines of what went wrong.
        """
        custom = is_custom(runtime)
        requirements = _NOTHING if custom else await self._requirements(code_dir, source_builds=source_builds)
        requirements = requirements.extended(more)
        interpreter = await self.interpreters.find(OWN_RUNTIME if custom else runtime)
        if not requirements.accepts(interpreter.text):
            raise BuildFailed(
                f"The code asks for Python {requirements.python}, and its runtime {runtime} is {interpreter.text}. "
                "Deploy it with another runtime, or change requires-python."
            )
        if source_builds and self._run_sandboxed is None:
            raise BuildFailed(
                "Source packages are built in a sandbox only, and this server has none (`torpor doctor` says why). "
                "Deploy without source builds, so that wheels are taken."
            )
        build = Build(
            places=self._places,
            locks=self._locks,
            options=self._options,
            run=self._run,
            run_sandboxed=self._run_sandboxed if source_builds and not custom else None,
            needs=requirements,
            interpreter=interpreter,
            code=code_dir,
        )
        lock = await self._resolving.run(build.key, build.lock)
        environment = await self._building.run(build.digest(lock), lambda: build.environment(lock))
        if not custom:
            await self._compiler.compile(code_dir, interpreter)
        return environment

    async def compile_code(self, code_dir: Path, runtime: str) -> None:
        """Byte-compile stored code that functions import beside their own. Raises InterpreterMissing, PlatformFault."""
        if not is_custom(runtime):
            await self._compiler.compile(code_dir, await self.interpreters.find(runtime))

    async def _requirements(self, code_dir: Path, *, source_builds: bool) -> Requirements:
        base, indexes = self._options.base_requirements, self._options.bundle_indexes
        return await asyncio.to_thread(
            read_requirements, code_dir, base=base, source_builds=source_builds, indexes=indexes
        )

    def sweep(self, keep: set[str]) -> Freed:
        """Remove environments whose digest is not in `keep`, half-built ones, and what killed processes left.

        What is being built, here or in another process, is left alone.
        """
        freed = Freed()
        for digest in self._places.digests():
            if digest not in keep or not self._places.marker(digest).is_file():
                freed += self._remove(digest)
        return freed + self._locks.sweep(keep) + sweep_scratch(self._places.work)

    async def prune_cache(self) -> Freed:
        """Remove downloaded wheels from uv's cache. Raises BuildFailed.

        Environments keep their own links to what they use, so this frees what no environment uses any more; a package
        that a new environment shares with an old one has to be fetched again.
        """
        before = await asyncio.to_thread(size_of, self._places.cache)
        async with scratch(self._places.work) as folder:
            tools = HostTools(self._run, self._options.variables, self._places.cache, folder)
            argv = (str(self._options.uv), "cache", "prune", "--ci", "--no-config", "--quiet")
            require(await tools.run([Step(argv)], self._options.resolve_timeout_s), "The cache could not be pruned")
        return Freed(0, max(0, before - await asyncio.to_thread(size_of, self._places.cache)))

    async def close(self) -> None:
        """Stop what is being built."""
        await self._building.close()
        await self._resolving.close()

    def _remove(self, digest: str) -> Freed:
        with locked_nowait(self._places.guard(digest)) as alone:
            if not alone:
                return Freed()
            place = self._places.environment(digest)
            freed = Freed(int(place.is_dir()), size_of(place))  # of a build that failed there is only the guard
            self._places.marker(digest).unlink(missing_ok=True)
            sync_file(self._places.envs)
            remove_tree(place)
            self._places.guard(digest).unlink(missing_ok=True)
        return freed
