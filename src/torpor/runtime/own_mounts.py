"""What a function brings besides its environment: code, layers, names of hosts; and the modules found in them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from torpor.runtime.spec import Mount

_TASK, _LAYERS = "/var/task", "/opt"
OWN_TARGETS = frozenset({_TASK, _LAYERS, "/etc/hosts"})


def modules_of(mount: Mount) -> list[str]:
    """What lies where Python looks before it looks into the environment: names, and not whether they are modules."""
    if mount.target == _TASK:
        return _entries(mount.source)
    if mount.target != _LAYERS:
        return []
    packages = Path(mount.source, "python", "lib")
    places = [f"{packages}/{version}/site-packages" for version in _entries(str(packages))]
    return [name for place in (str(packages.parent), *places) for name in _entries(place)]


def _entries(folder: str) -> list[str]:
    with suppress(OSError):
        return os.listdir(folder)  # noqa: PTH208 -- names are all that is asked
    return []
