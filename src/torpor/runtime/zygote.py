"""The zygote's program: imports an environment's libraries once, and from then on only forks.

Run inside the nest by the environment's own interpreter (Python 3.9 or later), with nothing but this file and the
package `sandbox`, which are hidden again before anything third-party is imported. By then it is confined: no file,
network or process of anyone else's is within its reach, and of its rights those alone are left that put a child into a
sandbox.

A child's way: it is born into the instance's PID namespace as a child of the nest, enters the other namespaces, takes a
user namespace of its own, gives up every right, and waits. A letter then makes it the program of somebody's function.
Whatever does not depend on the letter is done before it comes, for some wait for that letter.
"""

# Plain calls of os, and no name from collections.abc at run time: see the first line on Python 3.9.
# ruff: noqa: PTH115, PTH123, PTH208

from __future__ import annotations

import atexit
import builtins
import contextlib
import gc
import importlib
import io
import json
import os
import signal
import socket
import struct
import sys
import threading
import time
import types
from typing import Any, NoReturn

from torpor.sandbox import libc, namespaces, rights, root, seccomp

READY, REFUSED, FORKED = b"Z", b"N", b"F"  # what it says: it forks from now on; it does not, and why; it has forked
BIRTH = struct.Struct("<cQi")  # FORKED, the order, the child's process id
ENTERED, MAPPED, CONFINED = b"u", b"m", b"c"  # what passes the gate between a child and its init, before the letter
_CHANNEL = 3
_MAX_ORDER, _MAX_DESCRIPTORS, _MAX_REASON = 4096, 16, 4096
_ENTERED_KINDS = (
    namespaces.NEWNET,
    namespaces.NEWIPC,
    namespaces.NEWUTS,
    namespaces.NEWCGROUP,
    namespaces.NEWNS,
)
_NOT_RUN = 127
_OOM_SCORE = 500  # as init.OOM_SCORE, which is not at hand here


def main() -> NoReturn:
    """Prepare by the text on standard input, say how that went, and fork until the nest is gone."""
    nest = socket.socket(fileno=_CHANNEL)
    setup = json.loads(_all_of(0))
    _close_input()
    home = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    _hide(setup["hidden"])
    sys.path[0] = setup["path"]
    loaded, skipped, blamed = _preload(setup)
    refusal = sys.modules[setup["snapshot"]].take() if setup["snapshot"] else ""
    programs = {path: compile(_read(path), path, "exec") for path in setup["programs"]}
    reason = refusal or _obstacle({0, 1, 2, nest.fileno(), home}, blamed, snapshot=bool(setup["snapshot"]))
    if reason:
        nest.send(REFUSED + reason.encode(errors="replace")[:_MAX_REASON])
        os._exit(1)
    gc.collect()
    gc.disable()
    gc.freeze()  # no collection in a child touches, and so copies, what they share
    nest.send(READY + json.dumps({"loaded": loaded, "skipped": skipped}).encode())
    Zygote(nest, home, setup, programs).serve()


def _all_of(fd: int) -> bytes:
    with open(fd, "rb", closefd=False) as file:
        return file.read()


def _close_input() -> None:
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _hide(path: str) -> None:
    """Take our own modules out of sight: `torpor` is a name that user code may want for itself."""
    sys.path.remove(path)
    for name in [name for name in sys.modules if name.partition(".")[0] == "torpor"]:
        del sys.modules[name]


def _preload(setup: dict[str, Any]) -> tuple[int, dict[str, str], dict[tuple[str, str], str]]:
    """Import what is known to be wanted. What fails is left to the instance that imports it, and told.

    Returns how many were imported, why which were not, and which library each new thread, child and descriptor is of.
    """
    if setup["site_packages"]:
        import site

        site.addsitedir(setup["site_packages"])
    skipped = {}
    blamed: dict[tuple[str, str], str] = {}
    for name in setup["modules"]:
        known = name in sys.modules
        try:
            importlib.import_module(name)
        except BaseException as error:
            skipped[name] = f"{type(error).__name__}: {error}"[:200]
        if not known:
            for trace in _traces():
                blamed.setdefault(trace, name.partition(".")[0])
    return len(setup["modules"]) - len(skipped), skipped, blamed


