"""A start and an invocation that do nothing, gone through by a forked worker that nobody waits for yet.

A forked process copies each page when it first writes to it, if only a reference count: several microseconds, and some
hundred pages lie on the way of any start. Who waits to be started can have them behind it.
"""

# ruff: noqa: TID252  # relative, since inside a sandbox this package is `_torpor_guest`

from __future__ import annotations

import json
import logging
import os
import socket
import sys

from ..wire.frames import Frame, Kind, encode
from ..wire.messages import Call, Ready, pack_call, pack_ready
from . import output
from .channel import Channel
from .context import surroundings
from .handler import find_handler
from .settings import GuestSettings
from .worker import serve

_MODULE = f"{__package__}.rehearsed"
_EVENT = json.dumps({"headers": {"content-type": "application/json"}, "body": "{}"}).encode()


def rehearse() -> None:
    """Leaves nothing behind: no module, no log handler, no variable; the standard streams are to be made anew."""
    level = logging.getLogger().level  # a snapshot's function may have set its own
    output.set_up()
    logging.getLogger().setLevel(level)
    logging.getLogger().handlers.pop()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(encode(Frame(Kind.INVOKE, 1, pack_call(Call("", "", 1)) + _EVENT)))
        theirs.shutdown(socket.SHUT_WR)
        channel = Channel(ours)
        handler = find_handler(f"{_MODULE}.handler")
        channel.send(Kind.READY, 0, pack_ready(Ready(0.0, ())))
        serve(channel, handler, GuestSettings(handler="", task_root=""))
    output.request_id.set("")
    surroundings.cache_clear()  # what a rehearsal found is not what the function will
    del sys.modules[_MODULE]
    _write_variables_again()


def _write_variables_again() -> None:
    variables = json.loads(json.dumps(dict(os.environ)))
    os.environ.clear()
    os.environ.update(variables)
