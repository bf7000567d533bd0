"""How an invocation failed when its handler could not say so itself: Lambda's error objects, built by the server."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from torpor.core.invocation import Result


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an invocation has no result. `text` follows `RequestId: … Error: ` where `prefixed`."""

    result: Result
    kind: str
    text: str
    prefixed: bool = True

    def payload(self, request_id: str) -> bytes:
        """Lambda's error object, which has no requestId or stackTrace when the handler did not fail by itself."""
        message = f"RequestId: {request_id} Error: {self.text}" if self.prefixed else self.text
        return msgspec.json.encode({"errorType": self.kind, "errorMessage": message})


class InitFailed(Exception):
    """The handler could not be loaded; `payload` makes the error object for the request that has to hear of it."""

    def __init__(self, result: Result, payload: Callable[[str], bytes]) -> None:
        super().__init__(result)
        self.result = result
        self.payload = payload

    @property
    def text(self) -> str:
        """What its error object says, in one line."""
        with suppress(ValueError, KeyError, TypeError, RecursionError):  # a guest may report anything
            told = msgspec.json.decode(self.payload(""))
            return f"{told['errorType']}: {told['errorMessage']}"[:1000]
        return str(self.result)

    @classmethod
    def by(cls, failure: Failure) -> InitFailed:
        return cls(failure.result, failure.payload)


def timed_out(timeout_s: float) -> Failure:
    return Failure(Result.TIMEOUT, "Sandbox.Timedout", f"Task timed out after {timeout_s:.2f} seconds")


def init_timed_out(limit_s: float) -> Failure:
    text = f"Initialisation timed out after {limit_s:.2f} seconds: the handler's module did not finish importing"
    return Failure(Result.TIMEOUT, "Sandbox.Timedout", text)


def restore_timed_out(limit_s: float) -> Failure:
    text = f"Restore timed out after {limit_s:.2f} seconds: the after-restore hooks did not finish"
    return Failure(Result.TIMEOUT, "Runtime.RestoreTimeout", text)


def too_large(limit: int) -> Failure:
    text = f"Response payload size exceeded maximum allowed payload size ({limit} bytes)."
    return Failure(Result.TOO_LARGE, "Function.ResponseSizeTooLarge", text, prefixed=False)


def exited(status: int | None, number: int | None, *, out_of_memory: bool) -> Failure:
    """The process left by itself, or by a signal; both None when nobody saw how."""
    if out_of_memory:
        return Failure(Result.OUT_OF_MEMORY, "Runtime.OutOfMemory", "Runtime exited with error: signal: killed")
    if number is not None:
        return _exit(f"Runtime exited with error: signal: {_signal_name(number)}")
    if status:
        return _exit(f"Runtime exited with error: exit status {status}")
    return _exit("Runtime exited without providing a reason")


def misbehaved(what: str) -> Failure:
    """The instance broke the protocol on torpor's control channel and was killed for it."""
    return _exit(f"Runtime exited with error: {what} on torpor's control channel")


def killed() -> Failure:
    """What shares an instance with an invocation that ran out of time goes down with it."""
    return exited(None, signal.SIGKILL, out_of_memory=False)


def stopped() -> Failure:
    return _exit("Runtime exited with error: torpor was stopped before the function had finished")


def _exit(text: str) -> Failure:
    return Failure(Result.EXIT, "Runtime.ExitError", text)


def _signal_name(number: int) -> str:
    return (signal.strsignal(number) or f"signal {number}").lower()
