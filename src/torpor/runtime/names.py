"""Names for other hosts inside an instance: its /etc/hosts, as a file that is mounted like its code."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torpor.runtime.spec import LaunchSpec, Mount
from torpor.sandbox.root import HOSTS

_PLACE = "/etc/hosts"


def with_names(spec: LaunchSpec, folder: Path) -> LaunchSpec:
    """The same specification with its names as a mount: a file in `folder`, shared by all that have the same names."""
    if not spec.hosts:
        return spec
    mount = Mount(source=str(_file(spec.hosts, folder)), target=_PLACE)
    return replace(spec, hosts={}, mounts=(*spec.mounts, mount))


def _file(hosts: Mapping[str, str], folder: Path) -> Path:
    text = HOSTS + "".join(f"{address} {name}\n" for name, address in hosts.items())
    path = folder / hashlib.sha256(text.encode()).hexdigest()
    if not path.exists():
        folder.mkdir(mode=0o755, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)  # whoever the instance is, it reads it
    return path
