"""What the edge needs from behind it; the composition root brings the real ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torpor.core.arn import FunctionRef
from torpor.core.function import FunctionUrl
from torpor.core.http import HttpRequest, HttpResponse
from torpor.core.identity import Principal
from torpor.core.invocation import Outcome, Streamed

ServiceOf = Callable[[HttpRequest], str | None]  # the AWS service that a request is for, or None


class Front(Protocol):
    """The AWS protocols; `request.principal` is already authenticated."""

    async def __call__(self, request: HttpRequest) -> HttpResponse: ...

    def begin(
        self, request: HttpRequest, principal: Principal, answer: Callable[[HttpResponse], None]
    ) -> Callable[[], None] | None:
        """The short way, by callback; returns what to call when the client leaves, or None where there is none."""
        ...


class Invokes(Protocol):
    """Calls functions. Cancelled before the invocation began, it is dropped."""

    async def invoke(
        self,
        ref: FunctionRef,
        payload: bytes,
        *,
        principal: Principal,
        request_id: str,
        client_context: str | None = None,
        want_log: bool = False,
        trace_id: str = "",
    ) -> Outcome: ...

    def begin(
        self,
        ref: FunctionRef,
        payload: bytes,
        done: Callable[[Outcome | Exception], None],
        *,
        principal: Principal,
        request_id: str,
        trace_id: str = "",
    ) -> Callable[[], None] | None:
        """`invoke` by callback; returns what to call when the caller leaves, or None where it must be `invoke`."""
        ...

    async def stream(
        self,
        ref: FunctionRef,
        payload: bytes,
        *,
        principal: Principal,
        request_id: str,
        client_context: str | None = None,
        want_log: bool = False,
        trace_id: str = "",
    ) -> Streamed: ...


class Directory(Protocol):
    """What is deployed, from memory."""

    def find(self, name: str) -> object | None:
        """Anything but None where there is such a function."""
        ...

    def url(self, name: str, qualifier: str | None = None) -> FunctionUrl | None:
        """The URL configuration of a function or of its alias, or None where it is closed."""
        ...

    def permits(self, principal: Principal, action: str, ref: FunctionRef) -> bool:
        """Whether the resource policy of what is called lets this caller do `action`."""
        ...
