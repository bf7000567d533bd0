"""Errors of the protocols themselves, and what every AWS service answers without its model saying so."""

from __future__ import annotations

from torpor.core.errors import UserError


class SerializationFailed(UserError):
    """The request is well-formed, but does not have the types of the operation's input."""

    code = "SerializationException"


class UnknownOperation(UserError):
    """The service has no such operation."""

    code = "UnknownOperationException"


class NotOffered(UserError):
    """AWS has this operation, and torpor does not, yet."""

    code = "NotImplementedException"


class Unauthenticated(UserError):
    """Request is missing Authentication Token"""

    code = "MissingAuthenticationTokenException"


class EntityTooLarge(UserError):
    """The request is larger than the operation takes."""

    code = "RequestEntityTooLargeException"


# The common errors of AWS services, which models do not list. 501 rather than 500 or 503: no SDK retries it.
COMMON_STATUS = {
    "AccessDeniedException": 403,
    "InvalidRequestContentException": 400,
    "MissingAuthenticationTokenException": 403,
    "NotImplementedException": 501,
    "RequestEntityTooLargeException": 413,
    "RequestTooLargeException": 413,
    "ResourceConflictException": 409,
    "ResourceNotFoundException": 404,
    "SerializationException": 400,
    "ServiceException": 500,
    "TooManyRequestsException": 429,
    "UnknownOperationException": 400,
    "ValidationException": 400,
}
