"""AWS Secrets Manager, over the server's secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torpor.aws.paging import page
from torpor.aws.ports import Secrets
from torpor.aws.service import Call, Params, Result, Service
from torpor.core.arn import Home
from torpor.core.errors import InvalidValue, ResourceNotFound
from torpor.core.secret import CURRENT, Secret, SecretKind, SecretVersion

_PAGE = 100
_RECOVERY_DAYS = 30
_OWN_KMS = ("alias/aws/secretsmanager",)
_UNSUPPORTED = ("AddReplicaRegions", "RotationToken", "Type", "CrossAccountPrimaryARN")


def secretsmanager_service(secrets: Secrets, home: Home) -> Service:
    """Secrets Manager over these secrets."""
    operations = SecretOperations(secrets, home)
    return Service(
        name="secretsmanager",
        handlers={**operations.handlers(), **SecretListings(secrets, home).handlers()},
        codes={
            "InvalidParameterValueException": "InvalidParameterException",
            "ResourceConflictException": "ResourceExistsException",
            "ServiceException": "InternalServiceError",
        },
        resource=operations.resource,
        arn=lambda name: f"{_prefix(home)}{name}" if name else "*",
    )


def _prefix(home: Home) -> str:
    return f"arn:aws:secretsmanager:{home.region}:{home.account}:secret:"


def secret_arn(secret: Secret, home: Home) -> str:
    return f"{_prefix(home)}{secret.name}-{secret.suffix}"


@dataclass(frozen=True, slots=True)
class SecretOperations:
    """Handlers of what concerns one secret, by operation."""

    secrets: Secrets
    home: Home

    def handlers(self) -> Mapping[str, Any]:
        return {
            "CreateSecret": self.create_secret,
            "GetSecretValue": self.get_secret_value,
            "PutSecretValue": self.put_secret_value,
            "UpdateSecret": self.update_secret,
            "DescribeSecret": self.describe_secret,
            "DeleteSecret": self.delete_secret,
            "RestoreSecret": self.restore_secret,
            "TagResource": self.tag_resource,
            "UntagResource": self.untag_resource,
        }

    def resource(self, params: Params) -> str:
        """The secret's name, whichever way it is written; a name that is not there stands for itself."""
        given = str(params.get("SecretId") or params.get("Name") or "")
        name = given.removeprefix(_prefix(self.home))
        try:
            return self.secrets.get(name, deleted=True).name
        except ResourceNotFound:
            return name

    async def create_secret(self, _: Call, params: Params) -> Result:
        _refuse_unsupported(params)
        about: dict[str, Any] = {"description": params.get("Description") or "", "tags": _tags(params)}
        name, token = params["Name"], params.get("ClientRequestToken")
        value = _value(params)
        if value is None:
            secret = await self.secrets.create(name, **about)
        else:
            content, binary = value
            secret = await self.secrets.create_with(name, content, binary=binary, version_id=token, **about)
        return self._named(secret) | {"VersionId": secret.current.id if secret.current else None}

    async def get_secret_value(self, _: Call, params: Params) -> Result:
        secret = self._secure(params)
        version = _wanted(secret, params.get("VersionId"), params.get("VersionStage"))
        value = self.secrets.value(secret, version)
        shown = {"SecretBinary": value} if version.binary else {"SecretString": value.decode()}
        return self._named(secret) | _shape(version) | shown

    async def put_secret_value(self, _: Call, params: Params) -> Result:
        _refuse_unsupported(params)
        secret = self._secure(params)
        value = _value(params)
        if value is None:
            raise InvalidValue("You must provide either SecretString or SecretBinary.")
        stages = tuple(dict.fromkeys(params.get("VersionStages") or (CURRENT,)))
        token = params.get("ClientRequestToken")
        secret, version = await self.secrets.put(
            secret.name, value[0], binary=value[1], version_id=token, stages=stages
        )
        now = next((one for one in secret.versions if one.id == version.id), version)
        return self._named(secret) | {"VersionId": now.id, "VersionStages": list(now.stages)}

    async def update_secret(self, _: Call, params: Params) -> Result:
        _refuse_unsupported(params)
        secret = self._secure(params)
        about = {} if params.get("Description") is None else {"description": params["Description"]}
        value = _value(params)
        if value is None:
            secret = await self.secrets.change(secret.name, lambda old: old.evolve(**about))
            return self._named(secret)
        token = params.get("ClientRequestToken")
        secret, version = await self.secrets.put(secret.name, value[0], binary=value[1], version_id=token, **about)
        return self._named(secret) | {"VersionId": version.id}

    async def describe_secret(self, _: Call, params: Params) -> Result:
        secret = self._secure(params, deleted=True)
        stages = {version.id: list(version.stages) for version in secret.versions if version.stages}
        return _listed(secret, self.home) | {"VersionIdsToStages": stages or None}

    async def delete_secret(self, _: Call, params: Params) -> Result:
        force, days = bool(params.get("ForceDeleteWithoutRecovery")), params.get("RecoveryWindowInDays")
        if force and days is not None:
            raise InvalidValue("You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.")
        if days is not None and not 7 <= days <= 30:
            raise InvalidValue("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).")
        name = self._secure(params, deleted=True).name
        secret, at = await self.secrets.delete(name, recovery_days=None if force else days or _RECOVERY_DAYS)
        return self._named(secret) | {"DeletionDate": at}

    async def restore_secret(self, _: Call, params: Params) -> Result:
        name = self._secure(params, deleted=True).name
        return self._named(await self.secrets.change(name, lambda old: old.evolve(deletes=None), deleted=True))

    async def tag_resource(self, _: Call, params: Params) -> Result:
        added = _tags(params)
        await self.secrets.change(self._secure(params).name, lambda old: old.evolve(tags={**old.tags, **added}))
        return {}

    async def untag_resource(self, _: Call, params: Params) -> Result:
        gone = set(params["TagKeys"])
        kept = {key: value for key, value in self._secure(params).tags.items() if key not in gone}
        await self.secrets.change(self._secure(params).name, lambda old: old.evolve(tags=kept))
        return {}

    def _secure(self, params: Params, *, deleted: bool = False) -> Secret:
        """The secret that is meant; a parameter that is no secure string is none. Raises SecretNotFound."""
        secret = self.secrets.get(params["SecretId"].removeprefix(_prefix(self.home)), deleted=deleted)
        if secret.kind is not SecretKind.SECURE:
            raise ResourceNotFound("Secrets Manager can't find the specified secret.")
        return secret

    def _named(self, secret: Secret) -> dict[str, Any]:
        return {"ARN": secret_arn(secret, self.home), "Name": secret.name}


