"""What is asked of a launcher and what it answers: values and promises, no processes."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from torpor.core.function import Isolation
from torpor.core.invocation import Depth

DOOR = ("127.0.0.1", 9001)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A host folder or file and where an instance sees it. A writable one is the instance's own while it lives."""

    source: str
    target: str
    read_only: bool = True


class Closable(Protocol):
    async def close(self) -> None: ...


OpenDoors = Callable[[Sequence[socket.socket]], Awaitable[Closable]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ZygoteSpec:
    """An environment that instances may be forked from. `key` names it; `mounts` are what all its instances see.

    `env` is what its interpreter starts with: of an instance's variables, those that interpreters and libraries read
    when they are loaded. `always` are modules to import first, `programs` files that instances will run, and
    `rehearsal` a module with a function `rehearse()`, which those call that nobody waits for yet. `snapshot` is a
    module with a function `take()`, which initialises one function for all that are forked; `start_s` bounds that (0:
    the usual time). `doors` are listeners on its loopback, served by `open_doors` until it forks.
    """

    key: str
    python: str
    site_packages: str
    env: Mapping[str, str]
    mounts: tuple[Mount, ...]
    always: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    rehearsal: str = ""
    snapshot: str = ""
    start_s: float = 0.0
    doors: tuple[tuple[str, int], ...] = ()
    open_doors: OpenDoors | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSpec:
    """One instance to start. `argv[0]` is a path inside; `mounts` come on top of the synthesised root.

    `hosts` maps names to addresses for /etc/hosts; `doors` are listeners on the instance's own loopback, opened before
    user code runs. `network="host"` is for sandboxed builds of source packages alone. With a `zygote` it is forked from
    there when that is possible; `no_zygote` says why it must not be. With a `snapshot` it is tried there first.
    """

    instance_id: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)  # may hold secrets
    cwd: str = "/var/task"
    mounts: tuple[Mount, ...] = ()
    memory_mb: int = 128
    tmp_mb: int = 512
    processes: int = 1024
    open_files: int = 1024
    hosts: Mapping[str, str] = field(default_factory=dict)
    doors: tuple[tuple[str, int], ...] = (DOOR,)
    network: Literal["none", "host"] = "none"
    isolation: Isolation = Isolation.SANDBOX
    zygote: ZygoteSpec | None = None
    snapshot: ZygoteSpec | None = None
    no_zygote: str = ""


@dataclass(frozen=True, slots=True)
class Exit:
    """How the worker ended: a status, or the signal that ended it. `out_of_memory`: the limit was met at least once."""

    status: int | None
    signal: int | None
    out_of_memory: bool = False


@dataclass(frozen=True, slots=True)
class Completed:
    """A trusted command that has ended; a negative `returncode` is the signal. `output`: the last of both streams."""

    returncode: int
    output: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOptions:
    """`run_dir` holds what lives as long as the server; `uid_base` the first of 65,535 ids for instances (as root).

    `zygotes` allows that instances are forked; `blanks` is how many at the most are prepared for an environment.
    `starts_at_once`: how many are under way at a time; the others wait for their turn, and no time-out counts that.
    """

    data_dir: Path
    run_dir: Path
    uid_base: int | None = None
    start_timeout_s: float = 30.0
    zygotes: bool = True
    blanks: int = 2
    starts_at_once: int = max(8, 4 * len(os.sched_getaffinity(0)))  # enough that no processor waits for a step of one


class Note(Protocol):
    """Told what an operator may want to know: a stable action, and the facts."""

    def __call__(self, action: str, **facts: object) -> None: ...


def unnoted(action: str, **facts: object) -> None:
    """Nobody wants to know."""


class Launched(Protocol):
    """A live instance. Descriptors are non-blocking and belong to it: close() closes them."""

    @property
    def control(self) -> socket.socket:
        """Our end of the worker's descriptor 3."""
        ...

    @property
    def output(self) -> int:
        """The read end of the worker's standard output and error."""
        ...

    @property
    def listeners(self) -> tuple[socket.socket, ...]:
        """In the order of the specification's doors."""
        ...

    @property
    def depth(self) -> Depth:
        """Whether it was forked from a zygote or started afresh."""
        ...

    @property
    def reason(self) -> str:
        """Why it was not forked from a zygote; empty when it was, and when nobody asked for that."""
        ...

    async def wait(self) -> Exit:
        """How it ended, once every process inside has."""
        ...

    def kill(self) -> None:
        """End everything inside. May be called at any time, and again."""
        ...

    def max_memory_mb(self) -> int:
        """The most memory that was charged to it since the start or the last reset."""
        ...

    def cpu_ms(self) -> float:
        """Processor time of all its processes so far."""
        ...

    def out_of_memory(self) -> bool:
        """Whether anything inside has been ended for want of memory. Cheap: it is asked after every invocation."""
        ...

    def reset_peak(self) -> None:
        """Start measuring the most memory anew, where the kernel can."""
        ...

    def freeze(self) -> bool:
        """Stop everything inside until `thaw`, or its end. Where this machine cannot, nothing is done: False."""
        ...

    def thaw(self) -> None:
        """Let it run on. Raises OSError when it is gone."""
        ...

    async def close(self) -> None:
        """Kill, wait, close descriptors, remove the cgroup. May be called again."""
        ...


class Prepared(Protocol):
    """What a launcher holds ready for instances to come, zygotes and blanks: it counts against the node's memory."""

    @property
    def memory_mb(self) -> int:
        """What they take, as measured."""
        ...

    def own_mb(self, key: str) -> int:
        """What those of one environment take."""
        ...

    def spare_mb(self, key: str) -> int:
        """How much of it could be given up at once, leaving this environment its own."""
        ...

    def give_up(self, need_mb: int, key: str) -> int:
        """Let go of so much, this environment's excepted; returns how much it was, which may be less."""
        ...

    def keep_within(self, budget_mb: int, left_mb: Callable[[], int]) -> None:
        """From now on prepare only what fits into what `left_mb` says is left of the node's budget."""
        ...

    async def prepare(self, spec: ZygoteSpec) -> str:
        """Have a zygote with the modules that are known; empty once it forks, else the reason why there is none."""
        ...

    def words(self, key: str) -> bytes:
        """What the latest zygote of this key wrote while it was built."""
        ...

    def forget(self, key: str) -> None:
        """Let go of the zygote of this key, for good; what was born of it lives on."""
        ...


class Launcher(Protocol):
    """Starts instances and trusted commands, all of which die with the server."""

    @property
    def prepared(self) -> Prepared:
        """What it holds ready, and may be told to let go."""
        ...

    async def start(self, spec: LaunchSpec) -> Launched:
        """Raises StartFailed, or NotSupported where this machine cannot do what was asked."""
        ...

    def learn(self, spec: LaunchSpec, modules: Sequence[str]) -> None:
        """An instance of `spec` has initialised, and imported these: worth importing beforehand the next time."""
        ...

    async def run(self, argv: Sequence[str], *, env: Mapping[str, str], cwd: str | Path, timeout_s: float) -> Completed:
        """Run a trusted command in the server's own view of files. Raises StartFailed."""
        ...

    async def close(self) -> None:
        """End everything, and leave nothing behind."""
        ...
