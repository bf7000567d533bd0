"""Revisions made by hand: code in a folder, run by the interpreter that runs the tests."""

from __future__ import annotations

import hashlib
import sys
import sysconfig
from pathlib import Path
from typing import Any

from torpor.core.arn import LATEST, Home
from torpor.core.function import Bundle, Environment, FunctionConfig, Revision, revision_key


def own_environment() -> Environment:
    """The running interpreter as an environment."""
    mounts = tuple(dict.fromkeys((sys.base_prefix, sys.prefix)))
    outside = tuple(path for path in mounts if not Path(path).is_relative_to("/usr"))  # a sandbox has /usr anyway
    return Environment(
        digest="own",
        python=sys.executable,
        site_packages=sysconfig.get_path("purelib"),
        mounts=outside,
        runtime=f"python{sys.version_info[0]}.{sys.version_info[1]}",
    )


def make_revision(folder: Path, code: str | None = None, **config: Any) -> Revision:
    """A revision of the code in `folder`; `code` is written there as app.py first. `config` as in FunctionConfig."""
    folder.mkdir(parents=True, exist_ok=True)
    if code is not None:
        (folder / "app.py").write_text(code)
    environment = own_environment()
    settings = FunctionConfig(**{
        "name": "function", "handler": "app.handler", "runtime": environment.runtime, **config,
    })  # fmt: skip
    text = b"".join(path.read_bytes() for path in sorted(folder.rglob("*.py"))) + str(folder).encode()
    bundle = Bundle(hashlib.sha256(text).hexdigest(), len(text))
    return Revision(
        arn=Home().function_arn(settings.name),
        version=LATEST,
        config=settings,
        bundle=bundle,
        code_dir=str(folder),
        environment=environment,
        key=revision_key(settings, bundle, environment, LATEST),
    )
