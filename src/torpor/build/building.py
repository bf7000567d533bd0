"""One function's way from requirements to a lock, and from a lock to an environment that is whole or not there."""

from __future__ import annotations

import asyncio
import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from torpor.build.commands import Completed, Run, RunSandboxed
from torpor.build.files import locked, make_folder, remove_tree, scratch, sync_tree, write_durably
from torpor.build.interpreters import Interpreter
from torpor.build.locks import MAX_LOCK_BYTES, LockStore, digest_of, index_variables, keep_hashes, request_key
from torpor.build.options import BuildOptions
from torpor.build.requirements import Requirements
from torpor.build.tools import HostTools, SandboxTools, Tools, Uv, build_inputs, require
from torpor.core.errors import BuildFailed, PlatformFault
from torpor.core.function import Environment

_FORMAT = 1
_NETWORK = re.compile(rb"error sending request|failed to fetch|dns error|tcp connect|timed out", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Places:
    """Where environments, scratch folders and uv's cache are."""

    envs: Path
    work: Path
    cache: Path

    def environment(self, digest: str) -> Path:
        return self.envs / digest

    def marker(self, digest: str) -> Path:
        return self.envs / f"{digest}.json"

    def guard(self, digest: str) -> Path:
        """The lock file that whoever builds or removes the environment holds."""
        return self.envs / f".{digest}.lock"

    def digests(self) -> list[str]:
        """Of every environment there is anything of, half-built ones included."""
        found = {path.name.removesuffix(".json") for path in self.envs.iterdir() if not path.name.startswith(".")}
        return sorted(found | {path.name[1:-5] for path in self.envs.glob(".*.lock")})


class _Unreachable(BuildFailed):
    """The resolver could not reach an index."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """Builds for one bundle; with `run_sandboxed`, source packages too, and then everything happens in there."""

    places: Places
    locks: LockStore
    options: BuildOptions
    run: Run
    run_sandboxed: RunSandboxed | None
    needs: Requirements
    interpreter: Interpreter
    code: Path

    @cached_property
    def variables(self) -> Mapping[str, str]:
        return index_variables(self.options.variables, self.needs.declared)

    @cached_property
    def key(self) -> str:
        """Names the question that the lock answers."""
        source = self.run_sandboxed is not None
        return request_key(self.needs.declared, self.interpreter, self.variables, source=source)

    @cached_property
    def question(self) -> str:
        """The key without the operator's indexes."""
        return request_key(self.needs.declared, self.interpreter, {}, source=self.run_sandboxed is not None)

    def digest(self, lock: str) -> str:
        """Names the environment. One built from source depends on more than its lock pins: what its builds fetched."""
        return digest_of([_FORMAT, lock, self.interpreter.facts, self.key if self.run_sandboxed else None])

    async def lock(self) -> str:
        """The remembered lock, or a new one from the resolver. Raises BuildFailed."""
        known = await asyncio.to_thread(self.locks.get, self.key)
        if known is not None:
            return known
        try:
            async with scratch(self.places.work) as folder:
                lock = await self._resolve(folder)
        except _Unreachable:
            # Another network has other indexes configured, and maybe none that answers: what was installed from the
            # last ones still serves. It is not remembered as the answer of these.
            earlier = await asyncio.to_thread(self.locks.newest, self.question)
            if earlier is None:
                raise
            return earlier
        await asyncio.to_thread(partial(self.locks.put, self.key, lock, self.digest(lock), question=self.question))
        return lock

    async def environment(self, lock: str) -> Environment:
        """The environment of `lock`, built unless its marker says it is whole. Raises BuildFailed."""
        digest = self.digest(lock)
        async with locked(self.places.guard(digest)):
            if not await asyncio.to_thread(self._is_whole, digest):
                await self._build(digest, lock)
        return self._described(digest)

    async def _resolve(self, folder: Path) -> str:
        asked, constraints, output = folder / "requirements.in", folder / "constraints.in", folder / "requirements.txt"
        await asyncio.to_thread(asked.write_text, _lines(self.needs.declared.lines), "utf-8")
        await asyncio.to_thread(constraints.write_text, _lines(self.needs.declared.constraints), "utf-8")
        limits = constraints if self.needs.declared.constraints else None
        uv = self._uv(folder)
        done = await uv.compile(asked, limits, output, offline=False)
        unreachable = done.returncode != 0 and not uv.tools.source_builds and _NETWORK.search(done.output) is not None
        if unreachable:
            # What was fetched before may do; if it does not, why the network failed is the better thing to say.
            again = await uv.compile(asked, limits, output, offline=True)
            done = again if again.returncode == 0 else done
        fault = _Unreachable if unreachable else BuildFailed
        require(done, f"The dependencies in {self.needs.source} could not be resolved", fault)
        return keep_hashes(await asyncio.to_thread(_read_lock, output), self.needs.declared)

    async def _build(self, digest: str, lock: str) -> None:
        place = self.places.environment(digest)
        try:
            async with scratch(self.places.work) as folder:
                pinned = folder / "lock.txt"
                await asyncio.to_thread(pinned.write_text, lock, "utf-8")
                uv = self._uv(folder, place)
                done = await self._install(uv, pinned, place)
                require(done, f"The dependencies in {self.needs.source} could not be installed")
            await asyncio.to_thread(_seal, place)
            record = {"format": _FORMAT, "python": self.interpreter.text, "source": self.needs.source, "lock": lock}
            await asyncio.to_thread(write_durably, self.places.marker(digest), json.dumps(record).encode())
        except BaseException as problem:
            await asyncio.to_thread(remove_tree, place)
            if isinstance(problem, OSError):
                raise PlatformFault(f"The environment could not be stored: {problem.strerror or problem}.") from problem
            raise

    async def _install(self, uv: Uv, pinned: Path, place: Path) -> Completed:
        """Install from the cache, which needs no network; where that does not do, with it.

        Each try begins with an empty folder: an environment that has anything in it must not be started.
        """
        for offline in (True, False) if not uv.tools.source_builds else (False,):
            await asyncio.to_thread(remove_tree, place)
            await asyncio.to_thread(make_folder, place)
            done = await uv.install(pinned, place, self._site_packages(place), offline=offline)
            if done.returncode == 0:
                break
        return done

    def _uv(self, *folders: Path) -> Uv:
        tools: Tools
        if self.run_sandboxed is None:
            tools = HostTools(self.run, self.variables, self.places.cache, folders[0])
        else:
            readable = build_inputs(self.options, self.interpreter, self.variables, self.code)
            tools = SandboxTools(self.run_sandboxed, self.variables, folders[0], folders, readable)
        no_index = self.variables.get("UV_NO_INDEX", "") not in ("", "0", "false")
        return Uv(tools, self.options, self.interpreter, no_index, self.needs.declared.no_binary)

    def _is_whole(self, digest: str) -> bool:
        return self.places.marker(digest).is_file() and self._site_packages(self.places.environment(digest)).is_dir()

    def _described(self, digest: str) -> Environment:
        place = self.places.environment(digest)
        return Environment(
            digest=digest,
            python=str(place / "bin/python"),
            site_packages=str(self._site_packages(place)),
            mounts=(str(place), *self.interpreter.mounts),
            runtime=self.interpreter.runtime,
        )

    def _site_packages(self, place: Path) -> Path:
        return place / "lib" / self.interpreter.runtime / "site-packages"


def _lines(requirements: tuple[str, ...]) -> str:
    return "".join(f"{line}\n" for line in requirements)


def _read_lock(path: Path) -> str:
    """Read what the resolver wrote; in a sandbox, untrusted code could have put anything there instead."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise BuildFailed("The build replaced its lock by something that is not a file.")
        content = file.read(MAX_LOCK_BYTES + 1)
    if len(content) > MAX_LOCK_BYTES:
        raise BuildFailed(f"The lock is larger than {MAX_LOCK_BYTES} bytes.")
    return content.decode(errors="replace")


def _seal(place: Path) -> None:
    """Let every user id read the environment, take away what only builds need, and make it durable.

    It may have been written by untrusted code: nothing is followed, and only files, folders and links are accepted.
    """
    (place / ".lock").unlink(missing_ok=True)
    for folder, folders, names in os.walk(place):
        _open_to_all(Path(folder))
        for path in (Path(folder, name) for name in (*folders, *names)):
            _open_to_all(path)
    sync_tree(place)


def _open_to_all(path: Path) -> None:
    found = path.lstat()
    if found.st_uid != os.geteuid() and os.geteuid() == 0:
        os.chown(path, 0, 0, follow_symlinks=False)
    if stat.S_ISLNK(found.st_mode):
        return
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        raise BuildFailed(f"The build left {path.name!r}, which is neither a file nor a folder.")
    read = 0o555 if stat.S_ISDIR(found.st_mode) or found.st_mode & 0o111 else 0o444
    wanted = (stat.S_IMODE(found.st_mode) | read | 0o200) & 0o755
    if wanted != stat.S_IMODE(found.st_mode):
        path.chmod(wanted)
