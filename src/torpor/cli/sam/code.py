"""A template's local code: packed here, and named in the template as what was packed would be in a bucket."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torpor.cli.failures import WrongUse
from torpor.cli.sam.intrinsics import is_open
from torpor.cli.sam.template import Place, Template

BUCKET = "torpor"
_SERVERLESS = {"AWS::Serverless::Function": "CodeUri", "AWS::Serverless::LayerVersion": "ContentUri"}
_PLAIN = {"AWS::Lambda::Function": "Code", "AWS::Lambda::LayerVersion": "Content"}
_INLINE_NAME = "index"  # as on AWS, the module that inline code is


@dataclass(slots=True)
class Archives:
    """What was packed, by its SHA-256 (hex)."""

    of: dict[str, bytes] = field(default_factory=dict)

    def add(self, archive: bytes) -> dict[str, str]:
        """The place of an archive, as a template names it."""
        digest = hashlib.sha256(archive).hexdigest()
        self.of[digest] = archive
        return {"S3Bucket": BUCKET, "S3Key": digest}

    def get(self, code: Mapping[str, Any]) -> bytes:
        """The archive that a `Code` or `Content` names. Raises WrongUse for code in somebody else's bucket."""
        key = str(code.get("S3Key", ""))
        if key not in self.of:
            raise WrongUse(f"code in a bucket cannot be read: {code.get('S3Bucket')}/{key}. Name a local folder")
        return self.of[key]


def pack_code(template: Template, resources: dict[str, Any], defaults: Mapping[str, Any], archives: Archives) -> None:
    """Pack what `resources` name of this machine's files, and put its place there instead. Raises WrongUse.

    `defaults` is what Globals say of functions, who alone have a CodeUri.
    """
    for name, resource in resources.items():
        kind, properties = resource.get("Type"), resource.get("Properties")
        if not isinstance(properties, dict):
            continue
        place = ("Resources", name, "Properties")
        if kind in _SERVERLESS:
            key = _SERVERLESS[kind]
            _serverless(template, (*place, key), properties, defaults.get(key), archives)
        elif kind in _PLAIN and isinstance(properties.get(_PLAIN[kind]), str):
            properties[_PLAIN[kind]] = archives.add(_packed(template, (*place, _PLAIN[kind]), properties[_PLAIN[kind]]))
        elif kind == "AWS::Lambda::Function" and "ZipFile" in (properties.get("Code") or {}):
            properties["Code"] = archives.add(inline_archive(str(properties["Code"]["ZipFile"])))


def _serverless(
    template: Template,
    place: Place,
    properties: dict[str, Any],
    default: Any,
    archives: Archives,
) -> None:
    key = str(place[-1])
    if isinstance(properties.get("InlineCode"), str):
        packed = archives.add(inline_archive(properties.pop("InlineCode")))
    else:
        uri = properties.get(key, default)
        if isinstance(uri, dict) and not is_open(uri):
            packed = {"S3Bucket": str(uri.get("Bucket")), "S3Key": str(uri.get("Key"))}
        elif isinstance(uri, str):
            packed = archives.add(_packed(template, place, uri))
        else:
            return  # the translator says what is missing
    properties[key] = {"Bucket": packed["S3Bucket"], "Key": packed["S3Key"]}


def _packed(template: Template, place: Place, uri: str) -> bytes:
    from torpor.build.pack import pack
    from torpor.core.errors import UserError

    if uri.startswith(("s3://", "https://", "http://")):
        raise WrongUse(template.at(place, f"{uri} cannot be read: name a local folder, a file or a zip"))
    try:
        return pack(template.path.parent / uri)
    except (UserError, OSError) as error:
        raise WrongUse(template.at(place, str(error))) from None


def inline_archive(text: str) -> bytes:
    """Inline code as an archive: one module named `index`, the same text the same bytes."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        entry = zipfile.ZipInfo(f"{_INLINE_NAME}.py", (1980, 1, 1, 0, 0, 0))
        entry.external_attr = 0o644 << 16
        archive.writestr(entry, text, zipfile.ZIP_DEFLATED)
    return made.getvalue()
