"""The operations on routes and integrations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torpor.aws.apigateway import rules
from torpor.aws.apigateway.ports import Apis
from torpor.aws.apigateway.shapes import integration_shape, route_shape
from torpor.aws.service import Call, Params, Result
from torpor.core.errors import InvalidValue
from torpor.core.http_api import HttpApi, Integration, Route
from torpor.functions import api_changes

_TARGET = "integrations/"


@dataclass(frozen=True, slots=True)
class RouteOperations:
    """Handlers by operation."""

    apis: Apis

    def handlers(self) -> Mapping[str, Any]:
        return {
            "CreateRoute": self.create_route,
            "GetRoute": self.get_route,
            "GetRoutes": self.get_routes,
            "UpdateRoute": self.update_route,
            "DeleteRoute": self.delete_route,
            "CreateIntegration": self.create_integration,
            "GetIntegration": self.get_integration,
            "GetIntegrations": self.get_integrations,
            "UpdateIntegration": self.update_integration,
            "DeleteIntegration": self.delete_integration,
        }

    async def create_route(self, _: Call, params: Params) -> Result:
        route = Route(id=api_changes.new_id(7), **_route_values(params))
        await self.apis.change(params["ApiId"], lambda api: api_changes.with_route(api, route))
        return route_shape(route)

    async def get_route(self, _: Call, params: Params) -> Result:
        return route_shape(api_changes.route_of(self.apis.get(params["ApiId"]), params["RouteId"]))

    async def get_routes(self, _: Call, params: Params) -> Result:
        routes = self.apis.get(params["ApiId"]).routes.values()
        page, token = rules.page_of(routes, lambda route: route.id, params)
        return {"Items": [route_shape(route) for route in page], "NextToken": token}

    async def update_route(self, _: Call, params: Params) -> Result:
        route_id, values = params["RouteId"], _route_values(params)

        def step(api: HttpApi) -> HttpApi:
            route = api_changes.route_of(api, route_id)
            if route.managed and values.get("key", route.key) != route.key:
                raise InvalidValue("This route was made by quick create: change its key with UpdateApi.")
            return api_changes.with_route(api, route.evolve(**values))

        return route_shape((await self.apis.change(params["ApiId"], step)).routes[route_id])

    async def delete_route(self, _: Call, params: Params) -> Result:
        await self.apis.change(params["ApiId"], lambda api: api_changes.without_route(api, params["RouteId"]))
        return {}

    async def create_integration(self, call: Call, params: Params) -> Result:
        values = _integration_values(params)
        rules.check_may_invoke(call.principal, values.get("uri"))
        if "uri" not in values:
            raise InvalidValue("IntegrationUri is required: the ARN of the function that the integration invokes.")
        if "payload" not in values:
            raise InvalidValue("PayloadFormatVersion is a required parameter for integration: pass 2.0, or 1.0.")
        integration = Integration(id=api_changes.new_id(7), **values)
        await self.apis.change(params["ApiId"], lambda api: api_changes.with_integration(api, integration))
        return integration_shape(integration)

    async def get_integration(self, _: Call, params: Params) -> Result:
        return integration_shape(api_changes.integration_of(self.apis.get(params["ApiId"]), params["IntegrationId"]))

    async def get_integrations(self, _: Call, params: Params) -> Result:
        integrations = self.apis.get(params["ApiId"]).integrations.values()
        page, token = rules.page_of(integrations, lambda integration: integration.id, params)
        return {"Items": [integration_shape(integration) for integration in page], "NextToken": token}

    async def update_integration(self, call: Call, params: Params) -> Result:
        name, values = params["IntegrationId"], _integration_values(params)
        rules.check_may_invoke(call.principal, values.get("uri"))

        def step(api: HttpApi) -> HttpApi:
            integration = api_changes.integration_of(api, name)
            return api_changes.with_integration(api, integration.evolve(**values))

        return integration_shape((await self.apis.change(params["ApiId"], step)).integrations[name])

    async def delete_integration(self, _: Call, params: Params) -> Result:
        name = params["IntegrationId"]
        await self.apis.change(params["ApiId"], lambda api: api_changes.without_integration(api, name))
        return {}


def _route_values(params: Params) -> dict[str, Any]:
    """The fields of Route that a request sets."""
    rules.check(params)
    names = {"RouteKey": "key", "AuthorizationType": "authorization", "OperationName": "operation_name"}
    values = {field: params[name] for name, field in names.items() if params.get(name) is not None}
    if values.get("authorization", "NONE") not in ("NONE", "AWS_IAM"):
        raise InvalidValue(
            f"torpor does not support AuthorizationType {values['authorization']} yet: pass NONE or AWS_IAM, and check "
            "tokens in the function."
        )
    target = params.get("Target")
    if target is not None:
        if not target.startswith(_TARGET):
            raise InvalidValue(f"Invalid target {target[:100]!r}: write integrations/INTEGRATION-ID.")
        values["integration"] = target.removeprefix(_TARGET)
    return values


def _integration_values(params: Params) -> dict[str, Any]:
    """The fields of Integration that a request sets."""
    rules.check(params)
    kind = params.get("IntegrationType", "AWS_PROXY")
    if kind != "AWS_PROXY":
        raise InvalidValue(
            f"torpor does not support IntegrationType {kind} yet: pass AWS_PROXY, and a function's ARN as "
            "IntegrationUri."
        )
    payload = params.get("PayloadFormatVersion")
    if payload not in (None, "1.0", "2.0"):
        raise InvalidValue(f"PayloadFormatVersion is 1.0 or 2.0, not {payload[:20]!r}.")
    if params.get("IntegrationMethod") not in (None, "POST"):
        raise InvalidValue("A function is invoked by POST: leave IntegrationMethod out, or pass POST.")
    names = {
        "IntegrationUri": "uri",
        "PayloadFormatVersion": "payload",
        "TimeoutInMillis": "timeout_ms",
        "Description": "description",
        "CredentialsArn": "credentials",
    }
    return {field: params[name] for name, field in names.items() if params.get(name) is not None}
