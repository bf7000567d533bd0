"""One base for all errors; ours, the user's and the function's fault told apart.

An error's docstring is its default message. `code` is the name of the exception shape in the AWS service models, so
that the protocol layer can look up status and members there; it is mapped to HTTP once, at the edge.
"""

from __future__ import annotations

from typing import ClassVar


class TorporError(Exception):
    """Something went wrong inside torpor."""

    code: ClassVar[str] = "ServiceException"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())

    @property
    def message(self) -> str:
        """What was wrong, and what to do."""
        return str(self)


class UserError(TorporError):
    """The request cannot be fulfilled as it was made."""

    code = "InvalidParameterValueException"


class InvalidValue(UserError):
    """A value is not allowed here."""


class ValidationFailed(UserError):
    """The request does not satisfy the service's model."""

    code = "ValidationException"


class FunctionNotFound(UserError):
    """No deployed function has this name."""

    code = "ResourceNotFoundException"


class ResourceNotFound(UserError):
    """There is no such resource."""

    code = "ResourceNotFoundException"


class ProvisionNotFound(UserError):
    """There is no provisioned concurrency here."""

    code = "ProvisionedConcurrencyConfigNotFoundException"


class Conflict(UserError):
    """The resource already exists, or is being changed."""

    code = "ResourceConflictException"


class PreconditionFailed(UserError):
    """The RevisionId provided does not match the latest one: read the function again and retry."""

    code = "PreconditionFailedException"


class NotInvocable(UserError):
    """The function cannot be invoked in its current state."""

    code = "ResourceConflictException"


class SnapStartNotReady(NotInvocable):
    """Lambda is initializing your function. It will be ready to invoke once your function state becomes ACTIVE."""

    code = "SnapStartNotReadyException"


class InvalidRequestContent(UserError):
    """Could not parse request body into json."""

    code = "InvalidRequestContentException"


class RequestTooLarge(UserError):
    """The request is larger than the limit."""

    code = "RequestTooLargeException"


class Throttled(UserError):
    """Rate Exceeded."""

    code = "TooManyRequestsException"

    def __init__(self, message: str | None = None, *, reason: str = "ConcurrentInvocationLimitExceeded") -> None:
        super().__init__(message)
        self.reason = reason


class AccessDenied(UserError):
    """This identity is not allowed to do that."""

    code = "AccessDeniedException"


class InvalidBundle(UserError):
    """The code cannot be accepted: it is not a well-formed, self-contained archive."""


class BuildFailed(UserError):
    """The function's dependencies could not be installed."""


class InterpreterMissing(BuildFailed):
    """No interpreter for the function's runtime is installed."""


class PlatformFault(TorporError):
    """torpor itself failed; the request may be tried again."""


class StartFailed(PlatformFault):
    """An instance could not be started."""


class NotSupported(PlatformFault):
    """This machine does not allow what was asked; `torpor doctor` says what is missing."""
