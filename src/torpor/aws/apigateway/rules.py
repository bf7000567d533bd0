"""What API Gateway asks of parameters besides the model's shapes, and what torpor does not do yet, refused by name."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from torpor.core.errors import AccessDenied, InvalidValue
from torpor.core.http_api import HttpApi, function_of
from torpor.core.identity import Principal

_T = TypeVar("_T")
PAGE = 500
_STAGE_NAME = re.compile(r"\$default|[A-Za-z0-9_-]{1,128}")
_VARIABLE_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")
_VARIABLE_VALUE = re.compile(r"[A-Za-z0-9-._~:/?#&=,]*")
_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^\s/]+|null")
_LENGTHS = {
    "Name": (1, 128),
    "Description": (0, 1024),
    "Version": (1, 64),
    "OperationName": (1, 64),
    "CredentialsArn": (0, 2048),
    "IntegrationUri": (1, 2048),
    "Target": (1, 2048),
}
_MOST_TAGS = 50

# Parameter → the value besides an empty one that asks for nothing.
_NEUTRAL: Mapping[str, Any] = {
    "AccessLogSettings": None,
    "ApiKeyRequired": False,
    "ApiKeySelectionExpression": "$request.header.x-api-key",
    "AuthorizationScopes": None,
    "AuthorizerId": None,
    "ClientCertificateId": None,
    "ConnectionId": None,
    "ConnectionType": "INTERNET",
    "ContentHandlingStrategy": None,
    "DisableSchemaValidation": False,
    "IntegrationSubtype": None,
    "ModelSelectionExpression": None,
    "PassthroughBehavior": None,
    "RequestModels": None,
    "RequestParameters": None,
    "RequestTemplates": None,
    "ResponseParameters": None,
    "RouteResponseSelectionExpression": None,
    "RouteSelectionExpression": "${request.method} ${request.path}",
    "TemplateSelectionExpression": None,
    "TlsConfig": None,
}
_INSTEAD = {
    "AccessLogSettings": "the function's own log has every request",
    "IntegrationSubtype": "write a function that calls the service",
    "RequestParameters": "change the request in the function: parameters are not mapped",
    "ResponseParameters": "change the response in the function: parameters are not mapped",
}


def check(params: Mapping[str, Any]) -> None:
    """Raise InvalidValue for the first parameter that is too long, not text, or asks for what torpor does not do."""
    for name, value in params.items():
        if name in _NEUTRAL and value and value != _NEUTRAL[name]:
            instead = _INSTEAD.get(name, "leave it out")
            raise InvalidValue(f"torpor does not support {name} for HTTP APIs: {instead}.")
        least, most = _LENGTHS.get(name, (0, 4096))
        if isinstance(value, str):
            check_text(name, value, least, most)


def check_text(name: str, value: str, least: int, most: int) -> None:
    if not least <= len(value) <= most:
        raise InvalidValue(f"Invalid {name} specified: it has from {least} to {most} characters, not {len(value)}.")
    if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise InvalidValue(f"Invalid {name} specified: it is not Unicode text.")


def check_may_invoke(principal: Principal, uri: str | None) -> None:
    """Raise AccessDenied where somebody would open a function to others that they may not invoke themselves."""
    if uri is None:
        return
    name = "" if "${" in uri else function_of(uri).name  # a stage's variable may name any function
    if not principal.allows("lambda:InvokeFunction", name):
        raise AccessDenied(
            f"User: {principal.arn} is not authorized to perform: lambda:InvokeFunction on resource: {uri}: nobody "
            "opens a function that they may not invoke themselves."
        )


def check_may_lead(
    principal: Principal, api: HttpApi, variables: Mapping[str, str], before: Mapping[str, str] | None = None
) -> None:
    """Raise AccessDenied where new variables of a stage would lead it to functions that their maker may not invoke."""
    integrations = [one for deployment in api.deployments.values() for one in deployment.integrations]
    if variables != (before or {}):
        for integration in (*api.integrations.values(), *integrations):
            if "${" in integration.uri:
                check_may_invoke(principal, integration.uri)


def check_stage_name(name: str) -> None:
    if _STAGE_NAME.fullmatch(name) is None:
        raise InvalidValue(
            "Stage name only allows a-zA-Z0-9_- and a maximum of 128 characters, or is $default for the API's root."
        )


def check_variables(variables: Mapping[str, Any]) -> dict[str, str]:
    """A stage's variables, checked."""
    for name, value in variables.items():
        text = value if isinstance(value, str) and len(value) <= 2048 else "\n"
        if _VARIABLE_NAME.fullmatch(name) is None or _VARIABLE_VALUE.fullmatch(text) is None:
            raise InvalidValue(
                f"Invalid stage variable {name[:100]!r}: a name has letters, digits and _, a value at most 2048 of "
                "A-Za-z0-9-._~:/?#&=,"
            )
    return dict(variables)


def check_tags(tags: Mapping[str, Any]) -> dict[str, str]:
    """Tags, checked."""
    if len(tags) > _MOST_TAGS:
        raise InvalidValue(f"{len(tags)} tags are more than the {_MOST_TAGS} that a resource may have.")
    for key, value in tags.items():
        check_text("tag key", key, 1, 128)
        check_text("tag value", value if isinstance(value, str) else "", 1, 256)
    return dict(tags)


def check_cors(cors: Mapping[str, Any]) -> dict[str, Any]:
    """A CORS configuration, checked; what is empty is left out."""
    for member in ("AllowOrigins", "AllowMethods", "AllowHeaders", "ExposeHeaders"):
        for value in cors.get(member) or ():
            check_text(f"CorsConfiguration.{member}", value if isinstance(value, str) else "", 1, 512)
    origins = cors.get("AllowOrigins") or ()
    for origin in origins:
        if _ORIGIN.fullmatch(origin) is None:
            raise InvalidValue(
                f"Invalid format for origin {origin!r}: write SCHEME://HOST, such as https://example.com, or *."
            )
    if cors.get("AllowCredentials") and "*" in origins:
        raise InvalidValue("AllowCredentials is not supported when AllowOrigins contains *: name the origins.")
    return {name: value for name, value in cors.items() if value not in (None, [])}


def page_of(items: Iterable[_T], key: Callable[[_T], str], params: Mapping[str, Any]) -> tuple[list[_T], str | None]:
    """One page of `items`, sorted by `key`, and the token of the next. Raises InvalidValue."""
    after = _unmark(params["NextToken"]) if params.get("NextToken") else None
    left = sorted((item for item in items if after is None or key(item) > after), key=key)
    limit = _limit(params.get("MaxResults"))
    more = len(left) > limit
    return left[:limit], _mark(key(left[limit - 1])) if more else None


def _limit(text: str | None) -> int:
    if not text:
        return PAGE
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) > 0):
        raise InvalidValue(f"Invalid value for maxResults: it is a number above 0, not '{text[:50]}'.")
    return min(int(text), PAGE)


def _mark(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _unmark(token: str) -> str:
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidValue("Invalid NextToken: pass the NextToken of the page before.") from None
