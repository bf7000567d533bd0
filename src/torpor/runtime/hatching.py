"""What the server tells a nest and its zygote at their start: orders, mounts, variables, the modules to import."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torpor
from torpor.guest import layout
from torpor.runtime import orders
from torpor.runtime.spec import Mount, ZygoteSpec
from torpor.sandbox.ids import BLOCK, IdPlan

_OURS = f"{layout.RUNTIME_DIR}/_zygote"  # where the zygote's own program lies; hidden from user code by the program
_PROGRAM = f"import sys; sys.path.insert(0, {_OURS!r}); from torpor.runtime.zygote import main; main()"
# One thread: whoever forks must have no other, and a library that made its own pool could not use it in a child.
_SINGLE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_OPEN_FILES = 4096


def program_mounts() -> tuple[Mount, ...]:
    """The zygote's program and the sandbox package that it needs, and nothing else of ours."""
    here = Path(torpor.__file__).absolute().parent
    files = ("__init__.py", "runtime/__init__.py", "runtime/zygote.py", "sandbox")
    return tuple(Mount(source=str(here / name), target=f"{_OURS}/torpor/{name}") for name in files)


def nest_orders(spec: ZygoteSpec, modules: Sequence[str], plan: IdPlan, block: int, root: str) -> dict[str, Any]:
    """Orders for the sentinel: ids from `block` on become the nest's own, beginning with its 0."""
    ids = [[0, block, BLOCK]] if plan.count else [[0, 0, 1]]
    return {
        "kind": "nest",
        "users": ids,
        "groups": ids,
        "own_groups": bool(plan.count),
        "keeper_id": plan.init_id,
        "root": root,
        "mounts": [[one.source, one.target, one.read_only] for one in (*program_mounts(), *spec.mounts)],
        "limits": {"CORE": orders.NO_CORE_AT_ALL, "NOFILE": _OPEN_FILES},
        "doors": list(spec.doors),
        "argv": [spec.python, "-c", _PROGRAM],
        "env": {**_SINGLE, **spec.env},
        "setup": {
            "hidden": _OURS,
            "path": layout.RUNTIME_DIR,
            "site_packages": spec.site_packages,
            "modules": [*spec.always, *modules],
            "programs": list(spec.programs),
            "rehearsal": spec.rehearsal,
            "snapshot": spec.snapshot,
            "own_groups": bool(plan.count),
        },
    }


def init_id(plan: IdPlan) -> int:
    """The id of inits, as the nest sees it; workers have those below it."""
    return BLOCK - 1 if plan.count else 0
