"""The operations that create, change, read and delete functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torpor.aws.lambda_.concurrency import reserved_concurrency
from torpor.aws.lambda_.configuration import Configurations
from torpor.aws.lambda_.names import function_ref, latest_only
from torpor.aws.lambda_.shapes import function_configuration
from torpor.aws.lambda_.unsupported import refuse_unsupported
from torpor.aws.ports import Catalog, Concurrency, Deployer
from torpor.aws.protocol.faults import EntityTooLarge
from torpor.aws.service import Call, Params, Result
from torpor.core.arn import LATEST, Home
from torpor.core.errors import InvalidValue
from torpor.core.function import Function
from torpor.core.limits import Limits

_PAGE = 50  # as on AWS


@dataclass(frozen=True, slots=True)
class FunctionOperations:
    """Handlers by operation; `code_location` gives an address that serves the archive of a function or version."""

    catalog: Catalog
    deployer: Deployer
    concurrency: Concurrency
    configurations: Configurations
    home: Home
    limits: Limits
    code_location: Callable[[Function], str]

    def handlers(self) -> Mapping[str, Any]:
        return {
            "CreateFunction": self.create_function,
            "UpdateFunctionCode": self.update_function_code,
            "UpdateFunctionConfiguration": self.update_function_configuration,
            "GetFunction": self.get_function,
            "GetFunctionConfiguration": self.get_function_configuration,
            "ListFunctions": self.list_functions,
            "DeleteFunction": self.delete_function,
        }

    async def create_function(self, call: Call, params: Params) -> Result:
        ref = function_ref(params, self.home)
        if ref.qualifier is not None:
            raise InvalidValue(f"A function is created without a qualifier: '{ref.name}', not '{ref.text}'.")
        params = {**params, "FunctionName": ref.name}
        # What names the kind of package comes first: without it, Runtime and Handler would be asked for.
        refuse_unsupported({"PackageType": params.get("PackageType"), **params["Code"]})
        config = self.configurations.new(params)
        call.principal.check_may_grant(config.grants)
        archive = self._archive(call, params["Code"])
        function = await self.deployer.create(config, archive, publish=bool(params.get("Publish")))
        return function_configuration(function, self.home, function.qualifier)

    async def update_function_code(self, call: Call, params: Params) -> Result:
        name = latest_only(function_ref(params, self.home), self.home)
        refuse_unsupported(params)
        self.configurations.check_architecture(params.get("Architectures"))
        archive = self._archive(call, params)
        function = await self.deployer.update_code(
            name,
            archive,
            params.get("RevisionId") or None,
            dry_run=bool(params.get("DryRun")),
            publish=bool(params.get("Publish")),
        )
        return function_configuration(function, self.home, function.qualifier)

    async def update_function_configuration(self, call: Call, params: Params) -> Result:
        name = latest_only(function_ref(params, self.home), self.home)
        changes = self.configurations.changes({**params, "FunctionName": name})
        before = self.catalog.get(name).config
        call.principal.check_may_grant(before.evolve(**changes).grants_beyond(before))
        function = await self.deployer.update_config(name, changes, params.get("RevisionId") or None)
        return function_configuration(function, self.home)

    async def get_function(self, _: Call, params: Params) -> Result:
        function, qualifier = self._find(params)
        code = {"RepositoryType": "S3", "Location": self.code_location(function)}
        answer: dict[str, Any] = {"Configuration": function_configuration(function, self.home, qualifier), "Code": code}
        if reserved := reserved_concurrency(self.concurrency.get(function.name)):
            answer["Concurrency"] = reserved
        tags = self.catalog.get(function.name).config.tags  # the function's: versions have none of their own
        return answer | ({"Tags": dict(tags)} if tags else {})

    async def get_function_configuration(self, _: Call, params: Params) -> Result:
        function, qualifier = self._find(params)
        return function_configuration(function, self.home, qualifier)

    async def list_functions(self, _: Call, params: Params) -> Result:
        every = params.get("FunctionVersion") == "ALL"
        limit = min(params.get("MaxItems") or _PAGE, _PAGE)
        page = self.catalog.list(params.get("Marker") or None, limit, versions=every)
        shapes = [
            function_configuration(function, self.home, function.version if every else None)
            for function in page.functions
        ]
        return {"Functions": shapes, "NextMarker": page.next}

    async def delete_function(self, _: Call, params: Params) -> Result:
        ref = function_ref(params, self.home)
        if ref.qualifier == LATEST:
            raise InvalidValue("$LATEST version cannot be deleted without deleting the function.")
        if ref.qualifier is None:
            await self.deployer.delete(ref.name)
        elif ref.qualifier.isdigit():
            await self.deployer.delete_version(ref.name, ref.qualifier)
        else:
            raise InvalidValue("Deletion of aliases is not currently supported: use DeleteAlias.")
        return {"StatusCode": 204}

    def _find(self, params: Params) -> tuple[Function, str | None]:
        ref = function_ref(params, self.home)
        return self.catalog.get(ref.name, ref.qualifier), ref.qualifier

    def _archive(self, call: Call, code: Mapping[str, Any]) -> bytes:
        archive: bytes = code.get("ZipFile") or b""
        limit = self.limits.zip_direct
        if not archive:
            raise InvalidValue("Please provide the function's code: a zip archive as ZipFile, which is not empty.")
        if len(archive) > limit:
            raise EntityTooLarge(f"The archive must be smaller than {limit} bytes for the {call.operation} operation.")
        return archive
