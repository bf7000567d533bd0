"""API Gateway, version 2, as a service: all its operations together."""

from __future__ import annotations

from collections.abc import Callable

from torpor.aws.apigateway.apis import ApiOperations
from torpor.aws.apigateway.ports import Apis
from torpor.aws.apigateway.routes import RouteOperations
from torpor.aws.apigateway.stages import StageOperations
from torpor.aws.service import Params, Service
from torpor.core.arn import Home


def apigateway_service(*, apis: Apis, home: Home, endpoint: Callable[[str], str]) -> Service:
    """API Gateway over these use cases; `endpoint` gives the address of an API by its id."""

    def resource(params: Params) -> str:
        return str(params.get("ApiId") or "")

    def arn(api_id: str) -> str:
        return f"arn:aws:apigateway:{home.region}::/apis/{api_id or '*'}"

    return Service(
        name="apigatewayv2",
        signing_name="apigateway",
        handlers={
            **ApiOperations(apis, home, endpoint).handlers(),
            **RouteOperations(apis).handlers(),
            **StageOperations(apis).handlers(),
        },
        codes={
            "InvalidParameterValueException": "BadRequestException",
            "InvalidRequestContentException": "BadRequestException",
            "ResourceConflictException": "ConflictException",
            "ResourceNotFoundException": "NotFoundException",
            "SerializationException": "BadRequestException",
            "ValidationException": "BadRequestException",
        },
        resource=resource,
        arn=arn,
    )
