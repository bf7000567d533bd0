"""Errors as each kind of client understands them: the AWS protocols, our own JSON interface, a function's URL."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape

from torpor.core.errors import Throttled, TorporError, UserError
from torpor.core.http import HttpRequest, HttpResponse
from torpor.gateway.asgi import json_response

_SCOPE_SERVICE = re.compile(
    r"Credential=[^/,\s]+(?:/|%2F)\d{8}(?:/|%2F)[^/,%\s]+(?:/|%2F)([a-z0-9-]+)(?:/|%2F)aws4_request"
)
_QUERY_SERVICES = frozenset({"iam", "sts"})  # whose clients read nothing but XML, whatever else a request looks like
_STATUS = {
    "AccessDeniedException": 403,
    "ExpiredTokenException": 403,
    "IncompleteSignatureException": 403,
    "InvalidSignatureException": 403,
    "MissingAuthenticationTokenException": 403,
    "PreconditionFailedException": 412,
    "RequestTooLargeException": 413,
    "RequestTimeoutException": 408,
    "ResourceConflictException": 409,
    "ResourceNotFoundException": 404,
    "ServiceUnavailableException": 503,
    "TooManyRequestsException": 429,
    "UnrecognizedClientException": 403,
}
_QUERY_CODES = {
    "ExpiredTokenException": "ExpiredToken",
    "IncompleteSignatureException": "IncompleteSignature",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "MissingAuthenticationTokenException": "MissingAuthenticationToken",
    "UnrecognizedClientException": "InvalidClientTokenId",
}


def status_of(error: TorporError) -> int:
    """The HTTP status of an error: the peer's fault in the 400s, ours in the 500s."""
    return _STATUS.get(error.code, 400 if isinstance(error, UserError) else 500)


def own(error: TorporError) -> HttpResponse:
    """An error on `/_torpor/…`."""
    return own_message(status_of(error), error.code, error.message)


def own_message(status: int, code: str, message: str) -> HttpResponse:
    return json_response(status, {"error": {"code": code, "message": message}})


def web(error: TorporError) -> HttpResponse:
    """An error on a function's URL."""
    body = {"Message": error.message}
    if isinstance(error, Throttled):
        body = {"Reason": error.reason, "Type": "User", "message": error.message}
    return json_response(status_of(error), body, [("x-amzn-errortype", error.code)])


def aws(error: TorporError, request: HttpRequest) -> HttpResponse:
    """An error before any service saw the request, in the protocol that its client speaks."""
    found = _SCOPE_SERVICE.search(request.header("authorization") or request.query)
    service = found[1] if found else ""
    if service not in _QUERY_SERVICES and request.header("x-amz-target"):
        body = {"__type": error.code, "message": error.message}
        status = 413 if status_of(error) == 413 else 400  # JSON protocols answer every client's error with 400
        return json_response(status, body, [("x-amzn-requestid", request.request_id)])
    if service in _QUERY_SERVICES or speaks_query(request):
        return _query(error, request, service or "sts")
    headers = [("x-amzn-errortype", error.code), ("x-amzn-requestid", request.request_id)]
    return json_response(status_of(error), {"Type": "User", "message": error.message}, headers)


def speaks_query(request: HttpRequest) -> bool:
    """Whether a request speaks the query protocol, by its body's type."""
    form = request.header("content-type").startswith("application/x-www-form-urlencoded")
    return form and request.path == "/" and not request.header("x-amz-target")


def _query(error: TorporError, request: HttpRequest, service: str) -> HttpResponse:
    code = _QUERY_CODES.get(error.code, error.code.removesuffix("Exception"))
    text = (
        f'<ErrorResponse xmlns="https://{service}.amazonaws.com/doc/"><Error><Type>Sender</Type><Code>{code}</Code>'
        f"<Message>{escape(error.message)}</Message></Error><RequestId>{request.request_id}</RequestId></ErrorResponse>"
    )
    headers = (("content-type", "text/xml"), ("x-amzn-requestid", request.request_id))
    return HttpResponse(status=status_of(error), headers=headers, body=text.encode())
