"""Byte-compiles stored code for one version of Python, since instances see it read-only and would do it at every start.

A handler of one file gains half a millisecond; libraries packed with it gain more: boto3, half a second of each start.
Compiling runs none of the code. It happens in a folder aside, under limits, and each result is then renamed into place,
where an instance that is importing right now sees it whole or not at all.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from torpor.build.commands import Run
from torpor.build.files import make_folder, scratch, write_durably
from torpor.build.interpreters import Interpreter
from torpor.build.single import SingleFlight
from torpor.core.errors import PlatformFault

TIMEOUT_S = 120
# Processor seconds and kilobytes of memory: a source file may be made to cost more than any honest one does.
_LIMITED = ("/bin/sh", "-c", f'umask 022; ulimit -t {TIMEOUT_S} -v 4194304; exec "$@"', "sh")


class CodeCompiler:
    """Compiles what is in `code`, the bundle store's folder, and remembers in `done` what it has compiled."""

    def __init__(self, run: Run, variables: Mapping[str, str], *, code: Path, done: Path, work: Path) -> None:
        self._run = run
        self._variables = variables
        self._code = code
        self._done = done
        self._work = work
        self._compiling: SingleFlight[None] = SingleFlight()

    async def compile(self, code_dir: Path, interpreter: Interpreter) -> None:
        """Compile a stored bundle once; a folder that is not the store's is left as it is. Raises PlatformFault."""
        marker = self._done / f"{code_dir.name}.{interpreter.cache_tag}"
        if code_dir.parent == self._code and not await asyncio.to_thread(marker.exists):
            await self._compiling.run(marker.name, lambda: self._compile(code_dir, interpreter, marker))

    async def _compile(self, code_dir: Path, interpreter: Interpreter, marker: Path) -> None:
        async with scratch(self._work) as aside:
            argv = [interpreter.path, "-I", "-S", "-X", f"pycache_prefix={aside}", "-m", "compileall", "-q"]
            argv += ["--invalidation-mode", "unchecked-hash", str(code_dir)]
            with suppress(TimeoutError):  # what was compiled by then is kept; the rest only starts more slowly
                await self._run((*_LIMITED, *argv), env=self._variables, cwd=str(aside), timeout_s=TIMEOUT_S)
            try:
                await asyncio.to_thread(_place, Path(f"{aside}{code_dir}"), code_dir)
                await asyncio.to_thread(write_durably, marker, b"")
            except OSError as problem:
                raise PlatformFault(f"The compiled code could not be stored: {problem.strerror}.") from problem


def _place(compiled: Path, code_dir: Path) -> None:
    """Move each compiled file beside its source, unless the bundle brought one of its own."""
    for folder, _, names in os.walk(compiled):
        sources = code_dir / Path(folder).relative_to(compiled)
        cache = sources / "__pycache__"
        mode = sources.stat().st_mode
        if not names or cache.is_symlink():
            continue
        sources.chmod(0o755)
        make_folder(cache)
        cache.chmod(0o755)
        for name in names:
            if not (cache / name).exists():
                Path(folder, name).chmod(0o444)
                Path(folder, name).rename(cache / name)
        cache.chmod(0o555)
        sources.chmod(mode)
