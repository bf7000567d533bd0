"""What can be changed about an HTTP API: each change takes the API and returns it changed, or raises why not."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from typing import Any, TypeVar

from torpor.core.errors import Conflict, InvalidValue, ResourceNotFound
from torpor.core.http_api import DEFAULT, Deployment, HttpApi, Integration, Route, Stage, function_of, now
from torpor.policy.api_routes import parse_key

MAX_ROUTES, MAX_INTEGRATIONS, MAX_STAGES, MAX_DEPLOYMENTS = 300, 300, 10, 100
_ALPHABET = string.ascii_lowercase + string.digits
_T = TypeVar("_T")


def new_id(length: int) -> str:
    """A name as API Gateway makes them; it begins with a letter."""
    return secrets.choice(string.ascii_lowercase) + "".join(secrets.choice(_ALPHABET) for _ in range(length - 1))


def route_of(api: HttpApi, route_id: str) -> Route:
    return _find(api.routes, route_id, "Route")


def integration_of(api: HttpApi, integration_id: str) -> Integration:
    return _find(api.integrations, integration_id, "Integration")


def stage_of(api: HttpApi, name: str) -> Stage:
    return _find(api.stages, name, "Stage")


def deployment_of(api: HttpApi, deployment_id: str) -> Deployment:
    return _find(api.deployments, deployment_id, "Deployment")


def with_route(api: HttpApi, route: Route) -> HttpApi:
    """With a new or changed route. Raises InvalidValue, and Conflict when another takes the same requests."""
    pattern = parse_key(route.key)
    if route.integration is not None:
        integration_of(api, route.integration)
    for other in api.routes.values():
        known = parse_key(other.key)
        if other.id != route.id and (pattern and pattern.identity) == (known and known.identity):
            raise Conflict(f"Route with key {other.key} already exists for this API")
    if route.id not in api.routes:
        _refuse_more(api.routes, MAX_ROUTES, "routes")
    return api.evolve(routes={**api.routes, route.id: route})


def without_route(api: HttpApi, route_id: str) -> HttpApi:
    _refuse_managed(route_of(api, route_id).managed, "route")
    return api.evolve(routes=_without(api.routes, route_id))


def with_integration(api: HttpApi, integration: Integration) -> HttpApi:
    function_of(integration.uri)
    if integration.id not in api.integrations:
        _refuse_more(api.integrations, MAX_INTEGRATIONS, "integrations")
    return api.evolve(integrations={**api.integrations, integration.id: integration})


def without_integration(api: HttpApi, integration_id: str) -> HttpApi:
    _refuse_managed(integration_of(api, integration_id).managed, "integration")
    for route in api.routes.values():
        if route.integration == integration_id:
            raise Conflict(
                f"Cannot delete Integration '{integration_id}'. Please remove all references from Route '{route.id}' "
                "first."
            )
    return api.evolve(integrations=_without(api.integrations, integration_id))


def with_stage(api: HttpApi, stage: Stage) -> HttpApi:
    """With a new or changed stage. Raises ResourceNotFound when its deployment is none of the API's."""
    if stage.deployment is not None:
        deployment_of(api, stage.deployment)
    if stage.name not in api.stages:
        _refuse_more(api.stages, MAX_STAGES, "stages")
    known = api.stages[stage.name].throttles if stage.name in api.stages else {}
    for key in stage.throttles.keys() - known.keys():
        if not any(route.key == key for route in api.routes.values()):
            raise ResourceNotFound(f"Unable to find Route by key {key} within the provided RouteSettings")
    changed = api.evolve(stages={**api.stages, stage.name: stage})
    return _deploy_automatically(changed) if stage.auto_deploy and stage.deployment is None else changed


def without_stage(api: HttpApi, name: str) -> HttpApi:
    _refuse_managed(stage_of(api, name).managed, "stage")
    return _without_strays(api.evolve(stages=_without(api.stages, name)))


def with_deployment(api: HttpApi, deployment: Deployment, stage: str | None) -> HttpApi:
    """With a new deployment, served by `stage` from now on if one is named."""
    if len(api.deployments) >= MAX_DEPLOYMENTS:
        raise InvalidValue(f"An API has at most {MAX_DEPLOYMENTS} deployments: delete those that no stage serves.")
    changed = api.evolve(deployments={**api.deployments, deployment.id: deployment})
    if stage is None:
        return changed
    served = stage_of(api, stage).evolve(deployment=deployment.id, updated=now())
    return _without_strays(changed.evolve(stages={**api.stages, stage: served}))


def without_deployment(api: HttpApi, deployment_id: str) -> HttpApi:
    deployment_of(api, deployment_id)
    if any(stage.deployment == deployment_id for stage in api.stages.values()):
        raise InvalidValue("Active stages pointing to this deployment must be moved or deleted")
    return api.evolve(deployments=_without(api.deployments, deployment_id))


def snapshot(api: HttpApi, **more: Any) -> Deployment:
    """The API as it is now, to be served."""
    routes, integrations = tuple(api.routes.values()), tuple(api.integrations.values())
    return Deployment(id=new_id(6), routes=routes, integrations=integrations, cors=api.cors, **more)


def settled(before: HttpApi, after: HttpApi) -> HttpApi:
    """What a change leaves: stages with AutoDeploy serve it at once."""
    served = (after.routes, after.integrations, after.cors)
    if served == (before.routes, before.integrations, before.cors):
        return after
    return _deploy_automatically(after)


def quickly(api: HttpApi, target: str, key: str, credentials: str | None) -> HttpApi:
    """The API with what quick create makes: one integration, one route, and `$default` with AutoDeploy."""
    integration = Integration(id=new_id(7), uri=target, credentials=credentials, managed=True)
    route = Route(id=new_id(7), key=key, integration=integration.id, managed=True)
    api = with_route(with_integration(api, integration), route)
    return with_stage(api, Stage(name=DEFAULT, auto_deploy=True, managed=True))


def _deploy_automatically(api: HttpApi) -> HttpApi:
    names = [stage.name for stage in api.stages.values() if stage.auto_deploy]
    if not names:
        return api
    deployment = snapshot(api, automatic=True, description="Automatic deployment triggered by changes to the Api")
    stages = {
        name: stage.evolve(deployment=deployment.id, updated=now()) if name in names else stage
        for name, stage in api.stages.items()
    }
    deployments = {**api.deployments, deployment.id: deployment}
    return _without_strays(api.evolve(stages=stages, deployments=deployments))


def _without_strays(api: HttpApi) -> HttpApi:
    """Automatic deployments that no stage serves are of no use to anybody, and there would be one for each change."""
    served = {stage.deployment for stage in api.stages.values()}
    kept = {name: one for name, one in api.deployments.items() if not one.automatic or name in served}
    return api.evolve(deployments=kept)


def _find(among: Mapping[str, _T], key: str, what: str) -> _T:
    if key not in among:
        raise ResourceNotFound(f"Invalid {what} identifier specified {key}"[:300])
    return among[key]


def _without(among: Mapping[str, _T], key: str) -> dict[str, _T]:
    return {name: value for name, value in among.items() if name != key}


def _refuse_more(among: Mapping[str, object], most: int, what: str) -> None:
    if len(among) >= most:
        raise InvalidValue(f"An API has at most {most} {what}.")


def _refuse_managed(managed: bool, what: str) -> None:  # noqa: FBT001 - a check of the flag itself
    if managed:
        raise InvalidValue(
            f"This {what} was made by quick create, and goes with its API: change its target, or delete that."
        )
