"""A launcher without isolation: the guest as an ordinary subprocess, for tests of functions on any system.

It keeps the launcher's contract but for the walls: no limits, no network namespace, no root of its own. What a sandbox
would mount is shown by symbolic links in a temporary folder, and paths in the environment are rewritten to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from torpor.core.errors import StartFailed
from torpor.core.invocation import Depth
from torpor.runtime.prepared import NothingPrepared
from torpor.runtime.spec import Completed, Exit, LaunchSpec

# The guest expects the control channel as descriptor 3, and subprocess passes descriptors under their own numbers.
_MOVE = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.execv(sys.argv[2], sys.argv[2:])"
_MOVED = re.compile(r"(?<![\w.])/var/(?:task|runtime)(?=[/:]|$)")


class PlainProcesses:
    """Starts every instance as a process group of its own; `close` ends all that are left."""

    def __init__(self) -> None:
        self._live: set[PlainProcess] = set()
        self.prepared = NothingPrepared()
        self.started = 0

    async def start(self, spec: LaunchSpec) -> PlainProcess:
        """Raises StartFailed when the interpreter cannot be executed."""
        process = await PlainProcess.start(spec, self._live.discard)
        self._live.add(process)
        self.started += 1
        return process

    def learn(self, spec: LaunchSpec, modules: Sequence[str]) -> None:
        """There are no zygotes here to load them beforehand."""

    async def run(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: str | Path, timeout_s: float) -> Completed:
        """Run a trusted command. Raises StartFailed when it cannot be executed or takes longer than allowed."""
        pipe, merge = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
        try:
            process = await asyncio.create_subprocess_exec(*argv, env=dict(env), cwd=cwd, stdout=pipe, stderr=merge)
        except OSError as error:
            raise StartFailed(f"{argv[0]} could not be started: {error}") from error
        try:
            output, _ = await asyncio.wait_for(process.communicate(), timeout_s)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise StartFailed(f"{argv[0]} took longer than {timeout_s} s and was ended.") from None
        return Completed(process.returncode or 0, output)

    async def close(self) -> None:
        for process in list(self._live):
            await process.close()


class PlainProcess:
    """One running guest. `control`, `output` and `listeners` are non-blocking and closed by `close`."""

    def __init__(self, root: Path, closed: Callable[[PlainProcess], None]) -> None:
        self._root = root
        self._closed = closed
        self._process: asyncio.subprocess.Process | None = None
        self._exit: asyncio.Task[Exit] | None = None
        self._cpu_ms = 0.0
        self._memory_mb = 0
        self.control, self._guest_end = socket.socketpair()
        self.control.setblocking(False)
        self.output, self._guest_output = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.output, False)
        self.listeners: tuple[socket.socket, ...] = ()
        self.depth = Depth.SPAWN
        self.reason = ""

    @classmethod
    async def start(cls, spec: LaunchSpec, closed: Callable[[PlainProcess], None]) -> PlainProcess:
        process = cls(Path(tempfile.mkdtemp(prefix="torpor-plain-")), closed)
        try:
            await process._launch(spec)
        except OSError as error:
            await process.close()
            raise StartFailed(f"{spec.argv[0]} could not be started: {error}") from error
        except BaseException:
            await process.close()
            raise
        return process

    async def _launch(self, spec: LaunchSpec) -> None:
        self._link_mounts(spec)
        self.listeners = tuple(_listen() for _ in spec.doors)
        argv = [self._translate(word, spec) for word in spec.argv]
        spawn = asyncio.ensure_future(asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", "-c", _MOVE, str(self._guest_end.fileno()), *argv,
            env={name: self._translate(value, spec) for name, value in spec.env.items()},
            cwd=self._translate(spec.cwd, spec),
            stdin=asyncio.subprocess.DEVNULL, stdout=self._guest_output, stderr=self._guest_output,
            pass_fds=(self._guest_end.fileno(),), start_new_session=True,
        ))  # fmt: skip
        try:
            self._process = await asyncio.shield(spawn)
        except asyncio.CancelledError:  # it is started all the same: take it over, so that it can be ended
            self._process = await spawn
            raise
        finally:
            if self._process is not None:
                self._exit = asyncio.create_task(self._reap(self._process))
        self._close_guest_ends()

    def _link_mounts(self, spec: LaunchSpec) -> None:
        for mount in spec.mounts:
            if _MOVED.match(mount.target):
                place = self._root / mount.target.lstrip("/")
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(mount.source)

    def _translate(self, text: str, spec: LaunchSpec) -> str:
        """The same path or address on this host."""
        for (host, port), listener in zip(spec.doors, self.listeners, strict=False):
            text = text.replace(f"{host}:{port}", f"{host}:{listener.getsockname()[1]}")
        return _MOVED.sub(lambda found: str(self._root) + found[0], text)

    async def _reap(self, process: asyncio.subprocess.Process) -> Exit:
        code = await process.wait()
        self._kill_group(process.pid)  # what the guest started goes with it
        return Exit(None, -code) if code < 0 else Exit(code, None)

    async def wait(self) -> Exit:
        assert self._exit is not None  # nobody holds one that was not launched
        return await asyncio.shield(self._exit)

    def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._kill_group(self._process.pid)

    def max_memory_mb(self) -> int:
        for line in self._proc("status").splitlines():
            if line.startswith("VmHWM:"):
                self._memory_mb = int(line.split()[1]) // 1024
        return self._memory_mb

    def cpu_ms(self) -> float:
        fields = self._proc("stat").rpartition(")")[2].split()
        if fields:
            ticks = sum(int(field) for field in fields[11:15])  # user and system time, its own and its children's
            self._cpu_ms = ticks * 1000 / os.sysconf("SC_CLK_TCK")
        return self._cpu_ms

    def out_of_memory(self) -> bool:
        return False

    def reset_peak(self) -> None:
        with contextlib.suppress(OSError):
            (self._folder() / "clear_refs").write_text("5")

    def freeze(self) -> bool:
        """There are no control groups here: it runs on."""
        return False

    def thaw(self) -> None:
        """It was never frozen."""

    async def close(self) -> None:
        self.kill()
        if self._exit is not None:
            await self.wait()
        self._close_guest_ends()
        self.control.close()
        for listener in self.listeners:
            listener.close()
        if self.output >= 0:
            os.close(self.output)
            self.output = -1
        shutil.rmtree(self._root, ignore_errors=True)
        self._closed(self)

    def _close_guest_ends(self) -> None:
        self._guest_end.close()
        if self._guest_output >= 0:
            os.close(self._guest_output)
            self._guest_output = -1

    def _folder(self) -> Path:
        return Path("/proc") / (str(self._process.pid) if self._process else "none")

    def _proc(self, name: str) -> str:
        try:
            return (self._folder() / name).read_text()
        except OSError:  # it has left, or this system has no /proc
            return ""

    @staticmethod
    def _kill_group(group: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


def _listen() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    return listener
