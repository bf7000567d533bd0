"""Parameters that torpor cannot honour yet: their empty or default values are accepted, others refused by name.

To drop one silently would deploy a function that does something else than was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torpor.core.errors import InvalidValue

# Parameter → the value besides an empty one that asks for nothing.
_NEUTRAL: Mapping[str, Any] = {
    "AcceleratorConfig": None,
    "CapacityProviderConfig": None,
    "CodeSigningConfigArn": None,
    "DurableConfig": None,
    "DurableExecutionName": None,
    "FileSystemConfigs": None,
    "ImageConfig": None,
    "ImageUri": None,
    "KMSKeyArn": None,
    "PackageType": "Zip",
    "PublishTo": None,
    "RuntimeConfig": None,
    "S3Bucket": None,
    "S3Key": None,
    "S3ObjectStorageMode": None,
    "S3ObjectVersion": None,
    "SourceKMSKeyArn": None,
    "TenancyConfig": None,
    "TenantId": None,
    "TracingConfig": {"Mode": "PassThrough"},
    "VpcConfig": None,
}
_INSTEAD = {
    "ImageUri": "torpor runs zip archives, not container images: pass Code.ZipFile",
    "PackageType": "torpor runs zip archives, not container images: pass PackageType 'Zip'",
    "S3Bucket": "there is no object storage yet: pass the archive itself as ZipFile",
    "S3Key": "there is no object storage yet: pass the archive itself as ZipFile",
    "TracingConfig": "pass Mode 'PassThrough': traces are not recorded",
    "VpcConfig": "name what the function may connect to in the tag torpor:reach",
}


def refuse_unsupported(params: Mapping[str, Any]) -> None:
    """Raise InvalidValue, naming the first parameter that asks for what torpor does not do yet."""
    for name, value in params.items():
        if name in _NEUTRAL and value != _NEUTRAL[name] and not _is_empty(value):
            instead = _INSTEAD.get(name, "leave it out, or empty")
            raise InvalidValue(f"torpor does not support {name} yet: {instead}.")


def _is_empty(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_is_empty(inner) for inner in value.values())
    if isinstance(value, (list, tuple)):
        return all(_is_empty(inner) for inner in value)
    return not value
