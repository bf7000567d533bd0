"""A hint for who meets a closed network: which line of the function's settings would open the way."""

# relative, since inside a sandbox this package is `_torpor_guest`

from __future__ import annotations

import errno
import os
import socket
from types import TracebackType
from typing import Any

_MOST_CAUSES = 10
_NO_WAY = (errno.ENETUNREACH, errno.EHOSTUNREACH)


def hint(error: BaseException) -> str:
    """The line that would allow what failed; empty where the error is of another kind. Costs nothing until one occurs.

    Libraries wrap what the system told them, so the causes are looked through too.
    """
    seen: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if seen is None:
            break
        if isinstance(seen, OSError) and _is_closed(seen):
            where = _where(seen.__traceback__)
            if where:
                return (
                    f"This function may not connect to {where}. To allow it, add to its settings: "
                    f'reach = ["{where}"], or deploy it with --reach {where}'
                )
        seen = seen.__cause__ or seen.__context__
    return ""


def _is_closed(error: OSError) -> bool:
    return isinstance(error, socket.gaierror) or error.errno in _NO_WAY


def _where(trace: TracebackType | None) -> str:
    """HOST:PORT as the innermost frame that knows both calls them."""
    found = ""
    while trace is not None:
        found = _target(trace.tb_frame.f_locals) or found
        trace = trace.tb_next
    return found


def _target(names: dict[str, Any]) -> str:
    host, port = names.get("host"), names.get("port")
    for pair in (names.get("address"), names.get("sa"), names.get("sockaddr")):
        if isinstance(pair, tuple) and len(pair) > 1:
            host, port = pair[:2]
    if isinstance(host, bytes):
        host = os.fsdecode(host)
    if not isinstance(host, str) or not host:
        return ""
    number = {"https": 443, "http": 80}.get(port, 0) if isinstance(port, str) else port
    if not isinstance(number, int) or not 0 < number < 65536:
        return ""
    return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"
