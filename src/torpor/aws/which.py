"""Tells whether a request is for AWS, and for which service, without reading a model: it is asked of every request."""

from __future__ import annotations

import re

from torpor.core.http import HttpRequest

# In the order in which they may stand in a request: a signature is the surest sign.
_CREDENTIAL = re.compile(r"Credential=[^/,\s]+/\d{8}/[^/]*/([a-z0-9-]+)/aws4_request")
_PRESIGNED = re.compile(
    r"(?:^|&)X-Amz-Credential=[^&]+?(?:/|%2F)\d{8}(?:/|%2F)[^&]*?(?:/|%2F)([a-z0-9-]+)(?:/|%2F)aws4_request",
    re.IGNORECASE,
)
_VERSION = re.compile(rb"(?:^|&)Version=([0-9-]{10})(?:&|$)")
_ACTION = re.compile(rb"(?:^|&)Action=\w")
# Dated paths are of the Lambda API alone, the others of API Gateway: there a token may stand for a signature.
_PATH = re.compile(r"/20\d\d-\d\d-\d\d/|(?P<gateway>/v2/(?:apis|tags)(?:/|$))")

_BY_VERSION = {b"2011-06-15": "sts", b"2010-05-08": "iam"}


def service_of(request: HttpRequest) -> str | None:
    """The signing name of the AWS service that `request` is for; None when it is for none."""
    authorization = request.header("authorization")
    if authorization.startswith("AWS4-") and (found := _CREDENTIAL.search(authorization)):
        return found[1]
    if "X-Amz-Credential" in request.query and (found := _PRESIGNED.search(request.query)):
        return found[1]
    if known := _PATH.match(request.path):
        return "lambda" if known["gateway"] is None else "apigateway"
    if target := request.header("x-amz-target"):
        return target.partition(".")[0].partition("_")[0].lower()
    if request.path == "/":
        return _of_form(request)
    return None


def _of_form(request: HttpRequest) -> str | None:
    form = request.body if request.method == "POST" else request.query.encode()
    if len(form) > 1_000_000 or not _ACTION.search(form):
        return None
    version = _VERSION.search(form)
    return _BY_VERSION.get(version[1]) if version else None
