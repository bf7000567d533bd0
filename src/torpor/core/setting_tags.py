"""Tags that set what only torpor has, for clients that know AWS's words alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torpor.core.errors import InvalidValue

# AWS allows no commas in tags, our own interface does: both separate.
PERMISSIONS, REACH, SECRETS = "torpor:permissions", "torpor:reach", "torpor:secrets"
SOURCE_BUILDS, KEEP_ALIVE = "torpor:source-builds", "torpor:keep-alive"
SETTINGS = {  # tag → the field of FunctionConfig that it sets
    PERMISSIONS: "permissions",
    REACH: "reach",
    SECRETS: "secrets",
    SOURCE_BUILDS: "source_builds",
    KEEP_ALIVE: "keep_alive_s",
}


def settings_in_tags(tags: Mapping[str, str]) -> dict[str, Any]:
    """The fields of FunctionConfig that tags set."""
    settings: dict[str, Any] = {}
    for tag, field in ((PERMISSIONS, "permissions"), (REACH, "reach"), (SECRETS, "secrets")):
        if tag in tags:
            settings[field] = tuple(re.split(r"[\s,]+", tags[tag].strip())) if tags[tag].strip() else ()
    if SOURCE_BUILDS in tags:
        if tags[SOURCE_BUILDS].lower() not in ("true", "false"):
            raise InvalidValue(f"The tag {SOURCE_BUILDS} is 'true' or 'false', not '{tags[SOURCE_BUILDS]}'.")
        settings["source_builds"] = tags[SOURCE_BUILDS].lower() == "true"
    if KEEP_ALIVE in tags:
        settings["keep_alive_s"] = _seconds(tags[KEEP_ALIVE])
    return settings


def _seconds(text: str) -> float:
    if re.fullmatch(r"\d{1,6}(\.\d{1,3})?", text) is None:
        raise InvalidValue(f"The tag {KEEP_ALIVE} is a number of seconds, such as '300', not '{text}'.")
    return float(text)