def _traces() -> list[tuple[str, str]]:
    """What a fork would not copy, or would share: threads, children, descriptors; each with what it is."""
    process = os.getpid()
    found = [("thread", number) for number in os.listdir("/proc/self/task") if int(number) != process]
    with contextlib.suppress(OSError):  # a kernel that does not list children: those will have no name
        children = _read(f"/proc/self/task/{process}/children").decode().split()
        found += [("child", number) for number in children]
    for fd in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # the one that listed them
            found.append(("file", f"{fd} {os.readlink(f'/proc/self/fd/{fd}')}"))
    return found


def _obstacle(own: set[int], blamed: dict[tuple[str, str], str], *, snapshot: bool = False) -> str:
    """Why this process must not be forked from; empty when it may. `blamed` says which library left what."""
    traces = _traces()
    threads = [trace for trace in traces if trace[0] == "thread"]
    files = [trace for trace in traces if trace[0] == "file" and _is_foreign(trace[1], own)]
    children = [trace for trace in traces if trace[0] == "child"]
    if threads:
        left = f"{len(threads)} thread{'s' * (len(threads) > 1)}"
        what = f"start {left}"
    elif children or _has_children():
        left = "processes"
        what = f"start {left}"
    elif files:
        left = f"open {', '.join(text.partition(' ')[2] for _, text in files)[:300]}"
        what = f"keep {left}"
    else:
        return ""
    if snapshot:
        return f"its initialisation leaves {left}, which a snapshot cannot keep"
    names = sorted({blamed[trace] for trace in threads or children or files if trace in blamed})
    whose = f" ({', '.join(names)})" if names else ""
    return f"the environment's libraries{whose[:300]} {what} when they are imported"


def _is_foreign(text: str, own: set[int]) -> bool:
    """Whether a descriptor is another's, and would be shared: what leads nowhere may be."""
    number, _, what = text.partition(" ")
    return int(number) not in own and what != os.devnull


def _has_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


class Zygote:
    """Forks on order. Single-threaded, for ever."""

    def __init__(
        self, nest: socket.socket, home: int, setup: dict[str, Any], programs: dict[str, types.CodeType]
    ) -> None:
        self._nest = nest
        self._home = home
        self._setup = setup
        self._programs = programs
        self._filter = seccomp.program(libc.MACHINE)

    def serve(self) -> NoReturn:
        while True:
            message, descriptors, _, _ = socket.recv_fds(self._nest, _MAX_ORDER, _MAX_DESCRIPTORS)
            if not message:
                os._exit(0)
            order, limits, ahead = json.loads(message)
            self._fork(order, {**self._setup, "limits": limits, "ahead": ahead}, descriptors)
            for fd in descriptors:
                os.close(fd)

    def _fork(self, order: int, setup: dict[str, Any], descriptors: list[int]) -> None:
        gate, output, channel, processes, *spaces = descriptors
        try:
            libc.setns(processes, namespaces.NEWPID)
            try:
                pid = namespaces.fork_sibling()
                if pid == 0:
                    self._child(setup, spaces, [output, channel], gate)
            finally:
                libc.setns(self._home, namespaces.NEWPID)  # or the next one fails once that init is gone
            self._nest.send(BIRTH.pack(FORKED, order, pid))
        except OSError as error:
            _say(gate, error)

    def _child(self, setup: dict[str, Any], spaces: list[int], descriptors: list[int], gate: int) -> NoReturn:
        try:
            _confine(setup, self._filter, spaces, descriptors, gate)
            _prepare(setup)
            words = _follow(_await_letter(gate))
            os.close(gate)
        except BaseException as error:
            _say(gate, error)
            os._exit(_NOT_RUN)
        _run(words, self._programs)


def _say(gate: int, error: BaseException) -> None:
    with contextlib.suppress(OSError):  # init is gone, and with it whoever wanted to know
        os.write(gate, f"{type(error).__name__}: {error}".encode(errors="replace")[:_MAX_REASON])


