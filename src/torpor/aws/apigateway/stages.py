"""The operations on stages and deployments."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torpor.aws.apigateway import rules
from torpor.aws.apigateway.ports import Apis
from torpor.aws.apigateway.shapes import deployment_shape, stage_shape
from torpor.aws.service import Call, Params, Result
from torpor.core.errors import Conflict, InvalidValue, ResourceNotFound
from torpor.core.http_api import Deployment, HttpApi, Stage, Throttle, now
from torpor.functions import api_changes


@dataclass(frozen=True, slots=True)
class StageOperations:
    """Handlers by operation."""

    apis: Apis

    def handlers(self) -> Mapping[str, Any]:
        return {
            "CreateStage": self.create_stage,
            "GetStage": self.get_stage,
            "GetStages": self.get_stages,
            "UpdateStage": self.update_stage,
            "DeleteStage": self.delete_stage,
            "DeleteRouteSettings": self.delete_route_settings,
            "CreateDeployment": self.create_deployment,
            "GetDeployment": self.get_deployment,
            "GetDeployments": self.get_deployments,
            "UpdateDeployment": self.update_deployment,
            "DeleteDeployment": self.delete_deployment,
        }

    async def create_stage(self, call: Call, params: Params) -> Result:
        name = params["StageName"]
        rules.check_stage_name(name)
        tags = rules.check_tags(params.get("Tags") or {})
        stage = Stage(name=name, tags=tags, **_stage_values(params))
        _refuse_both(stage, params)

        def step(api: HttpApi) -> HttpApi:
            if name in api.stages:
                raise Conflict("Stage already exists")
            rules.check_may_lead(call.principal, api, stage.variables)
            return api_changes.with_stage(api, stage)

        return stage_shape((await self.apis.change(params["ApiId"], step)).stages[name])

    async def get_stage(self, _: Call, params: Params) -> Result:
        return stage_shape(api_changes.stage_of(self.apis.get(params["ApiId"]), params["StageName"]))

    async def get_stages(self, _: Call, params: Params) -> Result:
        stages = self.apis.get(params["ApiId"]).stages.values()
        page, token = rules.page_of(stages, lambda stage: stage.name, params)
        return {"Items": [stage_shape(stage) for stage in page], "NextToken": token}

    async def update_stage(self, call: Call, params: Params) -> Result:
        name, values = params["StageName"], _stage_values(params)

        def step(api: HttpApi) -> HttpApi:
            old = api_changes.stage_of(api, name)
            rules.check_may_lead(call.principal, api, values.get("variables", old.variables), old.variables)
            throttles = {**old.throttles, **values.get("throttles", {})}
            stage = old.evolve(**{**values, "throttles": throttles, "updated": now()})
            _refuse_both(stage, params)
            if stage.auto_deploy and not old.auto_deploy:
                stage = stage.evolve(deployment=None)  # what there is now is what it serves from now on
            return api_changes.with_stage(api, stage)

        return stage_shape((await self.apis.change(params["ApiId"], step)).stages[name])

    async def delete_stage(self, _: Call, params: Params) -> Result:
        await self.apis.change(params["ApiId"], lambda api: api_changes.without_stage(api, params["StageName"]))
        return {}

    async def delete_route_settings(self, _: Call, params: Params) -> Result:
        name, key = params["StageName"], params["RouteKey"]

        def step(api: HttpApi) -> HttpApi:
            stage = api_changes.stage_of(api, name)
            if key not in stage.throttles:
                raise ResourceNotFound(f"The stage {name} has no settings for the route {key[:200]!r}.")
            left = {other: throttle for other, throttle in stage.throttles.items() if other != key}
            return api.evolve(stages={**api.stages, name: stage.evolve(throttles=left, updated=now())})

        await self.apis.change(params["ApiId"], step)
        return {}

    async def create_deployment(self, _: Call, params: Params) -> Result:
        rules.check(params)
        made: list[Deployment] = []

        def step(api: HttpApi) -> HttpApi:
            if not api.routes:
                raise InvalidValue("At least one route is required before deploying the Api.")
            made.append(api_changes.snapshot(api, description=params.get("Description")))
            return api_changes.with_deployment(api, made[-1], params.get("StageName"))

        await self.apis.change(params["ApiId"], step)
        return deployment_shape(made[-1])

    async def get_deployment(self, _: Call, params: Params) -> Result:
        return deployment_shape(api_changes.deployment_of(self.apis.get(params["ApiId"]), params["DeploymentId"]))

    async def get_deployments(self, _: Call, params: Params) -> Result:
        deployments = self.apis.get(params["ApiId"]).deployments.values()
        page, token = rules.page_of(deployments, lambda deployment: deployment.id, params)
        return {"Items": [deployment_shape(deployment) for deployment in page], "NextToken": token}

    async def update_deployment(self, _: Call, params: Params) -> Result:
        rules.check(params)
        name = params["DeploymentId"]

        def step(api: HttpApi) -> HttpApi:
            old = api_changes.deployment_of(api, name)
            new = old.evolve(description=params.get("Description", old.description))
            return api.evolve(deployments={**api.deployments, name: new})

        return deployment_shape((await self.apis.change(params["ApiId"], step)).deployments[name])

    async def delete_deployment(self, _: Call, params: Params) -> Result:
        name = params["DeploymentId"]
        await self.apis.change(params["ApiId"], lambda api: api_changes.without_deployment(api, name))
        return {}


def _stage_values(params: Params) -> dict[str, Any]:
    """The fields of Stage that a request sets."""
    rules.check(params)
    names = {"AutoDeploy": "auto_deploy", "DeploymentId": "deployment", "Description": "description"}
    values = {field: params[name] for name, field in names.items() if params.get(name) is not None}
    if params.get("StageVariables") is not None:
        values["variables"] = rules.check_variables(params["StageVariables"])
    if params.get("DefaultRouteSettings") is not None:
        values["throttle"] = _throttle(params["DefaultRouteSettings"])
    if params.get("RouteSettings") is not None:
        values["throttles"] = {key: _throttle(settings or {}) for key, settings in params["RouteSettings"].items()}
    return values


def _throttle(settings: Mapping[str, Any]) -> Throttle | None:
    for name in ("DataTraceEnabled", "DetailedMetricsEnabled"):
        if settings.get(name):
            raise InvalidValue(f"torpor does not support {name} for HTTP APIs: leave it out.")
    if settings.get("LoggingLevel") not in (None, "OFF"):
        raise InvalidValue("Execution logs are not supported on protocolType HTTP")
    rate, burst = settings.get("ThrottlingRateLimit"), settings.get("ThrottlingBurstLimit")
    if (rate is not None and not (math.isfinite(rate) and rate >= 0)) or (burst is not None and burst < 0):
        raise InvalidValue("ThrottlingRateLimit and ThrottlingBurstLimit are numbers from 0.")
    return Throttle(rate=rate, burst=burst)


def _refuse_both(stage: Stage, params: Params) -> None:
    if stage.auto_deploy and params.get("DeploymentId"):
        raise InvalidValue("Deployment ID cannot be set on stages that deploy automatically: leave out one of the two.")
