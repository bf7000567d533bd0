"""What an operator sets about builds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import uv


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """`variables` is the environment of builds, from `pip_settings.uv_variables`: indexes, certificates, proxies."""

    variables: Mapping[str, str] = field(default_factory=dict)
    uv: Path = field(default_factory=lambda: Path(uv.find_uv_bin()))
    nearest_interpreter: bool = False  # take the nearest version where the runtime's own is not installed
    base_requirements: tuple[str, ...] = ("boto3",)  # for functions that declare none
    bundle_indexes: bool = True  # honour --index-url and the like in a bundle's requirements.txt
    resolve_timeout_s: float = 300
    install_timeout_s: float = 1800
