"""Parameters of AWS Systems Manager, over the server's secrets: a secure string is a secret, and a secret one."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torpor.aws.paging import page
from torpor.aws.ports import Secrets
from torpor.aws.service import Call, Params, Result, Service
from torpor.core.arn import Home
from torpor.core.errors import InvalidValue, ResourceNotFound, UserError
from torpor.core.secret import Secret, SecretKind, SecretVersion

_PAGE, _VALUES_PAGE = 50, 10
_REFERENCE = "/aws/reference/secretsmanager/"
_PARAMETER = re.compile(r"[a-zA-Z0-9_.\-/]{1,1011}")
_SELECTOR = re.compile(r"(?P<name>[^:]+)(?::(?P<version>\d{1,9}))?")
_UNSUPPORTED = ("AllowedPattern", "Policies")


class ParameterNotFound(ResourceNotFound):
    """There is no such parameter."""

    code = "ParameterNotFound"


class ParameterVersionNotFound(ResourceNotFound):
    """The parameter has no such version, or it is not kept any longer."""

    code = "ParameterVersionNotFound"


class InvalidFilterKey(UserError):
    """The filter is not one of those that torpor offers."""

    code = "InvalidFilterKey"


class TypeMismatch(UserError):
    """The parameter has another type already."""

    code = "HierarchyTypeMismatchException"


def ssm_service(secrets: Secrets, home: Home) -> Service:
    """Parameters over these secrets."""
    operations = ParameterOperations(secrets, home)
    return Service(
        name="ssm",
        handlers=operations.handlers(),
        codes={
            "InvalidParameterValueException": "ValidationException",
            "ResourceConflictException": "ParameterAlreadyExists",
            "ResourceNotFoundException": "ParameterNotFound",
            "InvalidRequestException": "ParameterNotFound",
            "ServiceException": "InternalServerError",
        },
        resource=operations.resource,
        arn=lambda name: _arn(name, home) if name else "*",
    )


def _arn(name: str, home: Home) -> str:
    return f"arn:aws:ssm:{home.region}:{home.account}:parameter/{name.removeprefix('/')}"


@dataclass(frozen=True, slots=True)
class ParameterOperations:
    """Handlers by operation."""

    secrets: Secrets
    home: Home

    def handlers(self) -> Mapping[str, Any]:
        return {
            "PutParameter": self.put_parameter,
            "GetParameter": self.get_parameter,
            "GetParameters": self.get_parameters,
            "GetParametersByPath": self.get_parameters_by_path,
            "DescribeParameters": self.describe_parameters,
            "DeleteParameter": self.delete_parameter,
            "DeleteParameters": self.delete_parameters,
        }

    def resource(self, params: Params) -> str | Sequence[str]:
        """The names that are acted upon, without selectors; a path for what is below it."""
        if "Names" in params:
            return [self._plain(name) for name in params["Names"]]
        return self._plain(params["Name"]) if "Name" in params else str(params.get("Path") or "")

    async def put_parameter(self, _: Call, params: Params) -> Result:
        for one in _UNSUPPORTED:
            if params.get(one):
                raise InvalidValue(f"torpor does not support {one}: leave it out.")
        if params.get("DataType") not in (None, "text"):
            raise InvalidValue("torpor keeps parameters of the data type text alone.")
        if params.get("KeyId") not in (None, "alias/aws/ssm"):
            raise InvalidValue("torpor seals parameters with the data folder's own key: leave out KeyId.")
        name, value = params["Name"], params["Value"].encode()
        _check_name(name)
        tags = {tag["Key"]: tag["Value"] for tag in params.get("Tags") or ()}
        kind = SecretKind(params["Type"]) if params.get("Type") else None
        about: dict[str, Any] = {"tags": tags} if tags else {}
        if params.get("Description") is not None:
            about["description"] = params["Description"]
        if not params.get("Overwrite"):
            if kind is None:
                raise InvalidValue("A parameter type is required when you create a parameter.")
            secret = await self.secrets.create_with(name, value, kind=kind, **about)
        else:
            if tags:
                raise InvalidValue("Tags and Overwrite can't be used together.")
            secret = await self.secrets.set(name, value, kind=self._kept_kind(name, kind), **about)
        return {"Version": secret.versions[-1].number, "Tier": "Standard"}

    async def get_parameter(self, _: Call, params: Params) -> Result:
        return {"Parameter": self._parameter(params["Name"], decrypted=bool(params.get("WithDecryption")))}

    async def get_parameters(self, _: Call, params: Params) -> Result:
        found, invalid = [], []
        for name in dict.fromkeys(params["Names"]):
            try:
                found.append(self._parameter(name, decrypted=bool(params.get("WithDecryption"))))
            except ResourceNotFound:
                invalid.append(name)
        return {"Parameters": found, "InvalidParameters": invalid}

    async def get_parameters_by_path(self, _: Call, params: Params) -> Result:
        path = params["Path"]
        if not path.startswith("/"):
            raise InvalidValue("The parameter doesn't meet the parameter name requirements: a path begins with '/'.")
        below = path if path.endswith("/") else f"{path}/"
        deep = bool(params.get("Recursive"))
        fits = _filters(params.get("ParameterFilters") or ())
        found = [
            secret
            for secret in self._all()
            if secret.name.startswith(below) and (deep or "/" not in secret.name[len(below) :]) and fits(secret)
        ]
        limit = params.get("MaxResults") or _VALUES_PAGE
        some, token = page(found, lambda one: one.name, params.get("NextToken"), limit)
        decrypted = bool(params.get("WithDecryption"))
        return {"Parameters": [self._shape(one, decrypted=decrypted) for one in some], "NextToken": token}

    async def describe_parameters(self, _: Call, params: Params) -> Result:
        if params.get("Filters"):
            raise InvalidValue("torpor does not support Filters: use ParameterFilters.")
        fits = _filters(params.get("ParameterFilters") or ())
        found = [secret for secret in self._all() if fits(secret)]
        some, token = page(found, lambda one: one.name, params.get("NextToken"), params.get("MaxResults") or _PAGE)
        return {"Parameters": [self._described(one) for one in some], "NextToken": token}

    async def delete_parameter(self, _: Call, params: Params) -> Result:
        await self.secrets.delete(self._find(params["Name"]).name)
        return {}

    async def delete_parameters(self, _: Call, params: Params) -> Result:
        deleted, invalid = [], []
        for name in dict.fromkeys(params["Names"]):
            try:
                await self.secrets.delete(self._find(name).name)
                deleted.append(name)
            except ResourceNotFound:
                invalid.append(name)
        return {"DeletedParameters": deleted, "InvalidParameters": invalid}

    def _plain(self, name: str) -> str:
        name = name.partition(":parameter")[2] if name.startswith("arn:") else name
        return name.removeprefix(_REFERENCE).partition(":")[0]

    def _find(self, name: str) -> Secret:
        """Raises ParameterNotFound; a name in an ARN has lost the difference between `a` and `/a`."""
        plain = self._plain(name)
        names = [plain, plain.removeprefix("/")] if name.startswith("arn:") else [plain]
        for one in names:
            try:
                secret = self.secrets.get(one, deleted=True)
            except ResourceNotFound:
                continue
            if secret.deletes is None and secret.name == one and secret.versions:
                return secret
        raise ParameterNotFound(f"Parameter {name} not found.")

    def _all(self) -> list[Secret]:
        return [one for one in self.secrets.all() if one.deletes is None and one.current is not None]

    def _kept_kind(self, name: str, wanted: SecretKind | None) -> SecretKind:
        try:
            kept = self._find(name).kind
        except ResourceNotFound:
            if wanted is None:
                raise InvalidValue("A parameter type is required when you create a parameter.") from None
            return wanted
        if wanted not in (None, kept):
            raise TypeMismatch(f"The parameter {name} is a {kept}: delete it first to make it a {wanted}.")
        return kept

    def _parameter(self, name: str, *, decrypted: bool) -> dict[str, Any]:
        selector = "" if name.startswith("arn:") else name.removeprefix(_REFERENCE)
        match = _SELECTOR.fullmatch(selector)
        secret = self._find(name)
        if match is None or match["version"] is None:
            return self._shape(secret, decrypted=decrypted)
        number = int(match["version"])
        version = next((one for one in secret.versions if one.number == number), None)
        if version is None:
            raise ParameterVersionNotFound(f"Systems Manager could not find version {number} of {secret.name}.")
        return self._shape(secret, version, decrypted=decrypted) | {"Selector": f":{number}"}

    def _shape(self, secret: Secret, version: SecretVersion | None = None, *, decrypted: bool) -> dict[str, Any]:
        version = version or secret.current
        if version is None or version.binary:
            raise ParameterNotFound(f"Parameter {secret.name} not found: it holds no text.")
        sealed = secret.kind is SecretKind.SECURE and not decrypted
        value = base64.b64encode(version.sealed).decode() if sealed else self.secrets.value(secret, version).decode()
        return {
            "Name": secret.name,
            "Type": secret.kind.value,
            "Value": value,
            "Version": version.number,
            "LastModifiedDate": version.created,
            "ARN": _arn(secret.name, self.home),
            "DataType": "text",
        }

    def _described(self, secret: Secret) -> dict[str, Any]:
        return {
            "Name": secret.name,
            "ARN": _arn(secret.name, self.home),
            "Type": secret.kind.value,
            "KeyId": "alias/aws/ssm" if secret.kind is SecretKind.SECURE else None,
            "LastModifiedDate": secret.changed,
            "LastModifiedUser": f"arn:aws:iam::{self.home.account}:root",
            "Description": secret.description or None,
            "Version": secret.current.number if secret.current else None,
            "Tier": "Standard",
            "DataType": "text",
        }


def _filters(given: Sequence[Mapping[str, Any]]) -> Callable[[Secret], bool]:
    checks = [_filter(one) for one in given]
    return lambda secret: all(fits(secret) for fits in checks)


def _filter(given: Mapping[str, Any]) -> Callable[[Secret], bool]:
    key, values = given["Key"], tuple(given.get("Values") or ())
    option = given.get("Option") or ("OneLevel" if key == "Path" else "Equals")
    if key == "Type":
        return lambda secret: secret.kind.value in values
    if key == "Name" and option == "Equals":
        return lambda secret: secret.name in values
    if key == "Name" and option == "BeginsWith":
        return lambda secret: secret.name.startswith(values)
    if key == "Name" and option == "Contains":
        return lambda secret: any(value in secret.name for value in values)
    if key == "Path" and option in {"OneLevel", "Recursive"}:
        paths = [value.rstrip("/") + "/" for value in values]
        return lambda secret: any(
            secret.name.startswith(path) and (option == "Recursive" or "/" not in secret.name[len(path) :])
            for path in paths
        )
    if key.startswith("tag:"):
        return lambda secret: secret.tags.get(key[4:]) in values if values else key[4:] in secret.tags
    raise InvalidFilterKey(f"torpor filters by Name (Equals, BeginsWith, Contains), Path, Type and tag:KEY, not {key}.")


def _check_name(name: str) -> None:
    wrong = _PARAMETER.fullmatch(name) is None or (name.startswith("/") and ("//" in name or name.endswith("/")))
    if wrong or name.lower().lstrip("/").startswith(("aws", "ssm")):
        raise InvalidValue(
            "Parameter name must be a fully qualified name of letters, numbers and the symbols . - _ with / between "
            'them, and can\'t be prefixed with "aws" or "ssm" (case-insensitive).'
        )
