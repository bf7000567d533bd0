"""HTTP APIs and their parts as the service's output shapes."""

from __future__ import annotations

from typing import Any

from torpor.core.http_api import Deployment, HttpApi, Integration, Route, Stage, Throttle


def api_shape(api: HttpApi, endpoint: str) -> dict[str, Any]:
    return {
        "ApiEndpoint": endpoint,
        "ApiId": api.id,
        "ApiKeySelectionExpression": "$request.header.x-api-key",
        "CorsConfiguration": dict(api.cors) if api.cors else None,
        "CreatedDate": api.created.replace(microsecond=0),
        "Description": api.description,
        "DisableExecuteApiEndpoint": api.disabled,
        "IpAddressType": api.ip_address_type,
        "Name": api.name,
        "ProtocolType": "HTTP",
        "RouteSelectionExpression": "${request.method} ${request.path}",
        "Tags": dict(api.tags),
        "Version": api.version,
    }


def route_shape(route: Route) -> dict[str, Any]:
    return {
        "ApiGatewayManaged": route.managed or None,
        "ApiKeyRequired": False,
        "AuthorizationType": route.authorization,
        "OperationName": route.operation_name,
        "RouteId": route.id,
        "RouteKey": route.key,
        "Target": f"integrations/{route.integration}" if route.integration else None,
    }


def integration_shape(integration: Integration) -> dict[str, Any]:
    return {
        "ApiGatewayManaged": integration.managed or None,
        "ConnectionType": "INTERNET",
        "CredentialsArn": integration.credentials,
        "Description": integration.description,
        "IntegrationId": integration.id,
        "IntegrationMethod": integration.method,
        "IntegrationType": "AWS_PROXY",
        "IntegrationUri": integration.uri,
        "PayloadFormatVersion": integration.payload,
        "TimeoutInMillis": integration.timeout_ms,
    }


def stage_shape(stage: Stage) -> dict[str, Any]:
    message = None
    if stage.auto_deploy and stage.deployment:
        message = f"Successfully deployed stage with deployment ID '{stage.deployment}'"
    return {
        "ApiGatewayManaged": stage.managed or None,
        "AutoDeploy": stage.auto_deploy or None,
        "CreatedDate": stage.created.replace(microsecond=0),
        "DefaultRouteSettings": _settings(stage.throttle),
        "DeploymentId": stage.deployment,
        "Description": stage.description,
        "LastDeploymentStatusMessage": message,
        "LastUpdatedDate": stage.updated.replace(microsecond=0),
        "RouteSettings": {key: _settings(throttle) for key, throttle in stage.throttles.items()},
        "StageName": stage.name,
        "StageVariables": dict(stage.variables),
        "Tags": dict(stage.tags),
    }


def deployment_shape(deployment: Deployment) -> dict[str, Any]:
    return {
        "AutoDeployed": deployment.automatic,
        "CreatedDate": deployment.created.replace(microsecond=0),
        "DeploymentId": deployment.id,
        "DeploymentStatus": "DEPLOYED",
        "Description": deployment.description,
    }


def _settings(throttle: Throttle | None) -> dict[str, Any]:
    settings: dict[str, Any] = {"DetailedMetricsEnabled": False}
    if throttle is not None and throttle.burst is not None:
        settings["ThrottlingBurstLimit"] = throttle.burst
    if throttle is not None and throttle.rate is not None:
        settings["ThrottlingRateLimit"] = throttle.rate
    return settings
