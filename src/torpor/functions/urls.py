"""Function URLs: a function's own HTTP address, open to nobody but signers unless it says otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from torpor.core.errors import Conflict, InvalidValue, ResourceNotFound
from torpor.core.function import FunctionUrl
from torpor.functions.catalog import Catalog

AUTHS = ("NONE", "AWS_IAM")
MODES = ("BUFFERED", "RESPONSE_STREAM")


class Urls:
    """Makes, changes and removes URLs of functions and aliases. `cors` is in the form of Lambda's Cors shape."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def find(self, name: str, qualifier: str | None = None) -> FunctionUrl | None:
        """The function's or alias's URL, if it has one."""
        return self._catalog.url(name, qualifier)

    def get(self, name: str, qualifier: str | None = None) -> FunctionUrl:
        """The function's or alias's URL. Raises ResourceNotFound."""
        url = self._catalog.url(name, qualifier)
        if url is None:
            raise ResourceNotFound("The resource you requested does not exist.")
        return url

    def list(self, name: str) -> tuple[FunctionUrl, ...]:
        """All URLs of a function and its aliases. Raises FunctionNotFound."""
        self._catalog.get(name)
        return tuple(self._catalog.urls.of(name).values())

    async def create(
        self,
        name: str,
        *,
        auth: str,
        cors: Mapping[str, Any] | None = None,
        invoke_mode: str = "BUFFERED",
        qualifier: str | None = None,
    ) -> FunctionUrl:
        """Open an address. Raises ResourceNotFound without the function, Conflict when there is a URL already."""
        url = FunctionUrl(name=name, qualifier=qualifier, auth=auth, cors=cors, invoke_mode=invoke_mode)
        _check(url)

        def free() -> None:
            self._require(name, qualifier)
            if self._catalog.url(name, qualifier) is not None:
                raise Conflict(
                    "Failed to create function url config for [functionArn = "
                    f"{self._catalog.home.function_arn(name, qualifier)}]. Error message:  FunctionUrlConfig exists "
                    "for this Lambda function"
                )

        await self._save(url, free)
        return url

    async def update(
        self,
        name: str,
        *,
        auth: str | None = None,
        cors: Mapping[str, Any] | None = None,
        invoke_mode: str | None = None,
        qualifier: str | None = None,
    ) -> FunctionUrl:
        """Change what is given. Raises ResourceNotFound."""
        old = self.get(name, qualifier)
        url = replace(
            old,
            auth=auth or old.auth,
            cors=old.cors if cors is None else cors,
            invoke_mode=invoke_mode or old.invoke_mode,
            modified=datetime.now(UTC),
        )
        _check(url)
        await self._save(url, lambda: self.get(name, qualifier))
        return url

    async def put(
        self, name: str, *, auth: str, invoke_mode: str | None = None, qualifier: str | None = None
    ) -> FunctionUrl:
        """Open an address, or change who may call it, and how it answers. Raises FunctionNotFound."""
        old = self._catalog.url(name, qualifier)
        url = FunctionUrl(name=name, qualifier=qualifier, auth=auth, invoke_mode=invoke_mode or "BUFFERED")
        if old is not None:
            url = replace(old, auth=auth, invoke_mode=invoke_mode or old.invoke_mode, modified=url.modified)
        _check(url)
        await self._save(url, lambda: self._catalog.get(name, qualifier))
        return url

    async def delete(self, name: str, qualifier: str | None = None) -> None:
        """Close the address. Raises ResourceNotFound."""
        await self._catalog.urls.remove(name, qualifier or "", check=lambda: self.get(name, qualifier))

    async def _save(self, url: FunctionUrl, check: Callable[[], object]) -> None:
        await self._catalog.urls.save(url.name, url.qualifier or "", url, check=check)

    def _require(self, name: str, qualifier: str | None) -> None:
        if self._catalog.find(name) is None or (qualifier and self._catalog.alias(name, qualifier) is None):
            raise ResourceNotFound("Function does not exist")


def _check(url: FunctionUrl) -> None:
    if url.auth not in AUTHS:
        raise InvalidValue(f"A URL's auth is {' or '.join(AUTHS)}, not {url.auth!r}.")
    if url.invoke_mode not in MODES:
        raise InvalidValue(f"A URL's invoke mode is {' or '.join(MODES)}, not {url.invoke_mode!r}.")
