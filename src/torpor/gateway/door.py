"""The door of an instance: the platform's own interface on the instance's loopback, as its function and no more.

The channel authenticates: only the instance can reach its listeners, so signatures made with whatever credentials are
not looked at. Credentials are handed out all the same, since SDKs do not send a request without.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import structlog

from torpor.core.errors import AccessDenied, RequestTooLarge, TorporError
from torpor.core.http import HttpRequest, HttpResponse
from torpor.core.identity import Principal
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
from torpor.gateway.loans import Loan, Memory
from torpor.gateway.ports import Front, ServiceOf
from torpor.gateway.protocol import Bounds
from torpor.gateway.serve import Server, Serving

log = structlog.get_logger()

CREDENTIALS = "/_torpor/credentials"
LIFETIME_S = 3600  # SDKs renew some minutes before; a frozen instance simply asks again

# Clients freeze together with their instance, so an idle connection may be silent for long.
_BODY_MEMORY = 32 * MIB  # of one instance's requests at one time
DOOR_BOUNDS = Bounds(connections=64, head_bytes=32 * 1024, head_s=60.0, keep_alive_s=900)


@dataclass(frozen=True, slots=True)
class Pass:
    """What one instance gets: credentials of its own, for the value of AWS_CONTAINER_AUTHORIZATION_TOKEN.

    Without a known value any will do: nobody but the instance reaches its door. There must be one all the same, so that
    a function which can be made to fetch an address does not hand its credentials to whoever made it.
    """

    authorization: str = field(default="", repr=False)
    access_key_id: str = field(default_factory=lambda: f"ASIA{secrets.token_hex(8).upper()}")
    secret_access_key: str = field(default_factory=lambda: secrets.token_urlsafe(30), repr=False)
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)


@dataclass(frozen=True, slots=True)
class _Visitor:
    """Who speaks through one door."""

    principal: Principal
    issued: Pass
    memory: Memory


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
        *,
        limits: Limits | None = None,
        bounds: Bounds = DOOR_BOUNDS,
        patience_s: float = 60.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._front = front
        self._service_of = service_of
        self._limits = limits or Limits()
        self._patience_s = patience_s
        self._clock = clock
        self._date = DateHeader(clock)
        self._server = Server(self, bounds)

    async def open(self, principal: Principal, listeners: Sequence[socket.socket], issued: Pass | None = None) -> Door:
        """Serve `principal` on `listeners`, which the door owns from now on."""
        visitor = _Visitor(principal, issued or Pass(), Memory(_BODY_MEMORY))
        return Door(await self._server.serve(listeners, {"visitor": visitor}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application behind every door."""
        if scope["type"] != "http":
            return
        visitor: _Visitor = scope["state"]["visitor"]
        request = replace(request_of(scope, new_request_id()), principal=visitor.principal)
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
        await send_response(send, response, self._date())

    async def _answer(
        self, request: HttpRequest, visitor: _Visitor, scope: Scope, receive: Receive, loan: Loan
    ) -> HttpResponse:
        if request.path == CREDENTIALS:
            return self._credentials(request, visitor.issued)
        try:
            request = replace(request, body=await self._body(request, receive, loan))
            if self._service_of(request) is None:
                raise AccessDenied(
                    f"{visitor.principal.arn} may call AWS services here, and nothing else; "
                    f"{request.method} {request.path[:200]} is none."
                )
        except TorporError as error:
            return refusals.aws(error, request)
        with abandonable(scope):
            return await self._front(request)

    async def _body(self, request: HttpRequest, receive: Receive, loan: Loan) -> bytes:
        limit = self._limits.sync_payload
        try:
            return await read_body(request, receive, loan, limit, self._patience_s)
        except BodyTooLarge:
            raise RequestTooLarge(
                f"Request must be smaller than {limit} bytes for the InvokeFunction operation"
            ) from None

    def _credentials(self, request: HttpRequest, issued: Pass) -> HttpResponse:
        """The container-credentials interface, as the SDKs know it."""
        given = request.header("authorization")
        expected = issued.authorization or given
        if not given or not hmac.compare_digest(given.encode(), expected.encode()):
            message = "Send AWS_CONTAINER_AUTHORIZATION_TOKEN as the Authorization header."
            return json_response(401, {"code": "InvalidAuthorizationToken", "message": message})
        expires = datetime.fromtimestamp(self._clock() + LIFETIME_S, UTC)
        credentials = {
            "AccessKeyId": issued.access_key_id,
            "SecretAccessKey": issued.secret_access_key,
            "Token": issued.token,
            "Expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        return json_response(200, credentials, [("cache-control", "no-store")])
