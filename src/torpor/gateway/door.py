"""The door of an instance: the platform's own interface on the instance's loopback, as its function and no more.

Only the instance can reach its listeners, and what comes in must be signed all the same, with the credentials that the
door itself hands out for an hour at a time: a function that can be made to fetch an address does nothing for whoever
made it, and what an instance may do ends with its function, however long it runs.
"""

from __future__ import annotations

import asyncio
import hmac
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Protocol

import structlog

from torpor.core.errors import AccessDenied, RequestTooLarge, TorporError
from torpor.core.function import FunctionConfig
from torpor.core.http import HttpRequest, HttpResponse
from torpor.core.identity import Credentials
from torpor.core.limits import MIB, Limits
from torpor.gateway import refusals
from torpor.gateway.abandon import abandonable, was_abandoned
from torpor.gateway.asgi import (
    BodyTooLarge,
    DateHeader,
    Disconnected,
    Receive,
    Scope,
    Send,
    json_response,
    new_request_id,
    read_body,
    request_of,
    send_response,
)
from torpor.gateway.auth import Authenticator, verified
from torpor.gateway.loans import Loan, Memory
from torpor.gateway.ports import Front, ServiceOf
from torpor.gateway.protocol import Bounds
from torpor.gateway.serve import Server, Serving
from torpor.gateway.streaming import send_stream

log = structlog.get_logger()

CREDENTIALS = "/_torpor/credentials"
LIFETIME_S = 3600  # SDKs renew some minutes before; a frozen instance simply asks again

# Clients freeze together with their instance, so an idle connection may be silent for long.
_BODY_MEMORY = 32 * MIB  # of one instance's requests at one time
DOOR_BOUNDS = Bounds(connections=64, head_bytes=32 * 1024, head_s=60.0, keep_alive_s=900)


class Sessions(Protocol):
    """Makes credentials of an instance of a version, good for some seconds."""

    def of_function(self, config: FunctionConfig, version: str, lifetime_s: float) -> Credentials: ...


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who speaks through one door: a function, and how it gets credentials.

    `authorization` is the value of AWS_CONTAINER_AUTHORIZATION_TOKEN. Without a known value any will do: nobody but the
    instance reaches its door. There must be one all the same, so that a function which can be made to fetch an address
    does not hand its credentials to whoever made it.
    """

    config: FunctionConfig
    version: str
    memory: Memory
    authorization: str = ""

    @property
    def function(self) -> str:
        return self.config.name


class Door:
    """One instance's door, until closed."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    @property
    def connections(self) -> int:
        return self._serving.connections

    async def close(self) -> None:
        """Close listeners and connections, and drop what they asked for. Idempotent."""
        await self._serving.close()


class Doors:
    """Opens doors: one application for all, which learns from the connection's state whose door it is."""

    def __init__(
        self,
        front: Front,
        service_of: ServiceOf,
        authenticator: Authenticator,
        sessions: Sessions,
        *,
        limits: Limits | None = None,
        bounds: Bounds = DOOR_BOUNDS,
        patience_s: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._front = front
        self._service_of = service_of
        self._authenticator = authenticator
        self._sessions = sessions
        self._limits = limits or Limits()
        self._patience_s = patience_s
        self._clock = clock
        self._date = DateHeader(clock)
        self._server = Server(self, bounds)

    async def open(self, config: FunctionConfig, version: str, listeners: Sequence[socket.socket]) -> Door:
        """Serve an instance of a function's version on `listeners`, which the door owns from now on."""
        visitor = Visitor(config, version, Memory(_BODY_MEMORY))
        return Door(await self._server.serve(listeners, {"visitor": visitor}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application behind every door."""
        if scope["type"] != "http":
            return
        visitor: Visitor = scope["state"]["visitor"]
        request = request_of(scope, new_request_id())
        loan = visitor.memory.loan()
        try:
            response = await self._answer(request, visitor, scope, receive, loan)
        except Disconnected:
            return
        except asyncio.CancelledError:
            if was_abandoned(scope):
                return
            raise
        except Exception:
            log.exception("a request at a door failed", action="door_request_failed", request_id=request.request_id)
            response = json_response(500, {"message": "Internal Server Error", "requestId": request.request_id})
        finally:
            loan.give_back()
        if response.stream is None:
            await send_response(send, response, self._date())
            return
        try:
            stream = response.stream
            await send_stream(send, scope, response, stream, self._date(), patience_s=self._patience_s)
        except asyncio.CancelledError:
            if not was_abandoned(scope):
                raise

    async def _answer(
        self, request: HttpRequest, visitor: Visitor, scope: Scope, receive: Receive, loan: Loan
    ) -> HttpResponse:
        if request.path == CREDENTIALS:
            return self._credentials(request, visitor)
        try:
            request = await self._admit(request, visitor, receive, loan)
        except TorporError as error:
            return refusals.aws(error, request)
        with abandonable(scope):
            return await self._front(request)

    async def _admit(self, request: HttpRequest, visitor: Visitor, receive: Receive, loan: Loan) -> HttpRequest:
        """The request with its body and who sent it. Raises AuthenticationFailed, SessionExpired and AccessDenied."""
        if self._service_of(request) is None:
            raise AccessDenied(
                f"The function {visitor.function} may call AWS services here, and nothing else; "
                f"{request.method} {request.path[:200]} is none."
            )
        proof = self._authenticator.begin(request)
        body = await self._body(request, receive, loan)
        principal = await verified(proof, body)
        if principal.function != visitor.function:
            raise AccessDenied(f"These are not the credentials of the function {visitor.function}.")
        return replace(request, body=body, principal=principal)

    async def _body(self, request: HttpRequest, receive: Receive, loan: Loan) -> bytes:
        limit = self._limits.sync_payload
        try:
            return await read_body(request, receive, loan, limit, self._patience_s)
        except BodyTooLarge:
            raise RequestTooLarge(
                f"Request must be smaller than {limit} bytes for the InvokeFunction operation"
            ) from None

    def _credentials(self, request: HttpRequest, visitor: Visitor) -> HttpResponse:
        """The container-credentials interface, as the SDKs know it."""
        given = request.header("authorization")
        expected = visitor.authorization or given
        if not given or not hmac.compare_digest(given.encode(), expected.encode()):
            message = "Send AWS_CONTAINER_AUTHORIZATION_TOKEN as the Authorization header."
            return json_response(401, {"code": "InvalidAuthorizationToken", "message": message})
        issued = self._sessions.of_function(visitor.config, visitor.version, LIFETIME_S)
        credentials = {
            "AccessKeyId": issued.access_key_id,
            "SecretAccessKey": issued.secret,
            "Token": issued.token,
            "Expiration": datetime.fromtimestamp(issued.expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return json_response(200, credentials, [("cache-control", "no-store")])
