"""Names of functions as callers write them: a name, a full ARN, or a partial ARN, each with an optional qualifier."""

from __future__ import annotations

import re
from dataclasses import dataclass

from torpor.core.errors import ValidationFailed

LATEST = "$LATEST"
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_QUALIFIER = re.compile(r"\$LATEST|[a-zA-Z0-9_-]{1,128}")
_REFERENCE = re.compile(
    r"(?:arn:(?P<partition>aws[a-zA-Z-]*):lambda:)?(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d):)?"
    r"(?:(?P<account>\d{12}):)?(?:function:)?(?P<name>[a-zA-Z0-9_-]{1,64})(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9_-]{1,128}))?"
)


@dataclass(frozen=True, slots=True)
class FunctionRef:
    """A function as it was addressed; `qualifier` is None where the caller gave none."""

    name: str
    qualifier: str | None = None

    @property
    def text(self) -> str:
        return self.name if self.qualifier is None else f"{self.name}:{self.qualifier}"


@dataclass(frozen=True, slots=True)
class Home:
    """The account and region whose names this server speaks."""

    account: str = "000000000000"
    region: str = "us-east-1"

    def function_arn(self, name: str, qualifier: str | None = None) -> str:
        arn = f"arn:aws:lambda:{self.region}:{self.account}:function:{name}"
        return arn if qualifier is None else f"{arn}:{qualifier}"

    def layer_arn(self, name: str, version: int | None = None) -> str:
        arn = f"arn:aws:lambda:{self.region}:{self.account}:layer:{name}"
        return arn if version is None else f"{arn}:{version}"

    def role_arn(self, name: str, path: str = "/") -> str:
        return f"arn:aws:iam::{self.account}:role{path}{name}"


def parse_function_ref(text: str, qualifier: str | None = None) -> FunctionRef:
    """Read a name, ARN, partial ARN, or any of them with `:qualifier`; a separate `qualifier` must agree with it.

    Raises ValidationFailed when `text` is none of these, or when two qualifiers differ.
    """
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise ValidationFailed(
            f"1 validation error detected: Value '{text}' at 'functionName' failed to satisfy constraint: "
            "a function is named NAME, NAME:QUALIFIER, or by its ARN"
        )
    inner = match["qualifier"]
    if inner and qualifier and inner != qualifier:
        raise ValidationFailed("The derived qualifier from the function name does not match the specified qualifier.")
    if qualifier is not None and _QUALIFIER.fullmatch(qualifier) is None:
        raise ValidationFailed(
            f"1 validation error detected: Value '{qualifier}' at 'qualifier' failed to satisfy constraint: "
            r"Member must satisfy regular expression pattern: \$LATEST|[a-zA-Z0-9-_]{1,128}"
        )
    return FunctionRef(match["name"], inner or qualifier)


def is_function_name(text: str) -> bool:
    """Whether `text` is a bare function name."""
    return _NAME.fullmatch(text) is not None
