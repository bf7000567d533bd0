"""An untrusted command in a sandbox of its own, with some folders of the machine's: how source packages are built."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from torpor.runtime.commands import Tail
from torpor.runtime.spec import Completed, Launcher, LaunchSpec, Mount

_MEMORY_MB, _TMP_MB, _PROCESSES, _OPEN_FILES = 4096, 4096, 512, 4096


async def run_sandboxed(
    launcher: Launcher,
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str,
    timeout_s: float,
    writable: Sequence[Path],
    readable: Sequence[Path],
) -> Completed:
    """Run to the end, or until `timeout_s` has passed: then it is killed, and the output says so.

    Of the machine's files it sees `writable` and `readable` only, at the same paths; it has the machine's network,
    since builds fetch what they need. Raises StartFailed.
    """
    spec = LaunchSpec(
        instance_id=f"build-{secrets.token_hex(4)}",
        argv=tuple(argv),
        env=env,
        cwd=cwd,
        mounts=(
            *(Mount(source=str(path), target=str(path)) for path in readable),
            *(Mount(source=str(path), target=str(path), read_only=False) for path in writable),
        ),
        memory_mb=_MEMORY_MB,
        tmp_mb=_TMP_MB,
        processes=_PROCESSES,
        open_files=_OPEN_FILES,
        doors=(),
        network="host",
    )
    live = await launcher.start(spec)
    try:
        tail = Tail(live.output)
        try:
            async with asyncio.timeout(timeout_s):
                ended = await live.wait()
        except TimeoutError:
            return Completed(-9, tail.finish() + f"\nstopped after {timeout_s:g} s\n".encode())
        finally:
            output = tail.finish()  # also when cancelled: the pipe is about to be closed
        if ended.out_of_memory:
            output += f"\nended: it used more than {_MEMORY_MB} MB of memory\n".encode()
        return Completed(ended.status if ended.status is not None else -(ended.signal or 9), output)
    finally:
        await live.close()
