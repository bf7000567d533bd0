"""Trusted commands (uv) below the sentinel: captured, bounded in time and output, killed with the server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

from torpor.core.errors import StartFailed
from torpor.runtime import orders
from torpor.runtime.link import SentinelLink
from torpor.runtime.spec import Completed

MAX_OUTPUT = 1 << 20
_CHUNK = 1 << 16


class Tail:
    """The last MAX_OUTPUT bytes that come out of a pipe, read as they come so that the writer never waits long."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._kept = bytearray()
        asyncio.get_running_loop().add_reader(pipe, self._read)

    def _read(self, chunks: int = 16) -> bool:
        """Read some; False when there is nothing more for now, or ever."""
        for _ in range(chunks):
            try:
                data = os.read(self._pipe, _CHUNK)
            except BlockingIOError:
                return False
            if not data:
                asyncio.get_running_loop().remove_reader(self._pipe)
                return False
            self._kept += data
            del self._kept[:-MAX_OUTPUT]
        return True

    def peek(self) -> bytes:
        """What there is so far."""
        return bytes(self._kept)

    def finish(self) -> bytes:
        """What there is once every writer has ended."""
        while self._read():
            pass
        asyncio.get_running_loop().remove_reader(self._pipe)
        return bytes(self._kept)


async def run_command(
    link: SentinelLink, argv: Sequence[str], *, env: Mapping[str, str], cwd: str | Path, timeout_s: float
) -> Completed:
    """Run to the end, or until `timeout_s` has passed: then it is killed, and the output says so."""
    program = find_program(argv[0], env)
    async with AsyncExitStack() as undo:
        with ExitStack() as sent:
            output, write_end = orders.output_pipe(undo, sent)
            text = orders.command([program, *argv[1:]], env, str(cwd))
            birth = orders.give(link, text, [write_end], undo)
        tail = Tail(output)
        undo.callback(tail.finish)
        await asyncio.shield(birth.ready)
        try:
            async with asyncio.timeout(timeout_s):
                status = await asyncio.shield(birth.over)
        except TimeoutError:
            birth.kill()
            await asyncio.shield(birth.over)
            return Completed(-9, tail.finish() + _stopped(timeout_s))
        return Completed(os.waitstatus_to_exitcode(status), tail.finish())


async def take_back(link: SentinelLink, folders: Sequence[str]) -> None:
    """Make us the owner again of what an instance wrote. Without a sentinel it stays as it is, for a later sweep."""
    with contextlib.suppress(StartFailed):
        async with AsyncExitStack() as undo:
            await asyncio.shield(orders.give(link, orders.reclaim(folders), [], undo).over)


def _stopped(timeout_s: float) -> bytes:
    return f"\nstopped after {timeout_s:g} s\n".encode()


def find_program(name: str, env: Mapping[str, str]) -> str:
    """The full path of a command, looked for as its own environment says."""
    found = shutil.which(name, path=env.get("PATH"))
    if found is None:
        raise StartFailed(f"there is no program {name!r} on the command's PATH")
    return found
