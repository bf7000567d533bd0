"""Function URLs: a function's own HTTP address, open to nobody but signers unless it says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from torpor.core.errors import Conflict, InvalidValue, ResourceNotFound
from torpor.core.function import FunctionUrl
from torpor.functions.catalog import Catalog

AUTHS = ("NONE", "AWS_IAM")
MODES = ("BUFFERED", "RESPONSE_STREAM")


class Urls:
    """Makes, changes and removes functions' URLs. `cors` is in the form of Lambda's Cors shape."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def find(self, name: str) -> FunctionUrl | None:
        """The function's URL, if it has one."""
        return self._catalog.url(name)

    def get(self, name: str) -> FunctionUrl:
        """The function's URL. Raises ResourceNotFound."""
        url = self._catalog.url(name)
        if url is None:
            raise ResourceNotFound("The resource you requested does not exist.")
        return url

    def list(self, name: str) -> tuple[FunctionUrl, ...]:
        """All URLs of a function: one, or none. Raises FunctionNotFound."""
        self._catalog.get(name)
        url = self._catalog.url(name)
        return () if url is None else (url,)

    async def create(
        self, name: str, *, auth: str, cors: Mapping[str, Any] | None = None, invoke_mode: str = "BUFFERED"
    ) -> FunctionUrl:
        """Open an address. Raises ResourceNotFound without the function, Conflict when there is a URL already."""
        url = FunctionUrl(name=name, auth=auth, cors=cors, invoke_mode=invoke_mode)
        _check(url)

        def free() -> None:
            self._require_function(name)
            if self._catalog.url(name) is not None:
                raise Conflict(
                    "Failed to create function url config for [functionArn = "
                    f"{self._catalog.home.function_arn(name)}]. Error message:  FunctionUrlConfig exists for this "
                    "Lambda function"
                )

        await self._catalog.save_url(url, check=free)
        return url

    async def update(
        self,
        name: str,
        *,
        auth: str | None = None,
        cors: Mapping[str, Any] | None = None,
        invoke_mode: str | None = None,
    ) -> FunctionUrl:
        """Change what is given. Raises ResourceNotFound."""
        old = self.get(name)
        url = FunctionUrl(
            name=name,
            auth=auth or old.auth,
            cors=old.cors if cors is None else cors,
            invoke_mode=invoke_mode or old.invoke_mode,
            created=old.created,
            modified=datetime.now(UTC),
        )
        _check(url)
        await self._catalog.save_url(url, check=lambda: self.get(name))
        return url

    async def put(self, name: str, *, auth: str) -> FunctionUrl:
        """Open an address, or change who may call it. Raises FunctionNotFound."""
        old = self._catalog.url(name)
        url = FunctionUrl(name=name, auth=auth)
        if old is not None:
            url = FunctionUrl(name=name, auth=auth, cors=old.cors, invoke_mode=old.invoke_mode, created=old.created)
        _check(url)
        await self._catalog.save_url(url, check=lambda: self._catalog.get(name))
        return url

    async def delete(self, name: str) -> None:
        """Close the address. Raises ResourceNotFound."""
        await self._catalog.remove_url(name, check=lambda: self.get(name))

    def _require_function(self, name: str) -> None:
        if self._catalog.find(name) is None:
            raise ResourceNotFound("Function does not exist")


def _check(url: FunctionUrl) -> None:
    if url.auth not in AUTHS:
        raise InvalidValue(f"A URL's auth is {' or '.join(AUTHS)}, not {url.auth!r}.")
    if url.invoke_mode not in MODES:
        raise InvalidValue(f"A URL's invoke mode is {' or '.join(MODES)}, not {url.invoke_mode!r}.")
    if url.invoke_mode != "BUFFERED":
        raise InvalidValue("Streamed responses are not supported yet: leave InvokeMode out, or write BUFFERED.")