@dataclass(frozen=True, slots=True)
class SecretListings:
    """Handlers of what lists, by operation."""

    secrets: Secrets
    home: Home

    def handlers(self) -> Mapping[str, Any]:
        return {"ListSecrets": self.list_secrets, "ListSecretVersionIds": self.list_secret_version_ids}

    async def list_secrets(self, _: Call, params: Params) -> Result:
        filters = [_filter(one) for one in params.get("Filters") or ()]
        found = [
            secret
            for secret in self.secrets.all()
            if secret.kind is SecretKind.SECURE
            and (secret.deletes is None or params.get("IncludePlannedDeletion"))
            and all(fits(secret) for fits in filters)
        ]
        some, token = page(found, lambda one: one.name, params.get("NextToken"), params.get("MaxResults") or _PAGE)
        shapes = [
            _listed(secret, self.home)
            | {"SecretVersionsToStages": {one.id: list(one.stages) for one in secret.versions if one.stages} or None}
            for secret in some
        ]
        return {"SecretList": shapes, "NextToken": token}

    async def list_secret_version_ids(self, _: Call, params: Params) -> Result:
        secret = self.secrets.get(params["SecretId"].removeprefix(_prefix(self.home)), deleted=True)
        versions = [one for one in secret.versions if one.stages or params.get("IncludeDeprecated")]
        some, token = page(
            versions, lambda one: f"{one.number:020}", params.get("NextToken"), params.get("MaxResults") or _PAGE
        )
        return {
            "Versions": [_shape(version) for version in some],
            "NextToken": token,
            "ARN": secret_arn(secret, self.home),
            "Name": secret.name,
        }


