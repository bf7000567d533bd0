"""Serving an ASGI application on listeners of ours, in the running loop: no signal handlers, no polling.

uvicorn's `Server` takes over signals and wakes up ten times a second; its protocol class alone needs neither.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from torpor.core.errors import InvalidValue
from torpor.gateway.asgi import App, Receive, Scope, Send
from torpor.gateway.protocol import Bounds, Connection, bounded
from torpor.gateway.quick import Quick

BACKLOG = 2048


class Server:
    """One application, its short way, and the bounds of its connections; serves on as many listeners as asked."""

    def __init__(
        self,
        app: App,
        bounds: Bounds | None = None,
        *,
        quick: Quick | None = None,
        quick_paths: tuple[bytes, ...] = (),
    ) -> None:
        chosen = bounds or Bounds()
        self._config = uvicorn.Config(
            _quiet(app),
            http=bounded(chosen, quick, quick_paths),
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="error",  # any stranger can make it warn of malformed requests
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=chosen.keep_alive_s,
        )
        self._config.load()

    async def serve(self, listeners: Sequence[socket.socket], state: Mapping[str, Any] | None = None) -> Serving:
        """Accept on `listeners`, which it owns from now on. `state` is every request's `scope["state"]`."""
        serving = Serving(self._config, listeners, dict(state or {}))
        await serving.start()
        return serving


def _quiet(app: App) -> App:
    """Uvicorn logs a request that was cut off as a failure of the application, with a traceback."""

    async def quiet(scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(asyncio.CancelledError):
            await app(scope, receive, send)

    return quiet


class Serving:
    """Some listeners being served, until closed."""

    def __init__(self, config: uvicorn.Config, listeners: Sequence[socket.socket], state: dict[str, Any]) -> None:
        self._config = config
        self._listeners = tuple(listeners)
        self._app_state = state
        self._state = ServerState()
        self._servers: list[asyncio.Server] = []

    async def start(self) -> None:
        loop = asyncio.get_running_loop()

        def connect() -> asyncio.Protocol:
            protocol: asyncio.Protocol = self._config.http_protocol_class(
                config=self._config,
                server_state=self._state,
                app_state=self._app_state,
                _loop=loop,
            )  # type: ignore[call-arg]  # the class is uvicorn's, the annotation asyncio's
            return protocol

        try:
            for listener in self._listeners:
                listener.setblocking(False)
                self._servers.append(await loop.create_server(connect, sock=listener, backlog=BACKLOG))
        except BaseException:
            await self.close()
            raise

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._state.connections)

    async def close(self, grace_s: float = 0.0) -> None:
        """Stop accepting, let what is running end within `grace_s`, then cut it off. Idempotent.

        Listeners and connections are closed for certain: one that is held keeps a dead instance's network alive.
        """
        for server in self._servers:
            server.close()
        for listener in self._listeners:
            listener.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        if grace_s > 0:
            await self._wait_answered(grace_s)
        await self._cut()

    async def _wait_answered(self, grace_s: float) -> None:
        short = [one for one in self._state.connections if isinstance(one, Connection) and one.answering]
        running = {*self._state.tasks, *(asyncio.ensure_future(one.wait_answered()) for one in short)}
        if running:
            await asyncio.wait(running, timeout=grace_s)

    async def _cut(self) -> None:
        for connection in list(self._state.connections):
            connection.transport.abort()
        while self._state.connections:  # noqa: ASYNC110  (the loop calls each connection_lost in its next turn)
            await asyncio.sleep(0)
        tasks = set(self._state.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket on `host`, where port 0 is any free one. Raises InvalidValue, saying what is in the way."""
    name = host.strip("[]")
    family = socket.AF_INET6 if _is_v6(name) else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((name, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise InvalidValue(
            f"{host}:{port} cannot be served ({reason}): choose another --host or --port; --port 0 takes any free one."
        ) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """The address that clients on this machine reach a listener by."""
    host, port = listener.getsockname()[:2]
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  (compared, not bound)
    return f"http://[{local}]:{port}" if ":" in local else f"http://{local}:{port}"


def _is_v6(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).version == 6
    except ValueError:
        return False
