"""Invoke a function: from its name to its revision, to the node, and into the ledger. Everything here is in memory."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from torpor.core.arn import LATEST, FunctionRef
from torpor.core.errors import (
    AccessDenied,
    FunctionNotFound,
    InvalidRequestContent,
    NotInvocable,
    RequestTooLarge,
    ResourceNotFound,
    SnapStartNotReady,
)
from torpor.core.function import Revision, State, is_public, takes_snapshot
from torpor.core.identity import Kind, Principal
from torpor.core.invocation import Invocation, Outcome, Streamed, new_trace_id
from torpor.core.limits import Limits
from torpor.functions.catalog import Catalog
from torpor.functions.ports import Runner, UsageBook
from torpor.functions.revisions import Revisions
from torpor.store.function_table import FunctionRecord, Serving

ACTION = "lambda:InvokeFunction"
_syntax = msgspec.json.Decoder(msgspec.Raw)  # checks the syntax without making objects


class Invoker:
    """Admits, runs and records invocations."""

    def __init__(
        self, catalog: Catalog, revisions: Revisions, node: Runner, ledger: UsageBook, limits: Limits | None = None
    ) -> None:
        self._catalog = catalog
        self._revisions = revisions
        self._node = node
        self._ledger = ledger
        self._limits = limits or Limits()

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
    ) -> Outcome:
        """Run the function with `payload`, JSON bytes, and wait for how it ends; an empty payload is the event `{}`.

        Raises AccessDenied, FunctionNotFound, NotInvocable, RequestTooLarge, InvalidRequestContent; and, from the
        node, Throttled and StartFailed.
        """
        event, revision = await self._prepare(ref, payload, principal)
        outcome = await self._node.invoke(
            revision,
            Invocation(
                payload=event,
                request_id=request_id,
                client_context=client_context,
                trace_id=trace_id or new_trace_id(),
                want_log=want_log,
                qualifier=ref.qualifier,
            ),
        )
        self._ledger.record(outcome.usage)
        return outcome

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
    ) -> Streamed:
        """As `invoke`, for an answer that may come in pieces: returns with the first. Whoever has it must close it."""
        event, revision = await self._prepare(ref, payload, principal)
        return await self._node.stream(
            revision,
            Invocation(
                payload=event,
                request_id=request_id,
                client_context=client_context,
                trace_id=trace_id or new_trace_id(),
                want_log=want_log,
                qualifier=ref.qualifier,
            ),
            lambda outcome: self._ledger.record(outcome.usage),
        )

    async def _prepare(self, ref: FunctionRef, payload: bytes, principal: Principal) -> tuple[bytes, Revision]:
        """The event, and the revision that is to run."""
        record, serving = self._admit(ref, principal)
        event = self._event(payload)
        while (revision := self._revisions.made(record)) is None:
            try:
                await self._revisions.make(record, serving)
            except ResourceNotFound:
                if self._catalog.current(record) is record:
                    raise
                # else it was replaced and collected while it was being unpacked
            record, serving = self._admit(ref, principal)  # meanwhile it may have been changed, or deleted
        return event, revision

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
        """`invoke` without a task that waits: `done` gets what would be returned or raised, some time after this.

        Returns what to call when the caller leaves; None where something has to be waited for first, and nothing was
        done. Raises what is known at once.
        """
        record, _ = self._admit(ref, principal)
        revision = self._revisions.made(record)
        if revision is None:
            return None

        def settle(what: Outcome | Exception) -> None:
            if isinstance(what, Outcome):
                self._ledger.record(what.usage)
            done(what)

        invocation = Invocation(
            payload=self._event(payload),
            request_id=request_id,
            trace_id=trace_id or new_trace_id(),
            qualifier=ref.qualifier,
        )
        return self._node.begin(revision, invocation, settle).leave

    def check(self, ref: FunctionRef, principal: Principal) -> None:
        """Raise what an invocation would raise before it runs: Lambda's DryRun."""
        self._admit(ref, principal)

    def _admit(self, ref: FunctionRef, principal: Principal) -> tuple[FunctionRecord, Serving]:
        if principal.kind is not Kind.OWNER:
            self._authorize(ref, principal)
        record = self._catalog.resolve(ref.name, ref.qualifier)
        if record is None:
            arn = self._catalog.home.function_arn(ref.name, ref.qualifier or LATEST)
            raise FunctionNotFound(f"Function not found: {arn}")
        if record.serving is None:
            raise not_invocable(record)
        return record, record.serving

    def _authorize(self, ref: FunctionRef, principal: Principal) -> None:
        if principal.kind is Kind.ANONYMOUS:
            if is_public(self._catalog.url(ref.name, ref.qualifier)):
                return
        elif principal.allows(ACTION, ref.name):
            return
        if self._catalog.permits(principal, ACTION, ref):
            return
        who = principal.arn or "anonymous"
        arn = self._catalog.home.function_arn(ref.name)
        raise AccessDenied(
            f"User: {who} is not authorized to perform: {ACTION} on resource: {arn} because no identity-based policy "
            f"allows the {ACTION} action"
        )

    def _event(self, payload: bytes) -> bytes:
        if not payload:
            return b"{}"
        if len(payload) > self._limits.sync_payload:
            raise RequestTooLarge(
                f"Request must be smaller than {self._limits.sync_payload} bytes for the InvokeFunction operation"
            )
        try:
            _syntax.decode(payload)
            if not payload.isascii():
                payload.decode()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequestContent(
                f"Could not parse request body into json: Could not parse payload into json: {error}"
            ) from error
        return payload


def not_invocable(record: FunctionRecord) -> NotInvocable:
    """What an invocation of a function answers that was never built."""
    function = record.function
    if function.state is State.PENDING and takes_snapshot(function.config, function.version):
        return SnapStartNotReady()
    message = (
        "The operation cannot be performed at this time. The function is currently in the following state: "
        f"{function.state.value}"
    )
    if function.state is State.FAILED:
        message += f". {function.state_reason}"
    return NotInvocable(message)
