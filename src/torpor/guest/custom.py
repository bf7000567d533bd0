"""Functions that bring their own runtime: a program named `bootstrap` in any language, served by Lambda's Runtime API.

This process starts it as its child, passes invocations on, and ends as it ends. So the server sees the exit of a
bootstrap as the exit of the instance, says so to whom it concerns, and starts another one for the next invocation.
"""

# ruff: noqa: TID252, PTH118, PTH113, PTH120  # relative, since inside a sandbox this package is `_torpor_guest`

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
from typing import NoReturn

from ..wire.frames import Kind
from ..wire.messages import Ready, pack_ready
from . import faults
from .channel import Channel, ChannelLost
from .desk import Desk
from .faults import Fault
from .runtime_api import Api
from .settings import GuestSettings

_WORTH_LOADING = ("http.server",)  # beforehand, in the zygote
_SETTLING_S = 0.5
_LOST = 70  # exit status: the channel is gone (EX_SOFTWARE)
_PATH = "/usr/local/bin:/usr/bin:/bin:/opt/bin"  # Lambda's
_OUR_PATH = "/var/runtime"  # where the guest lies: the `PYTHONPATH` of this process, and no business of a bootstrap's


def serve_custom(channel: Channel, settings: GuestSettings) -> NoReturn:
    """Start the bootstrap and pass frames on, until either end is gone. Raises ChannelLost."""
    began = time.perf_counter()

    def ready() -> None:
        channel.send(Kind.READY, 0, pack_ready(Ready((time.perf_counter() - began) * 1000, _WORTH_LOADING)))

    desk = Desk(channel, ready, settings.max_response)
    try:
        api = Api(desk)
        child = _start(_find(settings.task_root), api.address)
    except Fault as fault:
        described = faults.describe(fault, "")
        faults.log(described)
        sys.stdout.flush()
        channel.send(Kind.INIT_ERROR, 0, faults.encode(described))
        while True:  # the server ends this process
            channel.receive()
    threading.Thread(target=_pass_on, args=(channel, desk), name="control", daemon=True).start()
    status = os.waitpid(child, 0)[1]
    api.settle(_SETTLING_S)
    _leave_as(status)


def _find(task_root: str) -> str:
    """The bootstrap: the function's own, else a layer's. Raises Fault."""
    places = [os.path.join(task_root, "bootstrap"), "/opt/bootstrap"]
    for place in places:
        if os.path.isfile(place):
            if os.access(place, os.X_OK):
                return place
            raise Fault(
                "Runtime.InvalidEntrypoint",
                f"{place} is not executable: run `chmod +x bootstrap` before it is packed, by a tool that keeps modes",
            )
    raise Fault(
        "Runtime.InvalidEntrypoint",
        f"Couldn't find valid bootstrap(s): [{' '.join(places)}]. A function on a provided runtime brings an "
        "executable file named bootstrap at the top of its code, or in a layer",
    )


def _start(bootstrap: str, address: str) -> int:
    """Its process id. Raises Fault when the kernel does not take it for a program."""
    ours = (signal.SIGPIPE, signal.SIGXFSZ)  # Python ignores these, and a child would inherit that
    try:
        return os.posix_spawn(bootstrap, [bootstrap], _environment(address), setsigdef=ours)
    except OSError as error:
        message = f"{bootstrap} cannot be executed: {_reason(error, bootstrap)}"
        raise Fault("Runtime.InvalidEntrypoint", message) from error


def _reason(error: OSError, bootstrap: str) -> str:
    with open(bootstrap, "rb") as file:  # noqa: PTH123  # importing pathlib would cost the start milliseconds
        head = file.read(128)
    if head.startswith(b"#!"):
        interpreter = head[2:].split(b"\n", 1)[0].decode(errors="replace").strip()
        ending = ", and the line ends as on Windows (CR LF)" if "\r" in head.decode("latin-1") else ""
        return f"its first line asks for {interpreter}, which the sandbox does not have{ending}"
    if error.errno == errno.ENOEXEC:
        return "it is neither a program for this machine nor a script with a first line such as #!/bin/sh"
    return f"{error.strerror}; if it is a program, the libraries or the loader that it was linked to are not there"


def _environment(address: str) -> dict[str, str]:
    """What Lambda gives a bootstrap; nothing of the interpreter that this program happens to run on."""
    variables = dict(os.environ)
    variables["AWS_LAMBDA_RUNTIME_API"] = address
    if variables.get("PYTHONPATH", "").endswith(_OUR_PATH):
        del variables["PYTHONPATH"]
    if variables.get("PATH", "").startswith(os.path.dirname(sys.executable) + ":"):
        variables["PATH"] = _PATH
    return variables


def _pass_on(channel: Channel, desk: Desk) -> NoReturn:
    status = 0
    try:
        while True:
            frame = channel.receive()
            if frame is None or frame.kind == Kind.SHUTDOWN:
                break
            desk.take_in(frame)
    except ChannelLost:
        status = _LOST
    finally:
        os._exit(status)  # and init, or the end of the process group, takes the bootstrap along


def _leave_as(status: int) -> NoReturn:
    """End in the same way as the bootstrap did."""
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(abs(code))
