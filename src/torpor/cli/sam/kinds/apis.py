"""HTTP APIs. SAM's `Api` events become routes of one too, with events of payload format 1.0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torpor.cli.failures import WrongUse
from torpor.cli.sam import support
from torpor.cli.sam.api_bodies import BodyNotSupported, WantedApi, WantedRoute, read_body
from torpor.cli.sam.kinds.kind import Result, Wanted, boolean, picked, plain_tags, text, whole
from torpor.cli.sam.record import Made
from torpor.cli.sam.remote import Remote, calling

_OWNER = "torpor:stack"  # the tag by which an API that a deployment made, and was not told of, is found again


@dataclass(frozen=True, slots=True)
class Apis:
    """AWS::ApiGatewayV2::Api and AWS::ApiGateway::RestApi."""

    remote: Remote

    def name(self, wanted: Wanted) -> None:  # noqa: ARG002 - ids are the server's
        return None

    def exists(self, name: str) -> bool:  # noqa: ARG002 - the protocol's signature
        return False

    def create(self, wanted: Wanted) -> Result:
        api, given = wanted_api(wanted), self._given(wanted)
        owner = f"{wanted.stack}/{wanted.id}"
        with calling():
            gateway = self.remote.aws("apigatewayv2")
            pages = gateway.get_paginator("get_apis").paginate()
            left = [one for page in pages for one in page["Items"] if one.get("Tags", {}).get(_OWNER) == owner]
            tags = {**plain_tags(wanted.properties.get("Tags")), _OWNER: owner}
            made = left[0] if left else gateway.create_api(ProtocolType="HTTP", Tags=tags, **given)
        return self._routed(api, made)

    def update(self, wanted: Wanted, made: Made) -> Result:
        api, given = wanted_api(wanted), self._given(wanted)
        with calling():
            gateway = self.remote.aws("apigatewayv2")
            if "CorsConfiguration" not in given:
                gateway.delete_cors_configuration(ApiId=made.physical)
            changed = gateway.update_api(ApiId=made.physical, **{"Description": ""} | given)
            arn = f"arn:aws:apigateway:{self.remote.region}::/apis/{made.physical}"
            tags = {**plain_tags(wanted.properties.get("Tags")), _OWNER: f"{wanted.stack}/{wanted.id}"}
            gone = [key for key in changed.get("Tags", {}) if key not in tags]
            if gone:
                gateway.untag_resource(ResourceArn=arn, TagKeys=gone)
            gateway.tag_resource(ResourceArn=arn, Tags=tags)
        return self._routed(api, changed)

    def delete(self, made: Made) -> None:
        with calling():
            self.remote.aws("apigatewayv2").delete_api(ApiId=made.physical)

    def _given(self, wanted: Wanted) -> dict[str, Any]:
        properties, api = wanted.properties, wanted_api(wanted)
        if str(properties.get("ProtocolType", "HTTP")) != "HTTP":
            raise WrongUse("WebSocket APIs are not built: HTTP APIs are")
        cors = properties.get("CorsConfiguration") or (api.cors if api else None)
        named = text(properties.get("Name") or (api.title if api else "") or wanted.id)
        described = text(properties.get("Description") or (api.description if api else ""))
        return {
            "Name": named,
            **({"Description": described} if described else {}),
            **({"CorsConfiguration": dict(cors)} if cors else {}),
            "DisableExecuteApiEndpoint": boolean(properties.get("DisableExecuteApiEndpoint", False)),
        }

    def _routed(self, api: WantedApi | None, made: Mapping[str, Any]) -> Result:
        if api is not None:
            with calling():
                set_routes(self.remote.aws("apigatewayv2"), made["ApiId"], api.routes)
        ids = {"Ref": made["ApiId"], "ApiId": made["ApiId"], "RestApiId": made["ApiId"]}
        return Result(made["ApiId"], ids | {"ApiEndpoint": made["ApiEndpoint"]})


def wanted_api(wanted: Wanted) -> WantedApi | None:
    """What the API's document says; None without one, where routes are resources of their own. Raises WrongUse."""
    body = wanted.properties.get("Body")
    if body is None:
        return None
    try:
        return read_body(body, rest=wanted.type == support.REST_API)
    except BodyNotSupported as error:
        raise WrongUse(str(error)) from None


def set_routes(gateway: Any, api_id: str, wanted: tuple[WantedRoute, ...]) -> None:
    """Give the API these routes, and no others. New ones come before old ones go."""
    pages = gateway.get_paginator("get_integrations").paginate(ApiId=api_id)
    known = {_same(one): one["IntegrationId"] for page in pages for one in page["Items"]}
    pages = gateway.get_paginator("get_routes").paginate(ApiId=api_id)
    routes = {one["RouteKey"]: one for page in pages for one in page["Items"]}
    used = set()
    for route in wanted:
        of = (route.function, route.payload, route.timeout_ms)
        if of not in known:
            known[of] = gateway.create_integration(
                ApiId=api_id,
                IntegrationType="AWS_PROXY",
                IntegrationUri=route.function,
                PayloadFormatVersion=route.payload,
                TimeoutInMillis=route.timeout_ms,
            )["IntegrationId"]
        used.add(known[of])
        given = {"Target": f"integrations/{known[of]}", "AuthorizationType": route.authorization}
        there = routes.get(route.key)
        if there is None:
            gateway.create_route(ApiId=api_id, RouteKey=route.key, **given)
        elif any(there.get(name) != value for name, value in given.items()):
            gateway.update_route(ApiId=api_id, RouteId=there["RouteId"], **given)
    for key in routes.keys() - {route.key for route in wanted}:
        gateway.delete_route(ApiId=api_id, RouteId=routes[key]["RouteId"])
    for integration in set(known.values()) - used:
        gateway.delete_integration(ApiId=api_id, IntegrationId=integration)


