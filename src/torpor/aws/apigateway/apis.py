"""The operations on APIs themselves, and on tags."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torpor.aws.apigateway import rules
from torpor.aws.apigateway.ports import Apis
from torpor.aws.apigateway.shapes import api_shape
from torpor.aws.service import Call, Params, Result
from torpor.core.arn import Home
from torpor.core.errors import InvalidValue, ResourceNotFound
from torpor.core.http_api import DEFAULT, HttpApi, Stage
from torpor.functions import api_changes

_ARN = re.compile(r"arn:[^:]+:apigateway:(?P<region>[^:]+)::/(?:v2/)?apis/(?P<api>[^/]+)(?:/stages/(?P<stage>[^/]+))?")


@dataclass(frozen=True, slots=True)
class ApiOperations:
    """Handlers by operation; `endpoint` gives the address of an API by its id."""

    apis: Apis
    home: Home
    endpoint: Callable[[str], str]

    def handlers(self) -> Mapping[str, Any]:
        return {
            "CreateApi": self.create_api,
            "GetApi": self.get_api,
            "GetApis": self.get_apis,
            "UpdateApi": self.update_api,
            "DeleteApi": self.delete_api,
            "DeleteCorsConfiguration": self.delete_cors_configuration,
            "GetTags": self.get_tags,
            "TagResource": self.tag_resource,
            "UntagResource": self.untag_resource,
        }

    async def create_api(self, call: Call, params: Params) -> Result:
        rules.check(params)
        rules.check_may_invoke(call.principal, params.get("Target"))
        if params["ProtocolType"] != "HTTP":
            raise InvalidValue("torpor offers HTTP APIs, and no WEBSOCKET ones yet: pass ProtocolType HTTP.")
        target, key = params.get("Target"), params.get("RouteKey")
        if target is None and (key is not None or params.get("CredentialsArn")):
            raise InvalidValue(
                "RouteKey and CredentialsArn are for quick create: pass a Target, a function's ARN, too."
            )

        def build(api: HttpApi) -> HttpApi:
            if target is None:
                return api
            return api_changes.quickly(api, target, key or DEFAULT, params.get("CredentialsArn"))

        tags = rules.check_tags(params.get("Tags") or {})
        api = await self.apis.create(build, tags=tags, **_values(params))
        return self._shape(api)

    async def get_api(self, _: Call, params: Params) -> Result:
        return self._shape(self.apis.get(params["ApiId"]))

    async def get_apis(self, _: Call, params: Params) -> Result:
        page, token = rules.page_of(self.apis.list(), lambda api: api.id, params)
        return {"Items": [self._shape(api) for api in page], "NextToken": token}

    async def update_api(self, call: Call, params: Params) -> Result:
        rules.check(params)
        rules.check_may_invoke(call.principal, params.get("Target"))
        values = _values(params)

        def step(api: HttpApi) -> HttpApi:
            return _quickly_changed(api.evolve(**values), params)

        return self._shape(await self.apis.change(params["ApiId"], step))

    async def delete_api(self, _: Call, params: Params) -> Result:
        await self.apis.delete(params["ApiId"])
        return {}

    async def delete_cors_configuration(self, _: Call, params: Params) -> Result:
        await self.apis.change(params["ApiId"], lambda api: api.evolve(cors=None))
        return {}

    async def get_tags(self, _: Call, params: Params) -> Result:
        api_id, stage = self._resource(params)
        api = self.apis.get(api_id)
        return {"Tags": dict(api.tags if stage is None else api_changes.stage_of(api, stage).tags)}

    async def tag_resource(self, _: Call, params: Params) -> Result:
        given = params.get("Tags") or {}
        await self._change_tags(params, lambda tags: {**tags, **given})
        return {}

    async def untag_resource(self, _: Call, params: Params) -> Result:
        gone = set(params["TagKeys"])
        await self._change_tags(params, lambda tags: {key: value for key, value in tags.items() if key not in gone})
        return {}

    async def _change_tags(self, params: Params, change: Callable[[Mapping[str, str]], dict[str, str]]) -> None:
        api_id, name = self._resource(params)

        def step(api: HttpApi) -> HttpApi:
            if name is None:
                return api.evolve(tags=rules.check_tags(change(api.tags)))
            stage: Stage = api_changes.stage_of(api, name)
            tagged = stage.evolve(tags=rules.check_tags(change(stage.tags)))
            return api.evolve(stages={**api.stages, name: tagged})

        await self.apis.change(api_id, step)

    def _resource(self, params: Params) -> tuple[str, str | None]:
        match = _ARN.fullmatch(params["ResourceArn"])
        if match is None or match["region"] != self.home.region:
            arn = f"arn:aws:apigateway:{self.home.region}::/apis/API-ID"
            raise ResourceNotFound(
                f"Invalid resource {params['ResourceArn'][:200]!r}: write {arn}, a stage with /stages/NAME behind."
            )
        return match["api"], match["stage"]

    def _shape(self, api: HttpApi) -> dict[str, Any]:
        return api_shape(api, self.endpoint(api.id))


_FIELDS = {
    "Name": "name",
    "Description": "description",
    "Version": "version",
    "DisableExecuteApiEndpoint": "disabled",
    "IpAddressType": "ip_address_type",
}


def _values(params: Params) -> dict[str, Any]:
    """The fields of HttpApi that a request sets."""
    values = {field: params[name] for name, field in _FIELDS.items() if params.get(name) is not None}
    if params.get("CorsConfiguration") is not None:
        values["cors"] = rules.check_cors(params["CorsConfiguration"]) or None
    return values


def _quickly_changed(api: HttpApi, params: Params) -> HttpApi:
    """With a new target, key or role for what quick create made. Raises InvalidValue where that made nothing."""
    integration = next((one for one in api.integrations.values() if one.managed), None)
    route = next((one for one in api.routes.values() if one.managed), None)
    changes = {"uri": params.get("Target"), "credentials": params.get("CredentialsArn")}
    changes = {field: value for field, value in changes.items() if value is not None}
    key = params.get("RouteKey")
    if not changes and key is None:
        return api
    if integration is None or route is None:
        raise InvalidValue(
            "Target, RouteKey and CredentialsArn change an API made by quick create, and this one was not."
        )
    api = api_changes.with_integration(api, integration.evolve(**changes))
    return api_changes.with_route(api, route.evolve(key=key)) if key is not None else api