def _wanted(secret: Secret, version_id: str | None, stage: str | None) -> SecretVersion:
    found = [
        version
        for version in secret.versions
        if version_id in (None, version.id)
        and (stage in version.stages if stage else version_id is not None or CURRENT in version.stages)
    ]
    if found:
        return found[0]
    what = f"VersionId: {version_id}" if version_id else f"staging label: {stage or CURRENT}"
    raise ResourceNotFound(f"Secrets Manager can't find the specified secret value for {what}")


def _value(params: Params) -> tuple[bytes, bool] | None:
    """The value and whether it is binary; None where there is none."""
    text, binary = params.get("SecretString"), params.get("SecretBinary")
    if text is not None and binary is not None:
        raise InvalidValue("You can't specify both a binary secret value and a string secret value in the same secret.")
    if text is not None:
        return text.encode(), False
    return None if binary is None else (binary, True)


def _shape(version: SecretVersion) -> dict[str, Any]:
    return {"VersionId": version.id, "VersionStages": list(version.stages) or None, "CreatedDate": version.created}


def _listed(secret: Secret, home: Home) -> dict[str, Any]:
    return {
        "ARN": secret_arn(secret, home),
        "Name": secret.name,
        "Description": secret.description or None,
        "CreatedDate": secret.created,
        "LastChangedDate": secret.changed,
        "DeletedDate": secret.deletes,
        "Tags": [{"Key": key, "Value": value} for key, value in secret.tags.items()],
    }


def _filter(given: Mapping[str, Any]) -> Callable[[Secret], bool]:
    """One of AWS's filters: a value beginning with `!` excludes; names begin, words of descriptions do too."""
    key, values = given.get("Key") or "all", list(given.get("Values") or ())
    texts = _TEXTS.get(key)
    if texts is None:
        raise InvalidValue(f"torpor does not support the filter {key}: use {', '.join(_TEXTS)}.")
    wanted = [value for value in values if not value.startswith("!")]
    unwanted = [value[1:] for value in values if value.startswith("!")]

    def fits(secret: Secret) -> bool:
        found = list(texts(secret))
        begins = [any(text.startswith(value) for text in found) for value in wanted]
        return (not wanted or any(begins)) and not any(text.startswith(no) for text in found for no in unwanted)

    return fits


def _words(text: str) -> Iterable[str]:
    return (text, *re.split(r"\W+", text))


_TEXTS: Mapping[str, Callable[[Secret], Iterable[str]]] = {
    "name": lambda secret: (secret.name,),
    "description": lambda secret: _words(secret.description),
    "tag-key": lambda secret: secret.tags,
    "tag-value": lambda secret: secret.tags.values(),
    "all": lambda secret: (secret.name, *_words(secret.description), *secret.tags, *secret.tags.values()),
}


def _tags(params: Params) -> dict[str, str]:
    tags = params.get("Tags") or ()
    if not all(len(tag) == 2 for tag in tags):  # the model requires neither of the two
        raise InvalidValue("Each tag must have a Key and a Value.")
    return {tag["Key"]: tag["Value"] for tag in tags}


def _refuse_unsupported(params: Params) -> None:
    for name in _UNSUPPORTED:
        if params.get(name):
            raise InvalidValue(f"torpor does not support {name}: leave it out.")
    if params.get("KmsKeyId") not in (None, "", *_OWN_KMS):
        raise InvalidValue("torpor seals secrets with the data folder's own key: leave out KmsKeyId.")
