"""The operations on function URLs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torpor.aws.lambda_.names import function_ref
from torpor.aws.lambda_.shapes import url_config
from torpor.aws.ports import Catalog, Urls
from torpor.aws.service import Call, Params, Result
from torpor.core.arn import LATEST, FunctionRef, Home
from torpor.core.errors import InvalidValue
from torpor.core.function import FunctionUrl

_PAGE = 50
_OWN = "$"  # the marker behind a function's own URL: no alias is called so


@dataclass(frozen=True, slots=True)
class UrlOperations:
    """Handlers by operation; `url_address` gives the public address of NAME or NAME:ALIAS."""

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
        ref = self._ref(params)
        mode, cors = params.get("InvokeMode", "BUFFERED"), params.get("Cors")
        url = await self.urls.create(
            ref.name, auth=params["AuthType"], cors=cors, invoke_mode=mode, qualifier=ref.qualifier
        )
        return self._shape(url)

    async def get_function_url_config(self, _: Call, params: Params) -> Result:
        ref = self._ref(params)
        return self._shape(self.urls.get(ref.name, ref.qualifier))

    async def update_function_url_config(self, _: Call, params: Params) -> Result:
        ref = self._ref(params)
        mode, cors = params.get("InvokeMode"), params.get("Cors")
        url = await self.urls.update(
            ref.name, auth=params.get("AuthType"), cors=cors, invoke_mode=mode, qualifier=ref.qualifier
        )
        return self._shape(url)

    async def delete_function_url_config(self, _: Call, params: Params) -> Result:
        ref = self._ref(params)
        await self.urls.delete(ref.name, ref.qualifier)
        return {}

    async def list_function_url_configs(self, _: Call, params: Params) -> Result:
        """Its own URL first, then its aliases' in order of their names; the marker is the last one's alias."""
        urls = self.urls.list(self._ref(params).name)
        after, limit = params.get("Marker"), params.get("MaxItems") or _PAGE
        found = [url for url in urls if not after or (url.qualifier or "") > after.removeprefix(_OWN)]
        page = found[:limit]
        answer: dict[str, Any] = {"FunctionUrlConfigs": [self._shape(url) for url in page]}
        return answer | ({"NextMarker": page[-1].qualifier or _OWN} if len(found) > limit else {})

    def _ref(self, params: Params) -> FunctionRef:
        """What is meant; a function that does not exist is told here, before anything is told about its URL."""
        ref = function_ref(params, self.home)
        if ref.qualifier == LATEST or (ref.qualifier or "").isdigit():
            raise InvalidValue("A URL belongs to a function or to an alias: leave the version out.")
        self.catalog.get(ref.name)
        return ref

    def _shape(self, url: FunctionUrl) -> Result:
        address = url.name if url.qualifier is None else f"{url.name}:{url.qualifier}"
        return url_config(url, self.url_address(address), self.home)
