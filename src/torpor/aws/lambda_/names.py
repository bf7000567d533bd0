"""Which function a request means: by name, partial ARN or full ARN, of this account and region only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from torpor.core.arn import LATEST, FunctionRef, Home, parse_function_ref
from torpor.core.errors import FunctionNotFound

_SCOPE = re.compile(
    r"(?:arn:aws[a-zA-Z-]*:lambda:)?(?:(?P<region>[a-z]{2,4}(?:-[a-z]+)+-\d):)?(?:(?P<account>\d{12}):)?(?:function:)?"
)


def function_ref(params: Mapping[str, Any], home: Home) -> FunctionRef:
    """The function that FunctionName and Qualifier name; raises FunctionNotFound for another account's or region's."""
    return _resolve(params["FunctionName"], params.get("Qualifier"), home)


def latest_only(ref: FunctionRef, home: Home) -> str:
    """The name of a function asked for without a qualifier, or as $LATEST: no other version exists yet."""
    if ref.qualifier not in (None, LATEST):
        raise FunctionNotFound(f"Function not found: {home.function_arn(ref.name, ref.qualifier)}")
    return ref.name


@lru_cache(maxsize=8192)
def _resolve(text: str, qualifier: str | None, home: Home) -> FunctionRef:
    ref = parse_function_ref(text, qualifier or None)
    scope = _SCOPE.match(text)
    region, account = (scope["region"], scope["account"]) if scope else (None, None)
    if region and region != home.region:
        raise FunctionNotFound(f"Functions from '{region}' are not reachable in this region ('{home.region}')")
    if account and account != home.account:
        raise FunctionNotFound(f"Function not found: {text}: this server's account is {home.account}")
    return ref
