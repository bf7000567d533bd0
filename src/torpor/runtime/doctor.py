"""Says what this machine allows, by trying it, and which command or setting would allow more."""

from __future__ import annotations

import json
import platform
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torpor.runtime.link import bare_python
from torpor.sandbox import ids
from torpor.sandbox.cgroups import Bounds, Cgroups, discover

OLDEST_KERNEL = (5, 14)
_MACHINES = ("x86_64", "aarch64")
_GIB = 1 << 30
_LITTLE_DISK = 2 * _GIB
_CONTAINER = (
    "inside Docker or Podman: --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
    "--security-opt systempaths=unconfined"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing examined. `ok`: True, False (no sandbox can run), or None (they can, with less)."""

    name: str
    ok: bool | None
    detail: str
    remedy: str = ""


def examine(data_dir: Path) -> list[Finding]:
    """Everything that sandboxes depend on, in the order in which to mend it. Takes a few hundred milliseconds."""
    failures = _probe()
    return [
        _kernel(platform.release()),
        _machine(platform.machine()),
        _user_namespaces(failures["user-namespaces"], _switches()),
        *(_required(name, failures[name]) for name in _REQUIRED),
        _landlock(failures["landlock"]),
        _ids(ids.plan()),
        *_cgroups(),
        _disk(data_dir),
    ]


def _probe() -> dict[str, str | None]:
    done = subprocess.run(bare_python("probes"), capture_output=True, text=True, timeout=30, check=False)
    if done.returncode != 0:
        reason = f"the probes did not run: {done.stderr.strip()[-500:]}"
        return dict.fromkeys(("user-namespaces", "landlock", *_REQUIRED), reason)
    found: dict[str, str | None] = json.loads(done.stdout)
    return found


def _kernel(release: str) -> Finding:
    match = re.match(r"(\d+)\.(\d+)", release)
    version = (int(match[1]), int(match[2])) if match else (0, 0)
    oldest = ".".join(map(str, OLDEST_KERNEL))
    if version >= OLDEST_KERNEL:
        return Finding("kernel", ok=True, detail=f"Linux {release}")
    return Finding(
        "kernel", ok=False, detail=f"Linux {release} is older than {oldest}", remedy="install a newer kernel"
    )


def _machine(machine: str) -> Finding:
    if machine in _MACHINES:
        return Finding("machine", ok=True, detail=machine)
    return Finding("machine", ok=False, detail=f"the system call filter is not written for {machine}")


def _switches() -> dict[str, str]:
    """The settings by which distributions forbid user namespaces, where they stand in the way."""
    forbidding = {
        "kernel.apparmor_restrict_unprivileged_userns": "1",
        "kernel.unprivileged_userns_clone": "0",
        "user.max_user_namespaces": "0",
    }
    found = {}
    for name, value in forbidding.items():
        path = Path("/proc/sys") / name.replace(".", "/")
        if path.exists() and path.read_text(encoding="ascii").strip() == value:
            found[name] = value
    return found


def _user_namespaces(failure: str | None, switches: dict[str, str]) -> Finding:
    if failure is None:
        return Finding("user-namespaces", ok=True, detail="every sandbox has one of its own")
    remedies = {
        "kernel.apparmor_restrict_unprivileged_userns": "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 "
        "(Ubuntu; or give torpor's interpreter an AppArmor profile with `userns,`)",
        "kernel.unprivileged_userns_clone": "sudo sysctl -w kernel.unprivileged_userns_clone=1",
        "user.max_user_namespaces": "sudo sysctl -w user.max_user_namespaces=10000",
    }
    remedy = "; ".join(remedies[name] for name in switches) or _CONTAINER
    named = "".join(f" ({name} is {value})" for name, value in switches.items())
    return Finding("user-namespaces", ok=False, detail=failure + named, remedy=remedy)


_REQUIRED = {
    "namespaces": ("processes, network, mounts and names of its own", _CONTAINER),
    "mounts": ("read-only mounts by mount_setattr", "Linux 5.12 or later; " + _CONTAINER),
    "proc": ("a fresh /proc can be mounted", _CONTAINER),
    "seccomp": ("system calls are filtered", "a kernel with CONFIG_SECCOMP_FILTER"),
    "pidfd": ("processes are held by descriptor", "Linux 5.3 or later"),
}


def _required(name: str, failure: str | None) -> Finding:
    detail, remedy = _REQUIRED[name]
    if failure is None:
        return Finding(name, ok=True, detail=detail)
    return Finding(name, ok=False, detail=failure, remedy=remedy)


def _landlock(failure: str | None) -> Finding:
    if failure is None:
        return Finding("landlock", ok=True, detail="sandboxed builds cannot reach the host's abstract sockets")
    return Finding(
        "landlock",
        ok=None,
        detail=f"{failure}; sandboxed builds, which use the host's network, can reach its abstract sockets",
        remedy="Linux 6.12 or later with landlock among the lsm= of its command line",
    )


def _ids(plan: ids.IdPlan) -> Finding:
    if plan.count:
        detail = f"{len(plan.worker_ids)} user ids, one for each living instance"
        return Finding("user-ids", ok=True, detail=detail)
    detail = "no range of ids: all instances share one, and with it the kernel's limits for one user"
    remedy = "install newuidmap (uidmap, shadow-utils) and: sudo usermod --add-subuids 200000-265535 --add-subgids "
    return Finding("user-ids", ok=None, detail=detail, remedy=remedy + "200000-265535 $USER")


_DELEGATE = "systemd-run --user --scope -p Delegate=yes torpor up (with cgroups of version 2)"
_LIMITS = {
    "memory": "memory is watched by sampling: an instance can overshoot its limit for a moment",
    "pids": "processes are counted by RLIMIT_NPROC alone",
    "cpu": "processor time is not shared in proportion to memory",
}


def _cgroups() -> list[Finding]:
    """Make a group in every hierarchy, as an instance's would be, and remove it again."""
    groups = Cgroups(discover(), f"torpor-doctor-{secrets.token_hex(4)}")
    try:
        groups.create("try", Bounds(memory=256 << 20, processes=64, cpu=1.0)).remove()
        reasons = {kind: _why_not(groups, kind) for kind in _LIMITS}
    except OSError as error:
        reasons = dict.fromkeys(_LIMITS, str(error))
    finally:
        freezes = groups.can_freeze
        groups.close()
    return [*(_limit(kind, reason) for kind, reason in reasons.items()), _freezing(freezes=freezes)]


def _freezing(*, freezes: bool) -> Finding:
    if freezes:
        return Finding("freezing", ok=True, detail="idle instances do not run, by a version 2 control group")
    detail = "idle instances are not frozen: what they do in the background goes on between invocations"
    return Finding("freezing", ok=None, detail=detail, remedy=_DELEGATE)


def _why_not(groups: Cgroups, kind: str) -> str | None:
    if kind in groups.limits:
        return None
    refused = [f"{error.filename}: {error.strerror}" for where, error in groups.refused if kind in where.controllers]
    return refused[0] if refused else "no such controller is delegated to us"


def _limit(kind: str, reason: str | None) -> Finding:
    if reason is None:
        return Finding(f"{kind}-limits", ok=True, detail="by control groups below our own")
    return Finding(f"{kind}-limits", ok=None, detail=f"{_LIMITS[kind]} ({reason})", remedy=_DELEGATE)


def _disk(data_dir: Path, usage: Callable[[Path], tuple[int, int, int]] = shutil.disk_usage) -> Finding:
    place = next(folder for folder in (data_dir.absolute(), *data_dir.absolute().parents) if folder.exists())
    free = usage(place)[2]
    if free >= _LITTLE_DISK:
        return Finding("disk", ok=True, detail=f"{free / _GIB:.0f} GiB free at {data_dir}")
    detail = f"only {free / _GIB:.1f} GiB free at {data_dir}"
    return Finding("disk", ok=None, detail=detail, remedy="torpor gc, or another folder: --data DIR")