def _confine(setup: dict[str, Any], code: bytes, spaces: list[int], descriptors: list[int], gate: int) -> None:
    """Become what a worker that was spawned is before it loads its program."""
    for fd in spaces[len(_ENTERED_KINDS) :]:
        os.write(fd, b"0")  # a control group: init looks whether we did
    for fd, kind in zip(spaces, _ENTERED_KINDS):
        libc.setns(fd, kind)
    os.setsid()
    libc.unshare(namespaces.NEWUSER)
    os.write(gate, ENTERED)
    if os.read(gate, 1) != MAPPED:
        raise OSError("init did not map the worker's ids")
    rights.renounce(root.USER_ID, root.GROUP_ID, drop_groups=setup["own_groups"])
    rights.allow_dumping()  # as an exec would have: one may look at oneself
    rights.prefer_as_victim(_OOM_SCORE)
    for name, value in setup["limits"].items():
        rights.limit(name, value)
    sys.stdout.flush()
    sys.stderr.flush()
    output, channel = descriptors
    rights.arrange([0, output, output, channel], keep=gate)
    seccomp.install(code)
    os.write(gate, CONFINED)


def _prepare(setup: dict[str, Any]) -> None:
    """Streams of one's own, and a state of one's own where siblings would share one."""
    if setup["ahead"] and setup["rehearsal"]:
        sys.modules[setup["rehearsal"]].rehearse()
    if not setup["snapshot"]:  # there the function may hold on to those that it has
        _renew_streams()
    _reseed()
    gc.enable()


def _renew_streams() -> None:
    for name, fd, errors in (("stdout", 1, "strict"), ("stderr", 2, "backslashreplace")):
        stream = _stream(name, fd, errors)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _await_letter(gate: int) -> dict[str, Any]:
    text = _all_of(gate)
    if not text:
        os._exit(0)  # the blank is not needed
    letter: dict[str, Any] = json.loads(text)
    return letter


def _follow(letter: dict[str, Any]) -> list[str]:
    """Variables, folder and limits; returns the words to run."""
    os.environ.clear()
    os.environ.update(letter["env"])
    time.tzset()
    os.chdir(letter["cwd"])
    for name, value in letter["limits"].items():
        rights.limit(name, value)
    return list(letter["argv"])


def _stream(name: str, fd: int, errors: str) -> io.TextIOWrapper:
    raw: Any = io.FileIO(fd, "wb", closefd=False)
    raw.name = f"<{name}>"
    stream: Any = io.TextIOWrapper(io.BufferedWriter(raw), encoding=_encoding(), errors=errors, line_buffering=fd == 2)
    stream.mode = "w"
    return stream  # type: ignore[no-any-return] # Any only to name it as the interpreter names its own


def _encoding() -> str:
    return sys.stdout.encoding or "utf-8"


def _reseed() -> None:
    """`random` has reseeded itself in the fork; these do not."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
    processes = sys.modules.get("multiprocessing.process")
    if processes is not None:
        processes.current_process().authkey = os.urandom(32)


def _run(words: list[str], programs: dict[str, types.CodeType]) -> NoReturn:
    """Be the interpreter whose command line is `words`: [-I] FILE …, or [-I] -c CODE …."""
    status = 1
    try:
        status = _execute(words[2:] if words[1] == "-I" else words[1:], programs)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except SystemExit as leaving:
        status = _status_of(leaving.code)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        _leave(status)


def _execute(words: list[str], programs: dict[str, types.CodeType]) -> int:
    program = types.ModuleType("__main__")
    program.__builtins__ = builtins  # type: ignore[attr-defined] # as in any interpreter
    if words[0] == "-c":
        sys.argv = ["-c", *words[2:]]
        code = compile(words[1], "<string>", "exec")
    else:
        sys.argv = words
        program.__file__ = words[0]
        code = programs.get(words[0]) or compile(_read(words[0]), words[0], "exec")
    sys.modules["__main__"] = program
    exec(code, program.__dict__)  # noqa: S102 -- it is what we are for
    return 0


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _status_of(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    sys.stderr.write(f"{code}\n")
    return 1


def _leave(status: int) -> NoReturn:
    """End as an interpreter does, but for taking apart what is shared with the zygote."""
    try:
        threading._shutdown()  # type: ignore[attr-defined] # noqa: SLF001 -- waits for threads, as every exit does
        atexit._run_exitfuncs()  # noqa: SLF001 -- as every exit does, too
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError, OSError, ValueError):  # it was closed, or nobody reads it
                stream.flush()
        os._exit(status)