def _same(integration: Mapping[str, Any]) -> tuple[str, str, int]:
    return integration["IntegrationUri"], integration["PayloadFormatVersion"], integration["TimeoutInMillis"]


@dataclass(frozen=True, slots=True)
class Stages:
    """AWS::ApiGatewayV2::Stage and AWS::ApiGateway::Stage, which serve what their API has. Physical is API/STAGE."""

    remote: Remote

    def name(self, wanted: Wanted) -> str:
        return f"{self._api(wanted)}/{wanted.properties.get('StageName')}"

    def exists(self, name: str) -> bool:  # noqa: ARG002 - a stage is its API's, whose owner is told by a tag
        return False

    def create(self, wanted: Wanted) -> Result:
        tags, given = plain_tags(wanted.properties.get("Tags")), self._given(wanted)
        with calling():
            gateway = self.remote.aws("apigatewayv2")
            try:
                gateway.create_stage(**given, **({"Tags": tags} if tags else {}))
            except gateway.exceptions.ConflictException:
                gateway.update_stage(**given)
        return self._result(wanted)

    def update(self, wanted: Wanted, made: Made) -> Result:  # noqa: ARG002 - its name is the same
        with calling():
            self.remote.aws("apigatewayv2").update_stage(**self._given(wanted))
        return self._result(wanted)

    def delete(self, made: Made) -> None:
        api_id, _, stage = made.physical.partition("/")
        with calling():
            self.remote.aws("apigatewayv2").delete_stage(ApiId=api_id, StageName=stage)

    def _api(self, wanted: Wanted) -> str:
        return str(wanted.properties.get("ApiId") or wanted.properties.get("RestApiId"))

    def _given(self, wanted: Wanted) -> dict[str, Any]:
        properties = wanted.properties
        variables = properties.get("StageVariables") or properties.get("Variables") or {}
        given: dict[str, Any] = {
            "ApiId": self._api(wanted),
            "StageName": text(properties["StageName"]),
            "AutoDeploy": True,
            "StageVariables": {name: text(value) for name, value in variables.items()},
        }
        if properties.get("Description"):
            given["Description"] = text(properties["Description"])
        if settings := properties.get("DefaultRouteSettings"):
            given["DefaultRouteSettings"] = _throttle(settings)
        if settings := properties.get("RouteSettings"):
            given["RouteSettings"] = {key: _throttle(one) for key, one in settings.items()}
        return given

    def _result(self, wanted: Wanted) -> Result:
        return Result(self.name(wanted), {"Ref": text(wanted.properties["StageName"])})


@dataclass(frozen=True, slots=True)
class Parts:
    """AWS::ApiGatewayV2::Route and ::Integration, written out. Physical is API/ID."""

    remote: Remote
    noun: str  # Route or Integration

    def name(self, wanted: Wanted) -> None:  # noqa: ARG002 - ids are the server's
        return None

    def exists(self, name: str) -> bool:  # noqa: ARG002 - the protocol's signature
        return False

    def create(self, wanted: Wanted) -> Result:
        made = self._call("create", ApiId=wanted.properties["ApiId"], **self._given(wanted))
        return self._result(str(wanted.properties["ApiId"]), made)

    def update(self, wanted: Wanted, made: Made) -> Result:
        api_id, _, own = made.physical.partition("/")
        changed = self._call("update", ApiId=api_id, **{f"{self.noun}Id": own}, **self._given(wanted))
        return self._result(api_id, changed)

    def delete(self, made: Made) -> None:
        api_id, _, own = made.physical.partition("/")
        self._call("delete", ApiId=api_id, **{f"{self.noun}Id": own})

    def _given(self, wanted: Wanted) -> dict[str, Any]:
        given = {name: value for name, value in wanted.properties.items() if name != "ApiId"}
        if "TimeoutInMillis" in given:
            given["TimeoutInMillis"] = whole(given["TimeoutInMillis"])
        return given

    def _call(self, verb: str, **given: Any) -> Mapping[str, Any]:
        with calling():
            gateway = self.remote.aws("apigatewayv2")
            answer: Mapping[str, Any] = getattr(gateway, f"{verb}_{self.noun.lower()}")(**given)
        return answer

    def _result(self, api_id: str, made: Mapping[str, Any]) -> Result:
        own = str(made[f"{self.noun}Id"])
        return Result(f"{api_id}/{own}", {"Ref": own, f"{self.noun}Id": own})


def _throttle(settings: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = picked(settings, "ThrottlingBurstLimit", "ThrottlingRateLimit")
    typed: dict[str, Any] = {name: float(value) for name, value in found.items()}
    return {name: int(value) if name == "ThrottlingBurstLimit" else value for name, value in typed.items()}
