"""The operations on function URLs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torpor.aws.lambda_.names import function_ref, latest_only
from torpor.aws.lambda_.shapes import url_config
from torpor.aws.ports import Catalog, Urls
from torpor.aws.service import Call, Params, Result
from torpor.core.arn import Home
from torpor.core.errors import InvalidValue
from torpor.core.function import FunctionUrl


@dataclass(frozen=True, slots=True)
class UrlOperations:
    """Handlers by operation; `url_address` gives the public address of a function."""

    catalog: Catalog
    urls: Urls
    home: Home
    url_address: Callable[[str], str]

    def handlers(self) -> Mapping[str, Any]:
        return {
            "CreateFunctionUrlConfig": self.create_function_url_config,
            "GetFunctionUrlConfig": self.get_function_url_config,
            "UpdateFunctionUrlConfig": self.update_function_url_config,
            "DeleteFunctionUrlConfig": self.delete_function_url_config,
            "ListFunctionUrlConfigs": self.list_function_url_configs,
        }

    async def create_function_url_config(self, _: Call, params: Params) -> Result:
        name = self._name(params)
        _refuse_streaming(params)
        url = await self.urls.create(name, auth=params["AuthType"], cors=params.get("Cors"))
        return self._shape(url)

    async def get_function_url_config(self, _: Call, params: Params) -> Result:
        return self._shape(self.urls.get(self._name(params)))

    async def update_function_url_config(self, _: Call, params: Params) -> Result:
        name = self._name(params)
        _refuse_streaming(params)
        url = await self.urls.update(name, auth=params.get("AuthType"), cors=params.get("Cors"))
        return self._shape(url)

    async def delete_function_url_config(self, _: Call, params: Params) -> Result:
        await self.urls.delete(self._name(params))
        return {}

    async def list_function_url_configs(self, _: Call, params: Params) -> Result:
        """A function has one URL, until it has aliases: so there is one page."""
        return {"FunctionUrlConfigs": [self._shape(url) for url in self.urls.list(self._name(params))]}

    def _name(self, params: Params) -> str:
        """The function's name; one that does not exist is told here, before anything is told about its URL."""
        name = latest_only(function_ref(params, self.home), self.home)
        return self.catalog.get(name).name

    def _shape(self, url: FunctionUrl) -> Result:
        return url_config(url, self.url_address(url.name), self.home)


def _refuse_streaming(params: Params) -> None:
    if params.get("InvokeMode", "BUFFERED") != "BUFFERED":
        raise InvalidValue("torpor does not support InvokeMode RESPONSE_STREAM yet: leave it out, or pass BUFFERED.")
