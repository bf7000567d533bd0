"""What the runtime is given from outside: the door, and nothing else that it could not do without knowing more."""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from torpor.core.function import Revision


class AsyncClosable(Protocol):
    async def close(self) -> None: ...


# Serves an instance's listeners, in the order of its doors: first the platform's own interface, as that function, then
# its ways to other hosts. The text is the name of its log stream.
DoorOpener = Callable[[Revision, str, Sequence[socket.socket]], Awaitable[AsyncClosable]]


# The environment variables that an instance takes from secrets. Raises NotInvocable, naming what is missing.
SecretsOf = Callable[[Revision], Mapping[str, str]]


def no_secrets(_revision: Revision) -> Mapping[str, str]:
    """Where there are none."""
    return {}


class NoDoor:
    """A door that leads nowhere."""

    async def close(self) -> None:
        return


async def open_no_door(_revision: Revision, _log_stream: str, _listeners: Sequence[socket.socket]) -> AsyncClosable:
    """Accept nothing on the listeners; they close with their instance."""
    return NoDoor()
