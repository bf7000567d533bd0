"""The second argument of every handler, with Lambda's attributes."""

# ruff: noqa: TID252  # relative, since inside a sandbox this package is `_torpor_guest`

from __future__ import annotations

import json
import os
import time
from functools import lru_cache
from typing import Any

from ..wire.messages import Call
from .faults import Fault


class CognitoIdentity:
    """Who called through Amazon Cognito: nobody, here."""

    __slots__ = ("cognito_identity_id", "cognito_identity_pool_id")

    def __init__(self) -> None:
        self.cognito_identity_id = None
        self.cognito_identity_pool_id = None

    def __repr__(self) -> str:
        return _show(self, self.__slots__)


class Client:
    """The mobile application that a client context describes."""

    __slots__ = ("app_package_name", "app_title", "app_version_code", "app_version_name", "installation_id")

    def __init__(self, plain: dict[str, Any]) -> None:
        for name in self.__slots__:
            setattr(self, name, plain.get(name))

    def __repr__(self) -> str:
        return _show(self, self.__slots__)


class ClientContext:
    """What the caller sent in X-Amz-Client-Context."""

    __slots__ = ("client", "custom", "env")

    def __init__(self, plain: dict[str, Any]) -> None:
        client = plain.get("client")
        self.client = Client(client) if isinstance(client, dict) else None
        self.custom = plain.get("custom")
        self.env = plain.get("env")

    def __repr__(self) -> str:
        return _show(self, self.__slots__)


@lru_cache(maxsize=1)
def surroundings() -> tuple[str | None, ...]:
    """What is the same for every invocation, as the first of them finds it; `cache_clear` after a rehearsal."""
    names = ("FUNCTION_NAME", "FUNCTION_VERSION", "FUNCTION_MEMORY_SIZE", "LOG_GROUP_NAME", "LOG_STREAM_NAME")
    return tuple(os.environ.get(f"AWS_LAMBDA_{name}") for name in names)


class LambdaContext:
    """One invocation, as Lambda describes it to a handler."""

    def __init__(self, call: Call) -> None:
        self.aws_request_id = call.request_id
        self.invoked_function_arn = call.function_arn
        (
            self.function_name,
            self.function_version,
            self.memory_limit_in_mb,
            self.log_group_name,
            self.log_stream_name,
        ) = surroundings()
        self.identity = CognitoIdentity()
        self.client_context = _read_client_context(call.client_context)
        self._deadline = time.monotonic() + call.timeout_ms / 1000

    def get_remaining_time_in_millis(self) -> int:
        """How long the handler may still run."""
        return max(0, int((self._deadline - time.monotonic()) * 1000))

    def __repr__(self) -> str:
        return _show(self, tuple(name for name in vars(self) if not name.startswith("_")))


def _read_client_context(text: str) -> ClientContext | None:
    if not text:
        return None
    try:
        plain = json.loads(text)
    except ValueError as error:
        raise Fault("Runtime.LambdaContextUnmarshalError", f"Unable to parse Client Context: {error}") from error
    return ClientContext(plain) if isinstance(plain, dict) else None


def _show(value: object, names: tuple[str, ...]) -> str:
    return f"{type(value).__name__}([{','.join(f'{name}={getattr(value, name)}' for name in names)}])"
